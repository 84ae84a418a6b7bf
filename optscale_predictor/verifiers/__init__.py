"""Verifiers: adapters that score samples, one kind a file."""

from optscale_predictor.verifiers._verifier import Answered, Scores, Verifier, require_scores

__all__ = ["Answered", "Scores", "Verifier", "require_scores"]
