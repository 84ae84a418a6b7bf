"""Verifiers: adapters that score samples, one kind a file."""

from optscale_predictor.verifiers._blank import score_samples, stream_samples
from optscale_predictor.verifiers._rewards import LogisticMap, RewardVerifier
from optscale_predictor.verifiers._verifier import Answered, Scores, Verifier, require_scores

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
