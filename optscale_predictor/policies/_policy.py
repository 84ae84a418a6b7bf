"""The policy protocol: what a stopping rule sees, and what it says.

A policy is a pure function of what has been drawn, for a batch of questions at once. It keeps no state between calls,
so the same policy over the same samples decides the same, live or replayed, one question at a time or thousands.
``step`` is where it is asked.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from optscale_predictor._support.arrays import Array, Bools, Floats, Ints
from optscale_predictor._support.number_checks import require_number
from optscale_predictor.errors import InputError
from optscale_predictor.policies._memo import PrefixMemo
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics, fitted_moments, pooled_moments
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.posterior import believed_statistics
from optscale_predictor.stats.estimators.prior import VAGUE
from optscale_predictor.stats.estimators.standard_posterior import LEAST_COUNT, StandardPosteriors


class StopReason(StrEnum):
    """Why a question got no further sample."""

    REACHED = "reached"  # a usable sample already scored >= score_min
    CONFIDENT = "confident"  # as many samples drawn as the bound asks for
    UNREACHABLE = "unreachable"  # the cap would not bring P(best >= score_min) to the floor
    PRICE = "price"  # no further sample is expected to be worth its tokens
    BUDGET = "budget"  # the policy's cap


CONTINUE = ""  # in place of a reason: the question is not stopped
MOST_SAMPLES = (1 << 31) - 1  # of one question, as pools number them


@dataclass(frozen=True)
class Draws:
    """What has been drawn so far for a batch of questions.

    Attributes:
        scores: In [0, 1]; NaN = not drawn. Drawn samples come first in every row.
        answer_source: ``answers``, or what finds them when they are first looked at: comparing answers takes time, and
            most policies look at scores alone.
        tokens: Generated tokens; NaN = not drawn.
        count: Samples drawn, >= 0.
        prior: One prior a question, or None.
        traced: Whether somebody reads the estimates of the samples needed (``Decision.needed``); a replay of thousands
            of settings does not, and saves their cost.
        memo: What earlier decisions computed from the same samples, or None.
        rows: The questions' rows in the memo.
        hindsight: The scores of all recorded samples, drawn or not, -inf for those that are not usable; None in a
            live run. Only the bounds that no policy can beat may look.
        usable: Whether a sample may be returned. One that was cut off before it gave an answer is returned only where
            there is nothing else; by default all are usable.
    """

    scores: Float[Floats, "questions samples"]
    answer_source: Int[Ints, "questions samples"] | Callable[[], Int[Ints, "questions samples"]]
    tokens: Float[Floats, "questions samples"]
    count: Int[Ints, " questions"]
    prior: Prior | None
    traced: bool = True
    memo: PrefixMemo | None = None
    rows: Int[Ints, " questions"] | None = None
    hindsight: Float[Floats, "questions depth"] | None = None
    usable: Bool[Bools, "#questions #samples"] = field(default_factory=lambda: np.ones((1, 1), np.bool_))

    @cached_property
    def answers(self) -> Int[Ints, "questions samples"]:
        """Equal numbers in a row are equal answers, -1 = no answer found or not drawn."""
        return self.answer_source() if callable(self.answer_source) else self.answer_source

    def take(self, questions: Int[Ints, " some"]) -> "Draws":
        """The questions at these indices."""
        prior = None if self.prior is None else self.prior.broadcast_to(len(self.count)).take(questions)
        rows = None if self.rows is None else self.rows[questions]
        return replace(
            self,
            scores=self.scores[questions],
            answer_source=lambda: self.answers[questions],
            tokens=self.tokens[questions],
            count=self.count[questions],
            prior=prior,
            rows=rows,
            hindsight=None if self.hindsight is None else self.hindsight[questions],
            usable=np.broadcast_to(self.usable, self.scores.shape)[questions],
        )

    def without_prior(self) -> "Draws":
        """The same draws as they look where no prior is known."""
        return replace(self, prior=None)

    def remember(
        self, key: Hashable, compute: "Callable[[Draws], Float[Floats, 'some ...']]"
    ) -> Float[Floats, "questions ..."]:
        """``compute`` of these draws, taken from the memo where it is known.

        Args:
            key: What is computed, with every setting that it depends on. The samples and the prior go without saying.
            compute: Gives one value, of any shape, for each question of the draws that it gets.
        """
        if self.memo is None or self.rows is None:
            return compute(self)
        found: Floats = self.memo.lookup(key, self.rows, self.count, lambda missing: compute(self.take(missing)))
        return found

    @cached_property
    def believed(self) -> tuple[Floats, Floats, Floats]:
        """Count >= 1, mean and variance of samples and prior together, [questions] each."""
        statistics = believed_statistics(self.scores, VAGUE if self.prior is None else self.prior)
        return (np.maximum(statistics.count, LEAST_COUNT), *fitted_moments(statistics))

    @cached_property
    def believed_alone(self) -> tuple[float, float, float]:
        """The same of one question, as plain numbers."""
        prior = VAGUE if self.prior is None else self.prior
        parts = prior.strength.item(), prior.mean.item(), prior.std.item() ** 2
        count, mean, variance = pooled_moments(self.scores[0].tolist(), parts)
        return max(count, LEAST_COUNT), mean, variance

    @cached_property
    def standard_posteriors(self) -> StandardPosteriors:
        """What the samples and the prior make likely; where there is one question, without the axis of questions."""
        if len(self.count) == 1:
            return StandardPosteriors(ScoreStatistics(*map(np.asarray, self.believed_alone)))
        return StandardPosteriors(ScoreStatistics(*self.believed))

    def best_score(self) -> Float[Floats, " questions"]:
        """Best score so far of a sample that is usable; -inf where there is none."""
        # NaN is passed over.
        return np.asarray(np.fmax.reduce(np.where(self.usable, self.scores, -np.inf), 1, initial=-np.inf))

    def mean_tokens(self) -> Float[Floats, " questions"]:
        """Mean tokens of a question's samples so far: what the next is expected to cost; 0 before the first."""
        return np.asarray(np.nansum(self.tokens, 1) / np.maximum(self.count, 1))


@dataclass(frozen=True)
class Decision:
    """What a policy says of each question.

    Attributes:
        total: Samples that the question should have in total before it is asked about again; may exceed the cap.
        reason: A :class:`StopReason`'s value, or ``CONTINUE``. A stopped question's total is ignored.
        needed: Its present estimate of the samples needed (N*), >= 1; NaN where it makes none, or nobody reads it.
    """

    total: Int[Ints, " questions"]
    reason: Shaped[Array[np.str_], " questions"]
    needed: Float[Floats, " questions"]


class Policy(ABC):
    """A stopping rule. Subclasses are frozen dataclasses whose fields are the rule's settings.

    Attributes:
        name: What it is called.
        selection: How the answer is chosen, by default.
        needs_prior: Whether it cannot decide without a prior.
        joint: Whether questions compete for a common budget. Such a policy always sees the whole batch, and a question
            whose total is what it has waits.
        tabulated: Settings whose values each take a table that is slow to compute: not for a server's clients to vary.
        single_steps: Whether ``step=auto`` asks for one sample at a time, which any engine may draw ahead.
        max_samples: Cap on a question's samples.
    """

    name: ClassVar[str]
    selection: ClassVar[str] = "best_score"
    needs_prior: ClassVar[bool] = False
    joint: ClassVar[bool] = False
    tabulated: ClassVar[tuple[str, ...]] = ()
    single_steps: ClassVar[bool] = False
    max_samples: int

    @property
    def estimates_on_request(self) -> bool:
        """Whether it decides without estimating the samples needed, which it does only of draws that are ``traced``."""
        return False

    @property
    def widens(self) -> bool:
        """Whether free places of an engine draw its samples ahead (``step=auto``, ``policies.width``)."""
        return getattr(self, "step", "") == "auto"

    @abstractmethod
    def decide(self, draws: Draws) -> Decision:
        """How many samples each question should have, or why it gets no more."""

    def describe(self) -> dict[str, object]:
        """Name and settings, JSON types."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]

    def __str__(self) -> str:
        """The form that :func:`parse_policy` reads."""
        settings = ",".join(f"{key}={value}" for key, value in self.describe().items() if key != "name")
        return f"{self.name}:{settings}"

    def _require_prior(self, draws: Draws) -> Prior:
        if draws.prior is None:
            raise InputError(f"policy {self.name!r} needs a prior: give a predictor, or a constant prior")
        return draws.prior


def require_settings(policy: Policy) -> None:
    """Checks that a policy's settings are numbers where they should be, and its cap.

    Args:
        policy: A dataclass. The ranges of its other settings are its own to check.

    Raises:
        InputError: A setting is a list, say, or NaN, or the cap is below 1, or more than a pool can hold.
    """
    for one in fields(policy):  # type: ignore[arg-type]
        if one.type in (int, float):
            require_number(one.name, getattr(policy, one.name), whole=one.type is int)
    require_samples("max_samples", policy.max_samples, 1)


def require_samples(setting: str, value: int, least: int) -> None:
    """Checks a setting that is a number of samples of one question.

    Args:
        setting: Its name.
        value: Its value.
        least: The least that it may be, >= 1.

    Raises:
        InputError: It is less, or more than a pool can hold.
    """
    if not value >= least:
        raise InputError(f"{setting} must be >= {least}, got {value}")
    if value > MOST_SAMPLES:
        raise InputError(f"{setting} must be <= {MOST_SAMPLES}, got {str(value)[:40]}")


def require_step(step: str, known: tuple[str, ...]) -> None:
    """Checks how many samples a policy draws between decisions.

    Args:
        step: The setting.
        known: What the policy knows.

    Raises:
        InputError: It is not known.
    """
    if step not in known:
        *others, last = map(repr, known)
        raise InputError(f"step must be {', '.join(others)} or {last}, got {step!r}")


def next_total(count: Int[Ints, " questions"], step: str, max_samples: int) -> Int[Ints, " questions"]:
    """Samples to go on to: at least one more, and no more than the cap unless that is drawn already.

    Args:
        count: Samples drawn, >= 0.
        step: ``double``: as many again as drawn; ``one`` or ``auto``: one more.
        max_samples: Cap, >= 1.
    """
    total = np.maximum(2 * count, 1) if step == "double" else count + 1
    return np.minimum(total, np.maximum(max_samples, count + 1))


def decide_alone(count: int, reason: str, step: str, max_samples: int) -> Decision:
    """What :func:`next_total` and a reason come to for one question of which no estimate is made, by plain numbers.

    Args:
        count: Samples drawn, >= 0.
        reason: A :class:`StopReason`'s value, or ``CONTINUE``.
        step: As of :func:`next_total`.
        max_samples: Cap, >= 1.
    """
    total = max(2 * count, 1) if step == "double" else count + 1
    total = min(total, max(max_samples, count + 1))
    return Decision(np.array([total]), np.array([reason], "U16"), np.array([np.nan]))


def decide_by_need(
    draws: Draws, total: Int[Ints, " questions"], needed: Float[Floats, " questions"], max_samples: int
) -> Decision:
    """Stops where enough is drawn (``confident``) or the cap is reached (``budget``); else goes on.

    Args:
        draws: What was drawn.
        total: Samples to go on to; at least one more than there are is asked for.
        needed: Samples that are enough, >= 1; inf where no number is.
        max_samples: Cap, >= 1.
    """
    reason = np.select(
        [draws.count >= needed, draws.count >= max_samples],
        [StopReason.CONFIDENT.value, StopReason.BUDGET.value],
        CONTINUE,
    )
    return Decision(np.clip(total, draws.count + 1, max_samples), reason, needed)
