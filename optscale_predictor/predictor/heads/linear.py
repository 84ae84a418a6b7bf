"""What every head does: features of questions in, the prior of their scores out.

A linear head, trained by gradient together with the LoRA updates.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from optscale_predictor.predictor.losses import Predicted
from optscale_predictor.stats.estimators.posterior import LEAST_COUNT

EDGE = 1e-4  # predictions keep this far from moments that no scores in [0, 1] can have
_LOG_STRENGTH = (-6.0, 9.0)  # of what is beyond one sample


class Features(NamedTuple):
    """What a head sees of a batch of questions.

    Attributes:
        pooled: The backbone's pooled hidden states, layer beside layer; single precision, [questions, width].
        tokens: Their tokens, [questions, length].
        mask: 1 at real tokens, 0 at padding; [questions, length].
        labels: Codes of what is known of each question besides its text (see ``labels``), [questions, labels]; None
            where nothing is.
    """

    pooled: torch.Tensor
    tokens: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor | None = None


def from_logits(raw: torch.Tensor) -> Predicted:
    """Valid moments and strength from any numbers [questions, 3].

    mean = sigmoid(h_0), std = sqrt(mean (1 - mean)) sigmoid(h_1), strength = 1 + exp(h_2).
    """
    share = raw[:, :2].sigmoid() * (1 - 2 * EDGE) + EDGE
    mean = share[:, 0]
    return Predicted(mean, (mean * (1 - mean)).sqrt() * share[:, 1], strength_from_log(raw[:, 2]))


def strength_from_log(raw: torch.Tensor) -> torch.Tensor:
    """Strength from the logarithm of what it is beyond the least that the posterior knows, one sample."""
    return LEAST_COUNT + raw.clamp(*_LOG_STRENGTH).exp()


_LOGIT = (0.01, 0.99)  # where training starts is kept this far from the ends


class LinearHead(nn.Module):
    """One linear map a source of scores, from normalised features to the logits of mean, spread and strength.

    Args:
        width: Width of the features.
        num_sources: Sources of scores, each with a map of its own on the shared features.
    """

    def __init__(self, width: int, num_sources: int = 1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.weight = nn.Parameter(torch.randn(num_sources, 3, width) * 0.1 * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(num_sources, 3))

    def forward(self, features: Features, source: torch.Tensor) -> Predicted:
        """The prior of each question; ``source`` [questions] says whose scores."""
        states = self.norm(features.pooled.float())
        return from_logits(torch.einsum("qw,qow->qo", states, self.weight[source]) + self.bias[source])

    def start_at(self, mean: float, std: float, strength: float, source: int = 0) -> None:
        """Emits about this prior for every question of a source: where training starts from."""
        share = std / np.sqrt(mean * (1 - mean))
        moments = torch.logit(torch.tensor([mean, share]).clamp(*_LOGIT))
        with torch.no_grad():
            self.bias[source, :2] = moments
            self.bias[source, 2] = float(np.log(max(strength - 1, 1e-2)))
