"""Samples drawn before it is certain that they are needed, while the engine has free places (``step=auto``).

What is drawn ahead is decided by ``policies.width``, which simulated runs call as well. A sample has the seed that it
has whenever and with whichever others it is drawn: the samples of a question, its decisions and its answer are those of
``step=one``, whatever the load was. Where an engine draws the samples of one request as it draws those of requests for
one each (``DrawSession.joins``), some share a request; elsewhere each has its own. When a question stops, what is still
under way for it is given up at once.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from optscale_predictor._support.task_completion import ended
from optscale_predictor.inference.request_cost import RequestCost
from optscale_predictor.inference.sampling import SampleDrawer, ScoredSample, generated_tokens
from optscale_predictor.policies.width import DrawWidth, Position, Survival

#: Draws and scores samples: the index of the first, and how many; None where a limit does not allow it.
Draw = Callable[[int, int], Coroutine[object, object, list[ScoredSample] | None]]


class AheadScheduler:
    """Gives the engine's free places to the questions of a session that most likely need a further sample.

    Args:
        drawer: Knows how many places are free, and says when that changes.
        cost: What a request costs beside its samples.
    """

    def __init__(self, drawer: SampleDrawer, cost: RequestCost) -> None:
        self._drawer, self._cost = drawer, cost
        self._width: DrawWidth[DrawsAhead] = DrawWidth()
        self._asking: dict[DrawsAhead, tuple[asyncio.Future[None], int]] = {}
        self._scheduled = False
        drawer.on_free = self.check

    @property
    def joins(self) -> bool:
        """Whether samples of a question may share a request."""
        return self._drawer.joins

    async def ask(self, draws: "DrawsAhead", count: int) -> None:
        """Returns when a question's next samples were begun, and with them those that are worth asking for at once.

        Args:
            draws: The question's.
            count: Samples that it needs for certain, >= 1.
        """
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking[draws] = begun, count
        self._schedule()
        try:
            await begun
        finally:
            self._asking.pop(draws, None)

    def place(self, draws: "DrawsAhead", position: Position) -> None:
        """Says how far a question is that has a sample under way."""
        self._width.place(draws, position)
        self.check()

    def remove(self, draws: "DrawsAhead") -> None:
        """Forgets a question, of which nothing is awaited."""
        self._width.remove(draws)

    def note_needed(self, new: Sequence[ScoredSample]) -> None:
        """Counts samples that a policy comes to see."""
        self._width.note_needed(len(new), generated_tokens([one.sample for one in new]))

    def count_wasted(self, tokens: int) -> None:
        """Counts tokens that were generated and that no policy has seen."""
        self._width.wasted += tokens

    @property
    def under_way(self) -> int:
        """Samples under way at the engine, or waiting for it."""
        return self._drawer.under_way

    def check(self) -> None:
        """Sees whether free places are worth using, when everything that is ready to run has run."""
        if (self._asking or not self._width.is_empty) and self._drawer.free > 0:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            # Later in the loop's queue: a question that has just got a sample asks for its next one first.
            asyncio.get_running_loop().call_soon(self._fill)

    def _fill(self) -> None:
        self._scheduled = False
        self._width.request_cost = self._cost.share() if self.joins else 0.0
        asking, self._asking = self._asking, {}
        needed = {draws: count for draws, (begun, count) in asking.items() if not begun.done()}
        counts, free = dict(needed), self._drawer.free - sum(needed.values())
        free = self._width.extend(counts, free, lambda draws: draws.widen(self.under_way))
        busy = self._drawer.under_way + sum(counts.values())
        if self._width.worth_alone(busy / (self._drawer.free + self._drawer.under_way)):
            while free > 0 and (chosen := self._width.next()) is not None:
                chosen.widen(self.under_way)
                counts[chosen] = counts.get(chosen, 0) + 1
                free -= 1
        for draws, count in counts.items():
            draws.begin(count, max(self._width.together, needed.get(draws, 1)))
        for begun, _ in asking.values():
            if not begun.done():
                begun.set_result(None)


class DrawsAhead:
    """The samples of one question that are under way, or have come before those in front of them.

    Args:
        draw: Draws samples.
        scheduler: The session's.
        together: Whether some may share a request.

    Attributes:
        together: The same.
        schedule: At each sample drawn ahead, how many the policy had seen, how many the question then had, those under
            way included, and how many were under way at the engine for all questions.
    """

    def __init__(self, draw: Draw, scheduler: AheadScheduler, together: bool) -> None:
        self._draw, self._scheduler, self.together = draw, scheduler, together
        self._tasks: dict[int, tuple[asyncio.Task[list[ScoredSample] | None], int]] = {}  # and its place in the request
        self._position: Position | None = None
        self._next = 0
        self.schedule: list[tuple[int, int, int]] = []

    async def take(self, index: int, count: int, survival: Survival, seen: int) -> list[ScoredSample] | None:
        """The question's next samples in order, drawn if they are not under way; more are drawn ahead meanwhile.

        Args:
            index: The first one's, in the pool: as many were drawn before it, refused ones included.
            count: How many, >= 1; one where samples share no request.
            survival: Of the questions of the policy that asks for it.
            seen: Samples that the policy has seen.
        """
        self._next = max(self._next, index)
        missing = index + count - self._next
        if missing > 0 and not self.together:
            self.begin(missing)
        self._place(Position(survival, seen, max(self._next - index, count)))
        found: list[ScoredSample] = []
        try:
            if missing > 0 and self.together:
                await self._scheduler.ask(self, missing)
            for one in range(index, index + count):
                task, place = self._tasks[one]
                if (new := await task) is None:
                    return found or None
                del self._tasks[one]  # not before: what nobody has waited for is left for `give_up`
                found.append(new[place])
            self._scheduler.note_needed(found)
            return found
        finally:
            self._scheduler.remove(self)  # until it is known whether the question goes on

    def widen(self, under_way: int) -> None:
        """Counts one more sample that is going to be drawn ahead.

        Args:
            under_way: Samples of all questions that are under way.
        """
        position = self._position
        if position is not None:
            self._place(position._replace(ahead=position.ahead + 1))
            self.schedule.append((position.seen, position.seen + position.ahead + 1, under_way))

    def begin(self, count: int, together: int = 1) -> None:
        """Draws the question's next samples.

        Args:
            count: How many, >= 1.
            together: How many may share a request, >= 1, where any may.
        """
        together = together if self.together else 1
        for first in range(self._next, self._next + count, together):
            size = min(together, self._next + count - first)
            task = asyncio.get_running_loop().create_task(self._draw(first, size))
            self._tasks.update({first + place: (task, place) for place in range(size)})
        self._next += count

    async def give_up(self) -> None:
        """Cancels what is under way, and waits until it has ended; what came is counted, its errors are not told."""
        tasks = list(dict.fromkeys(task for task, _ in self._tasks.values()))
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await ended(tasks)

    def count_wasted(self, tokens: int) -> None:
        """Counts what was generated for the question and not shown to a policy, where samples were drawn ahead."""
        if self.schedule:
            self._scheduler.count_wasted(tokens)

    def _place(self, position: Position) -> None:
        self._position = position
        self._scheduler.place(self, position)
