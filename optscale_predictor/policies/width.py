"""How many samples of a question to draw at once, by the engine's load: what ``step=auto`` means.

A question that goes on needs its next sample for certain, and those after it only if it does not stop before. While an
engine has free places, drawing such a sample ahead costs no time; where it turns out not to be needed, it costs its
tokens. So free places go to the samples that are most likely to be needed, as long as the tokens that are expected to
be spent in vain stay below a share (``EXTRA``) of those that are needed.

How likely a question is to go on is learnt from the run itself (:class:`Survival`): of the questions that had n
samples, the share that stopped there. That holds for every policy, and needs no further computation. The policy's own
estimate of the chance is not used: over recorded arithmetic samples a posterior that said 0.87 was right 40% of the
time (docs/experiments/live_runs.md).

A request costs something beside its samples: prompts are read, and where client, verifier and engine share cores they
keep each other waiting. A question that asks for its next sample asks at once for those after it that are likely
enough to save a request (:meth:`DrawWidth.extend`), whether or not places are free, within the same limit. And the
more a request costs, the more of the engine must be free before one is sent for samples drawn ahead alone; where half
of it is free, one always is.

Which samples a question has does not depend on any of this, and neither do its decisions: a policy sees samples in
their order. Only what is drawn beyond its stop does.
"""

from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

EXTRA = 0.13  # tokens in vain for each that is needed: 0.15 is promised, and what is expected errs
_WEIGHT = 4.0  # questions that the assumption before the first one counts for
TOGETHER = 8  # samples of one request at most: the first of them is seen when the last has come
_CHEAP = 0.05  # of a sample's cost: requests that cost less are not saved
_IDLE = 0.5  # of the engine's places: while fewer are taken, a request keeps nobody waiting
_PRICE = 4.0  # share of the places that must be free for a request that costs as much as a sample
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

    def note(self, count: int, total: int) -> None:
        """Learns from a decision.

        Args:
            count: Samples that the question had, >= 0; none teaches nothing.
            total: Samples that it should have before the next decision; ``count`` where it stopped. It cannot stop in
                between.
        """
        last = min(max(total - 1, count), self.cap)
        if 0 < count <= last:
            self._asked[count - 1 : last] += 1
            self._stopped[count - 1] += total == count
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
        request_cost: What a request costs beside its samples, in samples' cost, >= 0.
    """

    def __init__(self, extra: float = EXTRA) -> None:
        self._extra = extra
        self.needed = self.wasted = self.request_cost = 0.0
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

    @property
    def is_empty(self) -> bool:
        """Whether no question has a sample under way."""
        return not self._of

    def note_needed(self, samples: int, tokens: float) -> None:
        """Counts samples that a policy has come to see."""
        self._samples += samples
        self.needed += tokens

    def next(self) -> Question | None:
        """The question whose next sample is most likely to be needed; None where that is not worth its tokens."""
        best, chosen = 0.0, None
        for position, questions in self._alike.items():
            chance = position.survival.chance(position.seen, position.ahead)
            if chance > best:
                best, chosen = chance, questions
        return next(iter(chosen)) if chosen is not None and self._affordable(best) else None

    @property
    def together(self) -> int:
        """Samples of one request at most; one where requests are cheap, for each by itself is seen earlier."""
        return TOGETHER if self.request_cost > _CHEAP else 1

    def extend(self, counts: dict[Question, int], free: int, widen: Callable[[Question], object]) -> int:
        """Has questions that ask for a sample ask for more with it, as far as that is worth it.

        A sample that turns out to be needed has saved a request; one that does not has cost a sample. On a free place
        it costs no time.

        Args:
            counts: How many samples each question asks for, >= 1; raised.
            free: Places that are free beside those.
            widen: Called with a question for each further sample; it places the question anew.

        Returns:
            The places that are left, which may be none or fewer.
        """
        if self.together == 1:
            return free
        for question in counts:
            while counts[question] < self.together and self._saves(question):
                widen(question)
                counts[question] += 1
                free -= 1
        while free > 0:
            open_ones = (question for question, count in counts.items() if count < self.together)
            likeliest = max(open_ones, key=self._chance, default=None)
            if likeliest is None or not self._affordable(self._chance(likeliest)):
                break
            widen(likeliest)
            counts[likeliest] += 1
            free -= 1
        return free

    def _saves(self, question: Question) -> bool:
        chance = self._chance(question)
        return chance * self.request_cost > 1 - chance and self._affordable(chance)

    def _chance(self, question: Question) -> float:
        survival, seen, ahead = self._of[question]
        return survival.chance(seen, ahead)

    def worth_alone(self, busy: float) -> bool:
        """Whether requests should be sent for samples that are drawn ahead alone.

        Args:
            busy: Share of the engine's places that are taken, >= 0.
        """
        return self.together == 1 or busy < max(_IDLE, 1 - _PRICE * self.request_cost)

    def _affordable(self, chance: float) -> bool:
        """Whether a sample that is needed with some chance keeps what is expected in vain below its share."""
        sure, under_way = 0.0, 0
        for (survival, seen, ahead), questions in self._alike.items():
            sure += len(questions) * survival.needed(seen, ahead)
            under_way += len(questions) * ahead
        tokens = self.needed / self._samples if self._samples else 1.0  # of a sample
        if chance == 0:  # beyond the cap
            return False
        vain = self.wasted + (under_way - sure + 1 - chance) * tokens
        return vain <= self._extra * (self.needed + (sure + chance) * tokens)
