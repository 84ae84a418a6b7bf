"""The linear head, trained by gradient together with the LoRA updates; and the ranges that all heads predict in."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from optscale_predictor.predictor.heads.question_features import Features
from optscale_predictor.predictor.losses import Predicted
from optscale_predictor.stats.estimators.standard_posterior import LEAST_COUNT

EDGE = 1e-4  # predictions keep this far from moments that no scores in [0, 1] can have
_LOG_STRENGTH = (-6.0, 9.0)  # of what is beyond one sample
_LOGIT = (0.01, 0.99)  # where training starts is kept this far from the ends


class LinearHead(nn.Module):
    """One linear map a source of scores, from normalised features to the logits of mean, spread and strength.

    Args:
        width: Width of the features, >= 1.
        num_sources: Sources of scores, >= 1, each with a map of its own on the shared features.
    """

    def __init__(self, width: int, num_sources: int = 1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.weight = nn.Parameter(torch.randn(num_sources, 3, width) * 0.1 * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(num_sources, 3))

    def forward(self, features: Features, source: Int[Tensor, " questions"]) -> Predicted:
        """The prior of each question.

        Args:
            features: Of the questions.
            source: Whose scores, in [0, num_sources).
        """
        states = self.norm(features.pooled.float())
        return from_logits(torch.einsum("qw,qow->qo", states, self.weight[source]) + self.bias[source])

    def start_at(self, mean: float, std: float, strength: float, source: int = 0) -> None:
        """Emits about this prior for every question of a source: where training starts from.

        Args:
            mean: Of the source's scores, in (0, 1).
            std: Standard deviation of one question's scores, > 0.
            strength: How many samples the prior is worth, > 1.
            source: Which of the sources.
        """
        share = std / np.sqrt(mean * (1 - mean))
        moments = torch.logit(torch.tensor([mean, share]).clamp(*_LOGIT))
        with torch.no_grad():
            self.bias[source, :2] = moments
            self.bias[source, 2] = float(np.log(max(strength - 1, 1e-2)))


def from_logits(raw: Float[Tensor, "questions 3"]) -> Predicted:
    """Valid moments and strength from any numbers.

    mean = sigmoid(h_0), std = sqrt(mean (1 - mean)) sigmoid(h_1), strength = 1 + exp(h_2).
    """
    share = raw[:, :2].sigmoid() * (1 - 2 * EDGE) + EDGE
    mean = share[:, 0]
    return Predicted(mean, (mean * (1 - mean)).sqrt() * share[:, 1], strength_from_log(raw[:, 2]))


def strength_from_log(raw: Float[Tensor, " questions"]) -> Float[Tensor, " questions"]:
    """Strength from the logarithm of what it is beyond the least that the posterior knows, one sample."""
    return LEAST_COUNT + raw.clamp(*_LOG_STRENGTH).exp()
