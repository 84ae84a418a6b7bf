"""Heads: from a question's features to the prior of its scores. One a file, chosen by name."""

from optscale_predictor.predictor.heads.gaussian_process import GaussianProcessHead
from optscale_predictor.predictor.heads.linear import Features, LinearHead

__all__ = ["Features", "GaussianProcessHead", "LinearHead"]
