"""Votes: how often each answer of a question was given.

What the rules that stop on agreement between answers share: a confidence, a cap, and the majority as the answer.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import betaincc

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import CONTINUE, Decision, Draws, Policy, StopReason, require_cap


def vote_counts(answers: Ints) -> Ints:
    """Votes of each question's distinct answers, most first, [questions, samples]; zeros where there are no more.

    Args:
        answers: [questions, samples]; equal numbers in a row are equal answers, -1 = none: it does not vote.
    """
    questions, samples = answers.shape
    order = np.sort(answers, -1)
    starts = np.ones(order.shape, np.bool_)
    starts[:, 1:] = order[:, 1:] != order[:, :-1]
    group = np.cumsum(starts, -1) - 1
    flat = (group + samples * np.arange(questions)[:, None])[order >= 0]
    counts = np.bincount(flat, minlength=questions * samples).reshape(questions, samples)
    return -np.sort(-counts, -1)


@dataclass(frozen=True)
class ConsistencyRule(Policy):
    """Stops once the leading answer is the most probable one with ``confidence``.

    Attributes:
        confidence: Probability from which it stops, in (0, 1).
        max_samples: Cap, >= 1.
    """

    selection: ClassVar[str] = "majority"

    confidence: float = 0.95
    max_samples: int = 32

    def __post_init__(self) -> None:
        """Checks every range."""
        require_cap(self.max_samples)
        if not 0 < self.confidence < 1:
            raise InputError(f"confidence must lie in (0, 1), got {self.confidence}")

    @abstractmethod
    def _lead(self, votes: Ints) -> Floats:
        """P(the leading answer is the most probable one), from votes [questions, answers], most first."""

    def decide(self, draws: Draws) -> Decision:
        """See the class."""
        lead = self._lead(vote_counts(draws.answers))
        conditions = [(draws.count > 0) & (lead >= self.confidence), draws.count >= self.max_samples]
        reason = np.select(conditions, [StopReason.CONFIDENT.value, StopReason.BUDGET.value], CONTINUE)
        return Decision(draws.count + 1, reason, np.full(draws.count.shape, np.nan))


def beats_runner_up(votes: Ints) -> Floats:
    """P(p1 > 1/2) for the two leading answers under a uniform prior: 1 - I_{1/2}(v1 + 1, v2 + 1)."""
    second = votes[:, 1] if votes.shape[1] > 1 else np.zeros(len(votes))
    return np.asarray(betaincc(votes[:, 0] + 1, second + 1, 0.5))
