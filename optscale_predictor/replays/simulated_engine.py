"""How long a recorded run would take on an engine with so many places: a simulation, from recorded tokens.

What the engine is lies in ``engine_model``. As in a live run a request may be as long as its policy asks for, and those
of the questions with most samples go first. Samples that are drawn ahead together are seen when the last of them has
come.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor.policies.width import DrawWidth, Position, Survival
from optscale_predictor.replays.engine_model import EngineModel, SimulatedRun


def simulate(
    asked: Sequence[Sequence[int]],
    tokens: Float[Floats, "questions samples"],
    engine: EngineModel,
    ahead: int | None = None,
) -> SimulatedRun:
    """Simulates the run of one policy over questions that are all known at its start.

    Args:
        asked: Of each question the samples that it has in total after each of its requests, ascending, at least one.
        tokens: Generated tokens of each sample.
        engine: What draws them.
        ahead: The policy's cap, where samples are drawn ahead (``step=auto``); None: they are not.
    """
    return _Simulation(asked, tokens, engine, ahead).run()


@dataclass(eq=False)
class _Course:
    """One question on its way.

    Attributes:
        rank: Its number in the order of asking.
        asked: Samples that it has in total after each of its requests.
        tokens: Of its samples.
        seen: Samples that its policy has seen.
        decisions: How often it was asked since the first.
        wanted: Samples that were asked for, those of a request that waits for a place included.
        begun: Samples of them that were begun.
        sent: The index of the first sample of its latest request that was no draw ahead alone.
        arrived: The indices of those that are done and whose request has come.
        under_way: Of those that are not done, what they are called among all samples, and at which depth they began.
        together: By the index of each sample that was drawn ahead, the samples of its request that are not done.
    """

    rank: int
    asked: Sequence[int]
    tokens: Sequence[float]
    seen: int = 0
    decisions: int = 0
    wanted: int = 0
    begun: int = 0
    sent: int = 0
    arrived: set[int] = field(default_factory=set)
    under_way: dict[int, tuple[int, float]] = field(default_factory=dict)
    together: dict[int, set[int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.asked[self.decisions]

    @property
    def stopped(self) -> bool:
        return self.decisions == len(self.asked)


class _Simulation:
    """The clock counts an engine's steps (``depth``); a sample ends when it has counted its tokens."""

    def __init__(self, asked: Sequence[Sequence[int]], tokens: Floats, engine: EngineModel, ahead: int | None) -> None:
        self._engine = engine
        courses = [_Course(rank, one, row) for rank, (one, row) in enumerate(zip(asked, tokens.tolist(), strict=True))]
        self._survival = None if ahead is None else Survival(ahead)
        self._width: DrawWidth[_Course] = DrawWidth()
        self._depth = self._seconds = self._spent = self._idle = 0.0
        self._busy = self._samples = self._requests = self._done = 0
        self._queued = 0  # samples that were asked for and wait for a place
        self._asking: dict[_Course, int] = {}
        self._ends: list[tuple[float, int, _Course, int]] = []
        self._replies: list[tuple[float, int, _Course, int]] = []
        self._given_up: set[int] = set()
        # As inference.sampling has it: each draws once, then those with most samples go first.
        self._waiting: list[tuple[int, int, int, _Course]] = []
        for course in courses:
            self._ask(course)

    def run(self) -> SimulatedRun:
        self._fill()
        while self._ends or self._replies:
            self._advance()
            self._fill()
        return SimulatedRun(self._seconds, self._samples, self._spent, self._requests, self._depth, self._idle)

    def _advance(self) -> None:
        """Goes on to the next sample's end, or to the next that its question decides on."""
        while self._ends and self._ends[0][1] in self._given_up:
            heapq.heappop(self._ends)
        if self._replies and self._replies[0][0] <= self._next_end():
            at, _, course, index = heapq.heappop(self._replies)
            self._pass_until(at)
            self._arrive(course, index)
        elif self._ends:
            self._seconds = self._next_end() + self._engine.sample
            self._depth, name, course, index = heapq.heappop(self._ends)
            del course.under_way[index]
            self._busy -= 1
            self._done += 1
            self._spent += course.tokens[index]
            if self._engine.delay > 0:
                heapq.heappush(self._replies, (self._seconds + self._engine.delay, name, course, index))
            else:
                self._arrive(course, index)

    def _next_end(self) -> float:
        if not self._ends:
            return float("inf")
        return self._seconds + self._engine.seconds(self._ends[0][0] - self._depth, self._busy)

    def _pass_until(self, at: float) -> None:
        """Lets time pass in which no sample ends."""
        passed = max(at - self._seconds, 0.0)
        if self._busy:
            self._depth += passed / self._engine.seconds(1, self._busy)
        else:
            self._idle += passed
        self._seconds += passed

    @property
    def _free(self) -> int:
        return self._engine.places - self._busy - self._queued

    def _ask(self, course: _Course) -> None:
        """Has a question wait for the samples that its policy asks for."""
        course.wanted, course.sent = course.total, course.begun
        self._queued += course.wanted - course.begun
        self._place(course)
        self._asking[course] = course.wanted - course.begun
        heapq.heappush(self._waiting, (int(course.seen > 0), -course.seen, course.rank, course))

    def _fill(self) -> None:
        """Gives free places to samples that are asked for, then to those that may be needed."""
        if self._survival is not None:
            self._extend()
        while self._busy < self._engine.places and self._waiting:
            course = self._waiting[0][-1]
            self._begin(course, first=course.begun == course.sent)
            if course.begun == course.wanted:
                heapq.heappop(self._waiting)
        if self._width.worth_alone(self._busy / self._engine.places):
            self._draw_ahead()

    def _extend(self) -> None:
        self._width.request_cost = self._engine.request * self._done / self._seconds if self._seconds > 0 else 0.0
        asking, self._asking = self._asking, {}
        self._width.extend(asking, self._free, self._widen)
        for course in asking:
            self._join(course, course.begun, course.wanted)

    def _widen(self, course: _Course) -> None:
        course.wanted += 1
        self._queued += 1
        self._place(course)

    def _draw_ahead(self) -> None:
        chosen: dict[_Course, int] = {}
        while self._free > 0 and (course := self._width.next()) is not None:
            self._widen(course)
            chosen[course] = chosen.get(course, 0) + 1
        for course, count in chosen.items():
            for first in range(course.wanted - count, course.wanted, self._width.together):
                after = min(first + self._width.together, course.wanted)
                self._join(course, first, after)
                for index in range(first, after):
                    self._begin(course, first=index == first)

    def _join(self, course: _Course, first: int, after: int) -> None:
        together = set(range(first, after))
        course.together.update(dict.fromkeys(together, together))

    def _begin(self, course: _Course, first: bool) -> None:
        if first:
            self._requests += 1
            self._seconds += self._engine.request
        self._samples += 1
        self._busy += 1
        self._queued -= 1
        course.under_way[course.begun] = self._samples, self._depth
        end = self._depth + course.tokens[course.begun]
        heapq.heappush(self._ends, (end, self._samples, course, course.begun))
        course.begun += 1

    def _arrive(self, course: _Course, index: int) -> None:
        if course.stopped:  # while it was on its way
            self._width.wasted += course.tokens[index]
            return
        course.together.get(index, set()).discard(index)
        course.arrived.add(index)
        there = course.seen
        while there in course.arrived and not course.together.get(there):
            there += 1
        decisions = course.decisions
        while not course.stopped and course.total <= there:
            self._decide(course)
        if course.stopped:
            self._end(course)
        elif course.decisions > decisions and course.wanted < course.total:
            self._ask(course)
        else:
            self._place(course)

    def _decide(self, course: _Course) -> None:
        """Shows the policy the samples that it asked for."""
        new = course.tokens[course.seen : course.total]
        self._width.note_needed(len(new), sum(new))
        course.seen = course.total
        course.decisions += 1
        if self._survival is not None:
            self._survival.note(course.seen, course.seen if course.stopped else course.total)

    def _end(self, course: _Course) -> None:
        self._width.remove(course)
        for name, since in course.under_way.values():
            self._given_up.add(name)
            self._busy -= 1
            made = max(self._depth - since, 0.0)
            self._spent += made
            self._width.wasted += made
        self._width.wasted += sum(course.tokens[index] for index in course.arrived if index >= course.seen)

    def _place(self, course: _Course) -> None:
        if self._survival is not None and course.wanted > course.seen:
            self._width.place(course, Position(self._survival, course.seen, course.wanted - course.seen))
