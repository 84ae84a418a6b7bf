"""How many samples of a question to draw at once, by the engine's load: what ``step=auto`` means.

A question that goes on needs its next sample for certain, and those after it only if it does not stop before. While an
engine has free places, drawing such a sample ahead costs no time; where it turns out not to be needed, it costs its
tokens. So free places go to the samples that are most likely to be needed, as long as the tokens that are expected to
be spent in vain stay below a share (``EXTRA``) of those that are needed.

How likely a question is to go on is learnt from the run itself (:class:`Survival`): of the questions that had n
samples, the share that stopped there. That holds for every policy, and needs no further computation. The policy's own
estimate of the chance is not used: over recorded arithmetic samples a posterior that said 0.87 was right 40% of the
time (docs/experiments/live_runs.md).

Which samples a question has does not depend on any of this, and neither do its decisions: a policy sees samples in
their order. Only what is drawn beyond its stop does.
"""

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

EXTRA = 0.13  # tokens in vain for each that is needed: 0.15 is promised, and what is expected errs
_WEIGHT = 4.0  # questions that the assumption before the first one counts for
_MOST = 512  # samples of a question beyond which nothing is drawn ahead

Question = TypeVar("Question", bound=Hashable)


class Survival:
    """How many questions go on after n samples: a Kaplan-Meier estimate that starts from an assumption.

    Before any question has stopped, one that has n samples is assumed to stop there with probability 1 / (n + 1/3): the
    more it has, the less likely. For n > 1 that is a little more than the rule of succession, so that little is drawn
    ahead on an assumption alone.

    Args:
        cap: Most samples of a question, >= 1.

    Attributes:
        cap: Samples of a question up to which one may be drawn ahead.
    """

    def __init__(self, cap: int) -> None:
        self.cap = min(cap, _MOST)
        counts = np.arange(1, self.cap + 1)
        self._asked, self._stopped = np.full(self.cap, _WEIGHT), _WEIGHT / (counts + 1 / 3)
        self._known: tuple[list[float], list[float]] | None = None

    def note(self, count: int, stopped: bool) -> None:
        """Learns from a decision.

        Args:
            count: Samples that the question had, >= 0; none teaches nothing.
            stopped: Whether it stopped there.
        """
        if 0 < count <= self.cap:
            self._asked[count - 1] += 1
            self._stopped[count - 1] += stopped
            self._known = None

    @property
    def going(self) -> tuple[list[float], list[float]]:
        """For n = 0, 1, ...: the share of questions that go on after their n-th sample, and the sum over all before."""
        if self._known is None:
            share = np.cumprod(np.concatenate([[1.0], 1 - self._stopped / self._asked]))
            self._known = share.tolist(), np.concatenate([[0.0], np.cumsum(share)]).tolist()
        return self._known

    def chance(self, seen: int, ahead: int) -> float:
        """The chance that a question needs its sample number ``seen + ahead + 1``; 0 beyond the cap.

        Args:
            seen: Samples after which it went on, >= 0.
            ahead: Samples drawn or under way beyond those, >= 0.
        """
        share, _ = self.going
        return share[seen + ahead] / share[seen] if seen + ahead < self.cap and share[seen] > 0 else 0.0

    def needed(self, seen: int, ahead: int) -> float:
        """How many of the ``ahead`` samples after the first ``seen`` are expected to be needed."""
        share, before = self.going
        if seen + ahead > self.cap or not share[seen] > 0:
            return float(ahead)
        return (before[seen + ahead] - before[seen]) / share[seen]


class Position(NamedTuple):
    """How far a question is.

    Attributes:
        survival: Of the questions of its policy.
        seen: Samples that its policy has seen.
        ahead: Samples beyond those that are drawn or under way, >= 1.
    """

    survival: Survival
    seen: int
    ahead: int


class DrawWidth(Generic[Question]):
    """Which question should draw one more sample ahead, and whether any should.

    Args:
        extra: Tokens that may be spent in vain for each that is needed, >= 0.

    Attributes:
        needed: Tokens of samples that a policy has seen.
        wasted: Tokens of samples that none has seen when its question stopped, and of those given up under way.
    """

    def __init__(self, extra: float = EXTRA) -> None:
        self._extra = extra
        self.needed = self.wasted = 0.0
        self._samples = 0
        # Questions that are equally far are equally likely to need a sample: there are few kinds of them.
        self._alike: dict[Position, dict[Question, None]] = {}
        self._of: dict[Question, Position] = {}

    def place(self, question: Question, position: Position) -> None:
        """Says how far a question is that has a sample under way."""
        self.remove(question)
        self._of[question] = position
        self._alike.setdefault(position, {})[question] = None

    def remove(self, question: Question) -> None:
        """Forgets a question: it has stopped, or none of its samples is under way."""
        position = self._of.pop(question, None)
        if position is not None:
            del self._alike[position][question]
            if not self._alike[position]:
                del self._alike[position]

    def note_needed(self, samples: int, tokens: float) -> None:
        """Counts samples that a policy has come to see."""
        self._samples += samples
        self.needed += tokens

    def next(self) -> Question | None:
        """The question whose next sample is most likely to be needed; None where that is not worth its tokens."""
        best, chosen, sure, under_way = 0.0, None, 0.0, 0
        for position, questions in self._alike.items():
            survival, seen, ahead = position
            sure += len(questions) * survival.needed(seen, ahead)
            under_way += len(questions) * ahead
            chance = survival.chance(seen, ahead)
            if chance > best:
                best, chosen = chance, questions
        if chosen is None:
            return None
        tokens = self.needed / self._samples if self._samples else 1.0  # of a sample
        vain = self.wasted + (under_way - sure + 1 - best) * tokens
        if vain > self._extra * (self.needed + (sure + best) * tokens):
            return None
        return next(iter(chosen))
