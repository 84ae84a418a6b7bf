"""Pooling: one vector a question out of its tokens' hidden states; padding counts for nothing.

Sums run in single precision whatever the backbone's, so that a long question is not rounded away.
"""

import torch
from torch import nn

from optscale_predictor.errors import InputError


class MeanPooling(nn.Module):
    """The mean over a question's tokens."""

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """[questions, length, width] and mask [questions, length] to [questions, width]."""
        weight = mask[..., None].float()
        # Where, not a product: what stands at padding may be NaN.
        kept = torch.where(weight > 0, hidden.float(), 0.0)
        return kept.sum(1) / weight.sum(1).clamp(min=1)


class LastTokenPooling(nn.Module):
    """A question's last token, which in a decoder has seen all others."""

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """See :class:`MeanPooling`."""
        last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(-1)
        return hidden[torch.arange(len(hidden), device=mask.device), last].float()


class AttentionPooling(nn.Module):
    """A mean weighted by a learned query (one head of attention); untrained it is the plain mean.

    Args:
        width: Width of the hidden states.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width))

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """See :class:`MeanPooling`."""
        states = torch.where(mask[..., None] > 0, hidden.float(), 0.0)
        logits = (states @ self.query.float()) / states.shape[-1] ** 0.5
        weight = logits.masked_fill(mask == 0, -torch.inf).softmax(-1)
        pooled: torch.Tensor = (states * weight[..., None]).sum(1)
        return pooled


def make_pooling(name: str, width: int) -> nn.Module:
    """The pooling of a name: ``mean``, ``last`` or ``attention``."""
    if name == "attention":
        return AttentionPooling(width)
    known: dict[str, type[nn.Module]] = {"mean": MeanPooling, "last": LastTokenPooling}
    if name not in known:
        raise InputError(f"pooling must be one of mean, last, attention, got {name!r}")
    return known[name]()
