"""Samples drawn before it is certain that they are needed, while the engine has free places (``step=auto``).

What is drawn ahead is decided by ``policies.width``, which simulated runs call as well. Every sample is a request of
its own, with the seed that it has whenever it is drawn: the samples of a question, its decisions and its answer are
those of ``step=one``, whatever the load was. When a question stops, what is still under way for it is given up at once.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from optscale_predictor._support.task_completion import ended
from optscale_predictor.inference.sampling import SampleDrawer, ScoredSample, generated_tokens
from optscale_predictor.policies.width import DrawWidth, Position, Survival


class AheadScheduler:
    """Gives the engine's free places to the questions of a session that most likely need a further sample.

    Args:
        drawer: Knows how many places are free, and says when that changes.
    """

    def __init__(self, drawer: SampleDrawer) -> None:
        self._drawer = drawer
        self._width: DrawWidth[DrawsAhead] = DrawWidth()
        self._scheduled = False
        drawer.on_free = self.check

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
        if not self._scheduled and self._drawer.free > 0:
            self._scheduled = True
            # Later in the loop's queue: a question that has just got a sample asks for its next one first.
            asyncio.get_running_loop().call_soon(self._fill)

    def _fill(self) -> None:
        self._scheduled = False
        for _ in range(self._drawer.free):
            draws = self._width.next()
            if draws is None:
                return
            draws.begin_next()


class DrawsAhead:
    """The samples of one question that are under way, or have come before those in front of them.

    Args:
        draw: Draws and scores the sample of an index; None where a limit does not allow it.
        scheduler: The session's.

    Attributes:
        schedule: At each sample drawn ahead, how many the policy had seen, how many the question then had, those under
            way included, and how many were under way at the engine for all questions.
    """

    def __init__(
        self, draw: Callable[[int], Coroutine[object, object, list[ScoredSample] | None]], scheduler: AheadScheduler
    ) -> None:
        self._draw, self._scheduler = draw, scheduler
        self._tasks: dict[int, asyncio.Task[list[ScoredSample] | None]] = {}
        self._position: Position | None = None
        self._next = 0
        self.schedule: list[tuple[int, int, int]] = []

    async def take(self, index: int, survival: Survival, seen: int) -> list[ScoredSample] | None:
        """The question's next sample in order, drawn if it is not under way; more are drawn ahead meanwhile.

        Args:
            index: The sample's, in the pool: as many were drawn before it, refused ones included.
            survival: Of the questions of the policy that asks for it.
            seen: Samples that the policy has seen.
        """
        self._next = max(self._next, index)
        if index not in self._tasks:
            self._begin(index)
        self._place(Position(survival, seen, self._next - index))
        task = self._tasks[index]
        try:
            new = await task
            self._scheduler.note_needed(new or [])
            return new
        finally:
            self._tasks.pop(index, None)
            self._scheduler.remove(self)  # until it is known whether the question goes on

    def begin_next(self) -> None:
        """Draws one more sample ahead; the question is waiting for an earlier one."""
        position = self._position
        if position is not None:
            self._begin(self._next)
            ahead = position.ahead + 1
            self._place(position._replace(ahead=ahead))
            self.schedule.append((position.seen, position.seen + ahead, self._scheduler.under_way))

    async def give_up(self) -> None:
        """Cancels what is under way, and waits until it has ended; what came is counted, its errors are not told."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await ended(tasks)

    def count_wasted(self, tokens: int) -> None:
        """Counts what was generated for the question and not shown to a policy, where samples were drawn ahead."""
        if self.schedule:
            self._scheduler.count_wasted(tokens)

    def _begin(self, index: int) -> None:
        self._tasks[index] = asyncio.get_running_loop().create_task(self._draw(index))
        self._next = index + 1

    def _place(self, position: Position) -> None:
        self._position = position
        self._scheduler.place(self, position)
