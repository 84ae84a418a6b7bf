"""Heads: from a question's features to the prior of its scores. One a file, chosen by name.

Imports the losses' types and the statistics; nothing of the language model whose features they see.
"""

from optscale_predictor.predictor.heads.gaussian_process import GaussianProcessHead
from optscale_predictor.predictor.heads.linear import LinearHead
from optscale_predictor.predictor.heads.question_features import Features

__all__ = ["Features", "GaussianProcessHead", "LinearHead"]
