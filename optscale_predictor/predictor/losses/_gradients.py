"""How a truncated normal's natural parameters change with its moments: by the inverse covariance of its statistics.

From a NumPy function that knows its own gradient to a PyTorch one.

The losses stand on the package's double-precision fits. A batch has some dozens of questions, so a trip to the CPU and
back costs less than a second implementation would.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.function import once_differentiable

from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.estimators.sufficient_statistics import ScoreStatistics
from optscale_predictor.stats.estimators.truncated_normal_fit import fit_moments, fitted_moments
from optscale_predictor.stats.quadrature import expectation

Floats = NDArray[np.float64]


class MomentMap(NamedTuple):
    """Truncated normals of given moments, and what is needed to differentiate by those.

    Attributes:
        members: The truncated normals, [questions].
        mean: Their means.
        std: Their standard deviations.
        precision: Derivatives of (alpha, b) by (mean, variance), [questions, 2, 2], where exp(alpha x + b (x - m)^2) is
            the density and m its mean: the inverse covariance of x and (x - m)^2. So a = alpha - 2 m b, m held.
    """

    members: TruncatedNormal
    mean: Floats
    std: Floats
    precision: Floats


def map_moments(mean: Floats, std: Floats) -> MomentMap:
    """The members with these moments [questions]; moments on the edge of what is possible are moved inside it."""
    mean, variance = possible_moments(mean, std)
    members = fit_moments(mean, variance)
    covariance = expectation(members.a, members.b).covariance
    scale = np.sqrt(covariance[..., 0, 0])
    units = np.stack([scale, scale**2], -1)
    products = units[..., :, None] * units[..., None, :]
    return MomentMap(members, mean, np.sqrt(variance), np.linalg.inv(covariance / products) / products)


def possible_moments(mean: Floats, std: Floats) -> tuple[Floats, Floats]:
    """Mean and variance, moved inside what scores in [0, 1] can have."""
    return fitted_moments(ScoreStatistics(np.ones_like(mean), mean, std**2))


Evaluated = tuple[Floats, tuple[Floats, ...]]


def apply_numpy(evaluate: Callable[..., Evaluated], *inputs: torch.Tensor) -> torch.Tensor:
    """Values [questions] of ``evaluate`` at ``inputs``, each [questions], differentiable by each.

    Args:
        evaluate: Called with the inputs in double precision; gives values and their derivatives by each input.
        *inputs: Tensors of any float type on one device; the values have the first one's, but for half types: those
            give single precision.
    """
    return _WithGradient.apply(evaluate, *inputs)  # type: ignore[no-any-return, no-untyped-call]


def doubles(values: torch.Tensor) -> Floats:
    """The values as doubles on the CPU."""
    return values.detach().double().cpu().numpy()


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, evaluate: Callable[..., Evaluated], *inputs: torch.Tensor) -> torch.Tensor:
        values, gradients = evaluate(*(doubles(part) for part in inputs))
        first = inputs[0]
        ctx.save_for_backward(*(torch.as_tensor(part, device=first.device) for part in gradients))
        ctx.kinds = [part.dtype for part in inputs]
        return torch.as_tensor(values, dtype=torch.promote_types(first.dtype, torch.float32), device=first.device)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        most = [torch.finfo(kind).max for kind in ctx.kinds]
        products = (outer.double() * part for part in ctx.saved_tensors)
        # Derivatives by a spread of 1e-6 can be beyond a half type's range.
        return None, *(
            part.clamp(-top, top).to(kind) for part, top, kind in zip(products, most, ctx.kinds, strict=True)
        )
