"""What every head does: features of questions in, the prior of their scores out."""

from typing import NamedTuple

import torch

from optscale_predictor.estimators.posterior import LEAST_COUNT
from optscale_predictor.predictor.losses import Predicted

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
