"""What every loss is called with and gives, and how a NumPy function that knows its gradient becomes a PyTorch one.

Predictions and observed scores go in, one number a question comes out. The losses stand on the package's
double-precision fits. A batch has some dozens of questions, so a trip to the CPU and back costs less than a second
implementation would.

A truncated normal's natural parameters change with its moments by the inverse covariance of its statistics, as in every
exponential family; :func:`map_moments` gives both.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from optscale_predictor._support.arrays import Floats
from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics, fit_moments, fitted_moments
from optscale_predictor.stats.quadrature import expectation

Evaluated = tuple[Floats, tuple[Floats, ...]]
"""Values [questions], and their derivatives by each input, each [questions]."""


class Predicted(NamedTuple):
    """Predicted priors of a batch of questions, tensors of any float type on any device.

    Attributes:
        mean: Mean of the question's scores, in (0, 1).
        std: Their standard deviation, > 0 and at most sqrt(mean (1 - mean)).
        strength: How many real samples the prediction is worth, >= 1.
    """

    mean: Float[Tensor, " questions"]
    std: Float[Tensor, " questions"]
    strength: Float[Tensor, " questions"]


class Observed(NamedTuple):
    """What was observed of each question's scores; NaN where unknown.

    Attributes:
        count: Scores, >= 1.
        mean: Their mean, in [0, 1].
        std: Their population standard deviation, in [0, 0.5].
        mean_error: Standard error of ``mean``, >= 0.
        std_error: Standard error of ``std``, >= 0.
        mean_log: Mean of log(score); wanted by the Beta family alone.
        mean_log1m: Mean of log(1 - score), likewise.
    """

    count: Float[Tensor, " questions"]  # type: ignore[assignment]  # a tuple's own count is not wanted here
    mean: Float[Tensor, " questions"]
    std: Float[Tensor, " questions"]
    mean_error: Float[Tensor, " questions"]
    std_error: Float[Tensor, " questions"]
    mean_log: Float[Tensor, " questions"] | None = None
    mean_log1m: Float[Tensor, " questions"] | None = None


class Loss(ABC):
    """A training loss. ``fit`` is called once, before the first step, with all training questions."""

    def fit(self, train: Observed) -> None:  # noqa: B027
        """Learns what the loss needs to know of the training questions: units, weights.

        Raises:
            InputError: Something that the loss cannot do without was not observed.
        """

    @abstractmethod
    def __call__(self, predicted: Predicted, observed: Observed) -> Float[Tensor, " questions"]:
        """The loss of each question, weights included: a batch's loss is the mean. Always finite.

        Args:
            predicted: The priors.
            observed: What was seen of the same questions' scores.

        Raises:
            InputError: Something that the loss cannot do without was not observed.
        """


class MomentMap(NamedTuple):
    """Truncated normals of given moments, and what is needed to differentiate by those.

    Attributes:
        members: The truncated normals, [questions].
        mean: Their means.
        std: Their standard deviations.
        precision: Derivatives of (alpha, b) by (mean, variance), where exp(alpha x + b (x - m)^2) is
            the density and m its mean: the inverse covariance of x and (x - m)^2. So a = alpha - 2 m b, m held.
    """

    members: TruncatedNormal
    mean: Float[Floats, " questions"]
    std: Float[Floats, " questions"]
    precision: Float[Floats, "questions 2 2"]


def map_moments(mean: Float[Floats, " questions"], std: Float[Floats, " questions"]) -> MomentMap:
    """The truncated normals with these moments, and how their parameters change with them.

    Args:
        mean: Means of scores, in [0, 1]; on the edge of what is possible they are moved inside it.
        std: Their standard deviations, likewise.
    """
    mean, variance = possible_moments(mean, std)
    members = fit_moments(mean, variance)
    covariance = expectation(members.a, members.b).covariance
    scale = np.sqrt(covariance[..., 0, 0])
    # Statistics in units of their own: a covariance with entries of 1e-6 and 1e-12 would not be inverted to its digits.
    units = np.stack([scale, scale**2], -1)
    products = units[..., :, None] * units[..., None, :]
    return MomentMap(members, mean, np.sqrt(variance), np.linalg.inv(covariance / products) / products)


def possible_moments(
    mean: Float[Floats, " questions"], std: Float[Floats, " questions"]
) -> tuple[Float[Floats, " questions"], Float[Floats, " questions"]]:
    """Mean and variance, moved inside what scores in [0, 1] can have.

    Args:
        mean: Means, near [0, 1].
        std: Standard deviations.
    """
    return fitted_moments(ScoreStatistics(np.ones_like(mean), mean, std**2))


def apply_numpy(
    evaluate: Callable[..., Evaluated], *inputs: Float[Tensor, " questions"]
) -> Float[Tensor, " questions"]:
    """Values of ``evaluate`` at ``inputs``, differentiable by each.

    Args:
        evaluate: Called with the inputs in double precision; gives values and their derivatives by each input.
        *inputs: Tensors of any float type on one device; the values have the first one's, but for half types: those
            give single precision.
    """
    return _WithGradient.apply(evaluate, *inputs)  # type: ignore[no-any-return, no-untyped-call]


def doubles(values: Float[Tensor, " questions"]) -> Float[Floats, " questions"]:
    """The values as doubles on the CPU."""
    return values.detach().double().cpu().numpy()


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, evaluate: Callable[..., Evaluated], *inputs: Tensor) -> Tensor:
        values, gradients = evaluate(*(doubles(part) for part in inputs))
        first = inputs[0]
        ctx.save_for_backward(*(torch.as_tensor(part, device=first.device) for part in gradients))
        ctx.kinds = [part.dtype for part in inputs]
        return torch.as_tensor(values, dtype=torch.promote_types(first.dtype, torch.float32), device=first.device)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        most = [torch.finfo(kind).max for kind in ctx.kinds]
        products = (outer.double() * part for part in ctx.saved_tensors)
        # Derivatives by a spread of 1e-6 can be beyond a half type's range.
        return None, *(
            part.clamp(-top, top).to(kind) for part, top, kind in zip(products, most, ctx.kinds, strict=True)
        )
