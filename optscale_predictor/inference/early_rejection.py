"""When a sample that is being drawn will hardly beat the best one so far: the rule of early rejection.

A verifier that can score a prefix is asked after every so many tokens of a sample. What such a partial score says of
the final one is learnt from the run's own samples that were drawn to their end: of those that looked as well as it or
little better at the same length, the share whose final score beats the best so far is taken for the chance that this
one will. It errs upwards, as long as what looks better ends no worse; one that looks better than all goes on. Where the
chance lies below ``risk``, the sample is stopped. After Speculative Rejection (Sun et al., NeurIPS 2024, arXiv
2410.20290), which stops a fixed share of a large batch by its partial rewards.

Which samples are drawn to their end depends on their partial scores, and what is learnt is the final score given the
partial one: that selection does not bias it.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isnan
from typing import NamedTuple

from optscale_predictor._support.number_checks import require_number
from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.errors import InputError

_MOST_PAIRS = 4096  # that are kept for each length: more say little new, and each costs a place in a sorted list


@dataclass(frozen=True)
class EarlyRejection:
    """Settings of early rejection.

    Attributes:
        tokens: Tokens of a segment, >= 1: how often a sample that is being drawn is looked at.
        risk: Chance of beating the best so far below which a sample is stopped, in (0, 0.5].
    """

    tokens: int = 64
    risk: float = 0.05

    def __post_init__(self) -> None:
        """Checks every range."""
        require_number("tokens", self.tokens, whole=True)
        require_number("risk", self.risk)
        if not self.tokens >= 1:
            raise InputError(f"tokens of a segment must be >= 1, got {self.tokens}")
        if not 0 < self.risk <= 0.5:
            raise InputError(f"risk must lie in (0, 0.5], got {self.risk}")

    @classmethod
    def parse(cls, text: str) -> "EarlyRejection":
        """The settings as a command line gives them: ``tokens=64,risk=0.05``, either of them, or nothing.

        Raises:
            InputError: It is something else, or a number is out of its range.
        """
        kinds, given = {"tokens": int, "risk": float}, dict[str, float]()
        for piece in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = (part.strip() for part in piece.partition("="))
            try:
                given[name] = kinds[name](value)
            except (KeyError, ValueError):
                raise InputError(f"reject: expected tokens=NUMBER,risk=NUMBER, got {piece!r}") from None
        return cls(**given)  # type: ignore[arg-type]

    @property
    def neighbours(self) -> int:
        """Finished samples that a judgement looks at: with this many, one of them may beat the best so far."""
        return ceil(2 / self.risk)

    def __str__(self) -> str:
        """The form that :meth:`parse` reads."""
        return f"tokens={self.tokens},risk={self.risk:g}"


class Finished(NamedTuple):
    """A sample that was drawn to its end, as it looked earlier.

    Attributes:
        partial: Its prefix's score, in [0, 1].
        final: Its own, in [0, 1].
    """

    partial: float
    final: float


class Verdict(NamedTuple):
    """What stands for the final score of a sample that is stopped, which nobody knows.

    Attributes:
        stand_in: A score that it might have had, in [0, 1], at most the best so far: that of a finished sample which
            looked like it, one of several. Policies see it.
        mean: Of the scores of those.
    """

    stand_in: float
    mean: float


class RejectionRule:
    """Learns from finished samples, and judges those under way; one for a run.

    Args:
        settings: How often, and how sure it must be.
    """

    def __init__(self, settings: EarlyRejection) -> None:
        self.settings = settings
        self._finished: dict[int, list[Finished]] = {}

    def learn(self, partials: Sequence[float], final: float) -> None:
        """Takes in a sample that was drawn to its end.

        Args:
            partials: The scores of its prefixes of 1, 2, ... segments, in [0, 1]; NaN where there is none.
            final: Its score, in [0, 1].
        """
        for segments, partial in enumerate(partials, start=1):
            there = self._finished.setdefault(segments, [])
            if not isnan(partial) and len(there) < _MOST_PAIRS:
                # Equal partial scores stay in the order they came: in that of their final scores, the nearest of many
                # equal ones would be the lowest.
                insort(there, Finished(partial, final), key=_partial)

    def judge(self, segments: int, partial: float, best: float, luck: float) -> Verdict | None:
        """Whether a sample is stopped; None where it goes on.

        It goes on while few samples have finished that looked as well after as many segments.

        Args:
            segments: It has so far, >= 1.
            partial: The score of what there is of it, in [0, 1]; NaN where there is none.
            best: The best score so far of the question's samples; -inf where there is none.
            luck: A random number in [0, 1), which chooses the stand-in.
        """
        there, number = self._finished.get(segments, []), self.settings.neighbours
        start = bisect_left(there, partial, key=_partial)
        near = there[start : start + number]
        if isnan(partial) or len(near) < number:
            return None
        below = [one.final for one in near if one.final <= best]
        # As if one more had beaten it: of 40 that have not, one cannot conclude that none ever does.
        if (number - len(below) + 1) / (number + 1) >= self.settings.risk:
            return None
        return Verdict(below[int(luck * len(below))], sum(below) / len(below))


def _partial(one: Finished) -> float:
    return one.partial


def require_rejectable(
    continues_from: str, scores_prefixes: bool, sampling: SamplingParams, selections: Sequence[str]
) -> None:
    """Checks that early rejection can be used.

    Args:
        continues_from: As of the generator.
        scores_prefixes: As of the verifier; False where there is none.
        sampling: How samples are drawn.
        selections: How the policies choose their answers.

    Raises:
        InputError: The engine cannot go on with a sample, the verifier cannot score a part of one, samples are greedy,
            lose their thinking or come with log-probabilities, or an answer is chosen by agreement.
    """
    if not continues_from:
        raise InputError("early rejection: this generator cannot go on with a sample (a chat endpoint, or a pool)")
    if not scores_prefixes:
        raise InputError("early rejection: this verifier does not score a part of a sample (scores_prefixes)")
    if sampling.temperature == 0:
        raise InputError("early rejection: samples at temperature 0 are all one and the same")
    if sampling.thinking != "keep":
        raise InputError(f"early rejection needs thinking=keep, got {sampling.thinking}")
    if sampling.logprobs:
        raise InputError("early rejection: log-probabilities are not put together over segments; leave one of the two")
    for selection in selections:
        if selection != "best_score":
            raise InputError(
                f"early rejection goes with selection best_score, got {selection}: a stopped sample votes not"
            )
