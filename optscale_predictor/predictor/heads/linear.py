"""A linear head, trained by gradient together with the LoRA updates."""

import numpy as np
import torch
from torch import nn

from optscale_predictor.predictor.heads._head import Features, from_logits
from optscale_predictor.predictor.losses import Predicted

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
