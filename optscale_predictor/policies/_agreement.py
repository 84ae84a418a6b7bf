"""What the rules that stop on agreement between answers share: votes, and the probability that the leader is ahead.

A vote is a sample's answer; samples without an answer do not vote. Such rules ask how probable it is that the answer
that leads now is the one that the generator gives most often, and return the majority's answer.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int
from scipy.special import betaincc

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import (
    CONTINUE,
    Decision,
    Draws,
    Policy,
    StopReason,
    next_total,
    require_settings,
    require_step,
)


def vote_counts(answers: Int[Ints, "questions samples"]) -> Int[Ints, "questions samples"]:
    """Votes of each question's distinct answers, most first; zeros where there are no more.

    Args:
        answers: Equal numbers in a row are equal answers, -1 = none: it does not vote.
    """
    questions, samples = answers.shape
    order = np.sort(answers)
    starts = np.ones(order.shape, np.bool_)
    starts[:, 1:] = order[:, 1:] != order[:, :-1]
    group = np.cumsum(starts, 1) - 1
    flat = (group + samples * np.arange(questions)[:, None])[order >= 0]
    counts = np.bincount(flat, minlength=questions * samples).reshape(questions, samples)
    return -np.sort(-counts)


@dataclass(frozen=True)
class ConsistencyRule(Policy):
    """Stops once the leading answer is the most probable one with ``confidence``; subclasses say how probable it is.

    Attributes:
        confidence: Probability from which it stops, in (0, 1).
        max_samples: Cap, >= 1.
        step: How many samples between decisions: ``one``, ``auto`` (one, while free places of the engine draw further
            ones ahead), ``double`` (as many again as drawn) or ``jump`` (as many as it takes to stop if all of them
            agree with the leader). Nothing can stop it earlier, so ``jump`` draws the
            samples that ``one`` does, in fewer rounds; ``double`` may draw more.
    """

    selection: ClassVar[str] = "majority"
    single_steps: ClassVar[bool] = True

    confidence: float = 0.95
    max_samples: int = 32
    step: str = "auto"

    def __post_init__(self) -> None:
        """Checks every range."""
        require_settings(self)
        require_step(self.step, ("auto", "one", "double", "jump"))
        if not 0 < self.confidence < 1:
            raise InputError(f"confidence must lie in (0, 1), got {self.confidence}")

    @abstractmethod
    def _lead(self, votes: Ints) -> Floats:
        """P(the leading answer is the most probable one), from votes [questions, answers], most first."""

    def decide(self, draws: Draws) -> Decision:
        """Stops where the lead is sure enough (``confident``) or the cap is reached (``budget``)."""
        votes = vote_counts(draws.answers)
        lead = self._lead(votes)
        conditions = [(draws.count > 0) & (lead >= self.confidence), draws.count >= self.max_samples]
        reason = np.select(conditions, [StopReason.CONFIDENT.value, StopReason.BUDGET.value], CONTINUE)
        if self.step == "jump":
            total = draws.count + np.where(reason == CONTINUE, self._fewest(votes, self.max_samples - draws.count), 1)
        else:
            total = next_total(draws.count, self.step, self.max_samples)
        return Decision(total, reason, np.full(draws.count.shape, np.nan))

    def _fewest(self, votes: Ints, left: Ints) -> Ints:
        """Further samples after which it may stop at the earliest: votes for the leader; ``left`` if too few."""
        # The lead grows with the leader's votes, so halving finds the first number that is enough.
        below, enough = np.zeros_like(left), np.maximum(left, 1)
        while (enough - below > 1).any():
            middle = (below + enough) // 2
            helped = votes.copy()
            helped[:, 0] += middle
            sure = self._lead(helped) >= self.confidence
            below, enough = np.where(sure, below, middle), np.where(sure, middle, enough)
        return enough


def beats_runner_up(votes: Int[Ints, "questions answers"]) -> Float[Floats, " questions"]:
    """The probability that the leading answer is more frequent than its runner-up.

    With v1 and v2 votes for the two, the leader's share p1 among them is Beta(v1 + 1, v2 + 1) under a uniform prior, so
    P(p1 > 1/2) = 1 - I_{1/2}(v1 + 1, v2 + 1).

    Args:
        votes: As :func:`vote_counts` gives them, most first.
    """
    second = votes[:, 1] if votes.shape[1] > 1 else np.zeros(len(votes))
    return np.asarray(betaincc(votes[:, 0] + 1, second + 1, 0.5))
