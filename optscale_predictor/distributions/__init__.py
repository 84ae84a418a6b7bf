"""Families of score distributions on [0, 1], one a file, all vectorised over questions and exact in log space."""

from optscale_predictor.distributions.truncated_normal import TruncatedNormal

__all__ = ["TruncatedNormal"]
