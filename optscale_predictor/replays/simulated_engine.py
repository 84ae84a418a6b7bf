"""How long a recorded run would take on an engine with so many places: a simulation, from recorded tokens.

The engine makes one token of every sample under way in each of its steps. A step with m of M places busy takes

    (share + (1 - share) m / M) / rate

seconds: ``rate`` is what each place makes a second when all are busy, ``share`` the part of a step that does not depend
on how many are. At 1 a place is as fast at any load, which is what decoding bound by memory comes near to; at 0 all
places together make as many tokens at any load. Each request keeps the whole engine for ``request`` seconds: it reads
the prompt, and where client, verifier and server share cores with it, it waits for them. As in a live run a request may
be as long as its policy asks for, and those of the questions with most samples go first. Samples that are drawn ahead
together are seen when the last of them has come.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.number_checks import require_number
from optscale_predictor.errors import InputError
from optscale_predictor.policies.width import DrawWidth, Position, Survival


@dataclass(frozen=True)
class EngineModel:
    """How fast an engine is.

    Attributes:
        places: Samples that it draws at once, >= 1.
        rate: Tokens that each place makes a second when all are busy, > 0.
        share: Part of a step's time that does not depend on the places that are busy, in [0, 1].
        request: Seconds in which the engine stands still for each request, >= 0.

    Raises:
        InputError: A number is out of its range.
    """

    places: int
    rate: float = 1.0
    share: float = 1.0
    request: float = 0.0

    def __post_init__(self) -> None:
        """Checks every range."""
        require_number("concurrency", self.places, whole=True)
        for name, value in (
            ("tokens_a_second", self.rate),
            ("step_share", self.share),
            ("request_seconds", self.request),
        ):
            require_number(name, value)
        if self.places < 1:
            raise InputError(f"concurrency must be >= 1, got {self.places}")
        if not self.rate > 0:
            raise InputError(f"tokens_a_second must be > 0, got {self.rate}")
        if not 0 <= self.share <= 1:
            raise InputError(f"step_share must lie in [0, 1], got {self.share}")
        if not self.request >= 0:
            raise InputError(f"request_seconds must be >= 0, got {self.request}")

    def seconds(self, depth: float, busy: int) -> float:
        """Seconds in which every sample under way gets some tokens.

        Args:
            depth: How many tokens, >= 0.
            busy: Places at work, in [0, places].
        """
        return depth * (self.share + (1 - self.share) * busy / self.places) / self.rate


@dataclass(frozen=True)
class SimulatedRun:
    """What a run would take.

    Attributes:
        seconds: From the first request to the last sample.
        samples: Samples that were begun.
        tokens: Tokens generated, those of samples that were not needed or given up included.
        requests: Requests that were sent.
    """

    seconds: float
    samples: float
    tokens: float
    requests: float = 0.0


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
        self._depth = self._seconds = self._spent = 0.0
        self._busy = self._samples = self._requests = self._done = 0
        self._queued = 0  # samples that were asked for and wait for a place
        self._asking: dict[_Course, int] = {}
        self._ends: list[tuple[float, int, _Course, int]] = []
        self._given_up: set[int] = set()
        # As inference.sampling has it: each draws once, then those with most samples go first.
        self._waiting: list[tuple[int, int, int, _Course]] = []
        for course in courses:
            self._ask(course)

    def run(self) -> SimulatedRun:
        self._fill()
        while self._ends:
            end, name, course, index = heapq.heappop(self._ends)
            if name in self._given_up:
                continue
            self._seconds += self._engine.seconds(end - self._depth, self._busy)
            self._depth = end
            self._arrive(course, index)
            self._fill()
        return SimulatedRun(self._seconds, self._samples, self._spent, self._requests)

    @property
    def _free(self) -> int:
        return self._engine.places - self._busy - self._queued

    def _ask(self, course: _Course) -> None:
        """Has a question wait for the samples that its policy asks for."""
        course.wanted = course.total
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
            self._begin(course, first=course.begun == course.seen)
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
        del course.under_way[index]
        self._busy -= 1
        self._done += 1
        self._spent += course.tokens[index]
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
