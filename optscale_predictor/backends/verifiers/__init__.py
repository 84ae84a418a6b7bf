"""Verifiers: adapters that score samples, one kind a file."""

from optscale_predictor.backends.verifiers._verifier import (
    Answered,
    Scores,
    Verifier,
    require_scores,
    score_samples,
    stream_samples,
)
from optscale_predictor.backends.verifiers.reward_model import LogisticMap, RewardVerifier

__all__ = [
    "Answered",
    "LogisticMap",
    "RewardVerifier",
    "Scores",
    "Verifier",
    "require_scores",
    "score_samples",
    "stream_samples",
]
