"""Verifiers: adapters that score samples, one kind a file; heavy imports happen when one is built.

``verifier`` is the interface, ``score_maps`` that of verifiers whose rewards are unbounded, ``process_verifier`` that
of verifiers that score steps. May import the questions, HTTP and model loading; imports neither generators nor pools.
"""

from optscale_predictor.backends.verifiers.score_maps import LogisticMap, RewardVerifier
from optscale_predictor.backends.verifiers.verifier import (
    Answered,
    Scores,
    Verifier,
    require_scores,
    score_samples,
    stream_samples,
)

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
