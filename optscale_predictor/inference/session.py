"""A generator, a verifier and a policy held open on an event loop, for questions that come whenever they come."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from optscale_predictor.backends.generators import SamplingParams, open_session
from optscale_predictor.errors import InputError, ServiceError
from optscale_predictor.inference.answer import Answer
from optscale_predictor.inference.batch_worker import Rounds, Station
from optscale_predictor.inference.deciding import DecidingStation
from optscale_predictor.inference.drawing import DrawingStation
from optscale_predictor.inference.limits import Limits, Spending
from optscale_predictor.inference.question_run import Asked, Course, Stations
from optscale_predictor.inference.sample_store import Keeper
from optscale_predictor.inference.scoring import ScoringStation
from optscale_predictor.policies import Policy
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.estimators import Prior

if TYPE_CHECKING:
    from optscale_predictor.inference.optscale import OptScale

_MOST_POLICIES = 64  # whose stations are remembered: clients may bring policies of their own
_PRIORS_AT_ONCE = 64  # questions that a predictor reads together; the first need not wait for the last


class Session:
    """Answers questions one by one, as many at a time as are asked; an asynchronous context manager.

    Args:
        scaler: Generator, verifier, predictor and policies.
        limits: On all questions of the session together.
        keeper: Where samples are kept; nowhere by default.
        traced: Whether answers carry every decision.
        idle_timeout: Seconds, >= 0, for which an engine that works in rounds stands idle at most while questions wait
            for one; by default they wait until all questions do, so that equal seeds give equal samples.
        known_batch: Whether all questions are asked at once, so that it is the last answer that counts.

    Attributes:
        spending: What was spent so far.
    """

    spending: Spending

    def __init__(
        self,
        scaler: "OptScale",
        limits: Limits | None = None,
        keeper: Keeper | None = None,
        traced: bool = True,
        idle_timeout: float | None = None,
        known_batch: bool = False,
    ) -> None:
        self._scaler, self._limits, self._keeper, self._traced = scaler, limits or Limits(), keeper, traced
        self._idle_timeout, self._known_batch = idle_timeout, known_batch
        self._ranks, self._open = count(), False
        self._answering: set[asyncio.Task[object]] = set()
        self._exits = AsyncExitStack()
        self._stations_of: dict[Policy, DecidingStation] = {}
        self._threads = ThreadPoolExecutor(1, "optscale-decide")
        self._priors: Station[Question, tuple[float, float, float]] = Station(self._predict, most=_PRIORS_AT_ONCE)

    async def __aenter__(self) -> Self:
        """Opens the generator."""
        draws = open_session(self._scaler.generator)
        self.spending = Spending(self._limits)
        self._rounds = Rounds()
        draw_gate, self._joint_gate = self._rounds.gate(self._idle_timeout), self._rounds.gate()
        scoring = ScoringStation(self._scaler.verifier)
        self._exits.push_async_callback(scoring.close)
        self._exits.push_async_callback(self._priors.close)
        await self._exits.enter_async_context(draws)
        drawing = DrawingStation(draws, self.spending, draw_gate, self._known_batch)
        self._stations = Stations(drawing, scoring, self._station_of, self._keeper)
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets go of everything; what is under way ends."""
        self._open = False
        for task in self._answering:
            task.cancel()
        for station in self._stations_of.values():
            await station.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._exits.__aexit__(kind, error, trace)

    async def answer(
        self,
        question: Question,
        prompt: str | None = None,
        messages: tuple[tuple[str, str], ...] = (),
        policies: Sequence[Policy] | None = None,
        sampling: SamplingParams | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """Answers one question; cancelling it cancels what is drawn for it.

        Args:
            question: The question.
            prompt: What the generator reads; by default the prompt template around the question.
            messages: A whole conversation in place of the prompt; see ``generators.Request``.
            policies: In place of the scaler's own, the primary one first.
            sampling: In place of the generator's own.
            seconds: Wall time that it may take, > 0, besides the session's limits.

        Raises:
            RequestRefusedError: The server or the verifier refuses this question for good.
            ServiceError: The generator or the verifier failed.
            InputError: A policy lacks the prior that it needs, or the session is not open.
        """
        if not self._open:
            raise InputError("the session is not open")
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._answering.add(task)
        try:
            with self.place():
                return await self.answer_in_place(question, prompt, messages, policies, sampling, seconds)
        except asyncio.CancelledError:
            if self._open or task.uncancel():  # the caller's own
                raise
            raise ServiceError("the session was closed before the question was answered") from None
        finally:
            self._answering.discard(task)

    def place(self) -> "_Place":
        """Counts one question as under way, also before it is asked: engines that work in rounds wait for it."""
        return _Place(self._rounds)

    async def answer_in_place(
        self,
        question: Question,
        prompt: str | None = None,
        messages: tuple[tuple[str, str], ...] = (),
        policies: Sequence[Policy] | None = None,
        sampling: SamplingParams | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """As :meth:`answer`, where the caller holds a :meth:`place`."""
        scaler, since = self._scaler, asyncio.get_running_loop().time()
        if policies is None:
            policies = scaler.policies
        else:
            scaler.require_usable(policies)
        ends = [since + seconds] if seconds is not None else []
        ends += [end for end in (self.spending.deadline(since),) if end is not None]
        asked = Asked(
            question=question,
            prompt=scaler.prompt(question.text) if prompt is None else prompt,
            messages=messages,
            sampling=sampling or scaler.generator.sampling,
            rank=next(self._ranks),
            prior=await self._prior(question),
            policies=policies,
            since=since,
            deadline=min(ends, default=None),
        )
        return await Course(asked, self._stations, self._traced).run()

    def _station_of(self, policy: Policy) -> DecidingStation:
        found = self._stations_of.pop(policy, None)
        if found is None:
            found = DecidingStation(policy, self._scaler.selection, self._traced, self._joint_gate, self._threads)
        self._stations_of[policy] = found  # the last one is the one asked for last
        if len(self._stations_of) > _MOST_POLICIES:  # those who use it have it
            del self._stations_of[next(iter(self._stations_of))]
        return found

    async def _prior(self, question: Question) -> tuple[float, float, float] | None:
        scaler = self._scaler
        if scaler.predictor is not None:
            return await self._priors.do(question)
        return None if scaler.prior is None else _each(scaler.prior)[0]

    def _predict(self, questions: Sequence[Question]) -> list[tuple[float, float, float]]:
        return _each(self._scaler.predict(questions))


class _Place:
    """One question under way."""

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds

    def __enter__(self) -> None:
        self._rounds.join()

    def __exit__(self, *_: object) -> None:
        self._rounds.leave()


def _each(prior: Prior) -> list[tuple[float, float, float]]:
    mean, std, strength = (part.ravel().tolist() for part in (prior.mean, prior.std, prior.strength))
    return list(zip(mean, std, strength, strict=True))
