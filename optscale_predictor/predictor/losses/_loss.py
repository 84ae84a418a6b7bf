"""What every loss is called with and gives: predictions and observed scores in, one number a question out."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch


class Predicted(NamedTuple):
    """Predicted priors, each a tensor [questions] of any float type on any device.

    Attributes:
        mean: Mean of the question's scores, in (0, 1).
        std: Their standard deviation, > 0 and at most sqrt(mean (1 - mean)).
        strength: How many real samples the prediction is worth, >= 1.
    """

    mean: torch.Tensor
    std: torch.Tensor
    strength: torch.Tensor


class Observed(NamedTuple):
    """What was observed of each question's scores, each a tensor [questions]; NaN where unknown.

    Attributes:
        count: Scores, >= 1.
        mean: Their mean, in [0, 1].
        std: Their population standard deviation, in [0, 0.5].
        mean_error: Standard error of ``mean``, >= 0.
        std_error: Standard error of ``std``, >= 0.
        mean_log: Mean of log(score); wanted by the Beta family alone.
        mean_log1m: Mean of log(1 - score), likewise.
    """

    count: torch.Tensor  # type: ignore[assignment]  # a tuple's own count is not wanted here
    mean: torch.Tensor
    std: torch.Tensor
    mean_error: torch.Tensor
    std_error: torch.Tensor
    mean_log: torch.Tensor | None = None
    mean_log1m: torch.Tensor | None = None


class Loss(ABC):
    """A training loss. ``fit`` is called once, before the first step, with all training questions."""

    def fit(self, train: Observed) -> None:  # noqa: B027
        """Learns what the loss needs to know of the training questions: units, weights.

        Raises:
            InputError: Something that the loss cannot do without was not observed.
        """

    @abstractmethod
    def __call__(self, predicted: Predicted, observed: Observed) -> torch.Tensor:
        """The loss of each question, [questions], weights included: a batch's loss is the mean. Always finite."""
