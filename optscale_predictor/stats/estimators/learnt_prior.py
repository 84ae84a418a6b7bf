"""A prior that is learnt from the questions of a run as they finish: empirical Bayes, without labels.

All questions share one conjugate prior (mean, std, strength), which maximises the evidence of the scores of those that
have finished (Robbins, 1956; Efron, Large-Scale Inference, 2010, ch. 1), times a weak prior of its own. A policy that
stops at a good score keeps high scores and few of them. Of a likelihood the stopping rule is a constant factor (Berger
and Wolpert, The Likelihood Principle, 1984), so the evidence is not misled by that; a mean of the questions' means is.

Which questions one learns from follows from its number in the order of asking alone, never from what was faster: the
same questions in the same order give the same priors, live and replayed, whatever runs at once.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import fsum
from typing import NamedTuple, Self

import numpy as np
from scipy.special import expit, logit

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics
from optscale_predictor.stats.estimators.evidence import evidence_gradient
from optscale_predictor.stats.estimators.prior import VAGUE, Prior

_NAME = "learnt"
_GROWTH = 2  # a block is at least one part in this many of all questions before it
_MOST = 4096  # questions that are learnt from; further ones would change the prior by less than it matters
# Log odds of the mean, log odds of the variance's share of mean (1 - mean), log strength. Bounded by what scores can
# tell and the tabulated evidence knows. A strength below 1 counts as 1, and one above 32 would leave a question no
# belief of its own: where scores are not truncated normal (0s and 1s), the evidence asks for hundreds.
_CENTRE = np.array([0.0, logit(1 / 3), 0.0])  # the vague prior
# Standard deviations of the weak prior around it. Few questions say little of the strength, and one too high costs more
# than one too low: a question would not be moved by its own scores.
_WIDTH = np.array([1.5, 1.5, 0.3])
_BOUNDS = ((-5.0, 5.0), (-6.0, 3.5), (0.0, np.log(32.0)))
_EDGE = 0.01  # scores closer to 0 or 1 count as this far: of scores that are often exact, the evidence has no bound
_FIRST_STRENGTH = 2.0  # where the search starts
_TOLERANCE = 1e-5  # nats, relative: far below what moves a decision


class Block(NamedTuple):
    """Questions that learn from the same ones.

    Attributes:
        known: How many questions they learn from, >= 0: those of all lower ranks.
        start: The rank of the first of them.
        end: The rank after the last.
    """

    known: int
    start: int
    end: int


@dataclass(frozen=True)
class LearntPrior:
    """Given in a prior's place: each question gets a prior fitted to the scores of questions before it.

    Questions come in blocks, each at least half as long as all before it, and learn from all blocks but their own and
    the last before that. So a question hardly ever waits for those that it learns from, and a run of n questions makes
    about 2.5 log n fits.

    Attributes:
        block: Length of the first blocks, >= 1: twice as many questions begin with the vague prior.

    Raises:
        InputError: ``block`` is below 1.
    """

    block: int = 8

    def __post_init__(self) -> None:
        """Checks the range."""
        if self.block < 1:
            raise InputError(f"block must be >= 1, got {self.block}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a text names: ``learnt``, or ``learnt:block=8``.

        Raises:
            InputError: It names anything else.
        """
        name, colon, setting = text.partition(":")
        key, _, value = setting.partition("=")
        if name == _NAME and not colon:
            return cls()
        if name == _NAME and key == "block" and value.isdecimal() and len(value) < 10:
            return cls(int(value))
        raise InputError(f"prior must be {_NAME} or {_NAME}:block=NUMBER, got {text!r}")

    def __str__(self) -> str:
        """The form that :meth:`parse` reads."""
        return f"{_NAME}:block={self.block}"

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The rank of every block's first question; the last block has no end."""
        starts = [0]
        while starts[-1] < _MOST:
            starts.append(starts[-1] + max(self.block, starts[-1] // _GROWTH))
        return tuple(starts)

    @property
    def most(self) -> int:
        """How many questions are learnt from at most."""
        return self.starts[-2]

    def known_at(self, rank: int) -> int:
        """How many questions the one of a rank >= 0 learns from: those of all lower ranks."""
        return self.starts[max(bisect_right(self.starts, rank) - 2, 0)]

    def known_of(self, finished: int) -> int:
        """How many questions one learns from that waits for none, where the first ``finished`` >= 0 have finished."""
        return self.starts[min(bisect_right(self.starts, finished) - 1, len(self.starts) - 2)]

    def blocks(self, num_questions: int) -> Iterator[Block]:
        """The blocks of a run, in their order.

        Args:
            num_questions: Of the run, >= 0.
        """
        for start, end in zip(self.starts, (*self.starts[1:], num_questions), strict=True):
            if start < num_questions:
                yield Block(self.known_at(start), start, min(end, num_questions))


def is_learnt(text: str) -> bool:
    """Whether a text is a :class:`LearntPrior` in the form that it has in records."""
    return text.startswith(f"{_NAME}:")


def fit_prior(observed: ScoreStatistics) -> Prior:
    """The one prior of many questions that maximises their scores' evidence, times a weak prior on it.

    Without any score it is the vague prior, and the first scores move it smoothly.

    Args:
        observed: The questions' scores as :func:`summarize` gives them, however their numbers came about; [questions].

    Returns:
        A prior of one question, its mean in [0.0067, 0.9933] and its strength in [1, 32].
    """
    drawn = observed.count > 0
    if not np.any(drawn):
        return VAGUE
    seen = ScoreStatistics(observed.count[drawn], observed.mean[drawn], observed.variance[drawn])
    from scipy.optimize import minimize  # half a second to import, for those who learn alone

    found = minimize(
        _loss, _start(seen), (seen,), method="L-BFGS-B", jac=True, bounds=_BOUNDS, options={"ftol": _TOLERANCE}
    )
    return _prior(found.x)


def summarize(scores: Sequence[Sequence[float]]) -> ScoreStatistics:
    """Count, mean and variance of each question's scores, to the bit whatever order they are in.

    Scores within 0.01 of 0 or 1 are moved there: verifiers that give exact 0s and 1s have no density.

    Args:
        scores: Each question's, in [0, 1].
    """
    rows = np.array([_summary(one) for one in scores], np.float64).reshape(-1, 3)
    return ScoreStatistics(*rows.T)


def _summary(scores: Sequence[float]) -> tuple[int, float, float]:
    # Exact sums: those of arrays depend on how wide the array is, which differs between live runs and replays.
    count = len(scores)
    if not count:
        return 0, 0.5, 0.0
    inside = [min(max(score, _EDGE), 1 - _EDGE) for score in scores]
    mean = fsum(inside) / count
    return count, mean, fsum((score - mean) ** 2 for score in inside) / count


def _start(seen: ScoreStatistics) -> Floats:
    """The moments of all scores together, which a stopping rule may bias; good enough to start from."""
    weight = seen.count / seen.count.sum()
    mean = float(np.clip(weight @ seen.mean, 0.01, 0.99))
    share = float(np.clip(weight @ (seen.variance + (seen.mean - mean) ** 2) / (mean * (1 - mean)), 0.001, 0.95))
    return np.array([logit(mean), logit(share), np.log(_FIRST_STRENGTH)])


def _prior(point: Floats) -> Prior:
    mean, share, strength = expit(point[0]), expit(point[1]), np.exp(point[2])
    return Prior(mean, np.sqrt(share * mean * (1 - mean)), strength)


def _loss(point: Floats, seen: ScoreStatistics) -> tuple[float, Floats]:
    """Minus the log evidence, less the log of the weak prior; and its gradient."""
    prior = _prior(point)
    found = evidence_gradient(prior, seen)
    by_mean, by_std, by_strength = (part.sum() for part in (found.by_mean, found.by_std, found.by_strength))
    mean, std, share = prior.mean, prior.std, expit(point[1])
    gradient = np.array(
        [
            by_mean * mean * (1 - mean) + by_std * std * (1 - 2 * mean) / 2,
            by_std * std * (1 - share) / 2,
            by_strength * prior.strength,
        ]
    )
    off = (point - _CENTRE) / _WIDTH
    return float((off**2).sum() / 2 - found.log_evidence.sum()), off / _WIDTH - gradient
