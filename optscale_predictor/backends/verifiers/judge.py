"""A language model as judge, over any OpenAI-compatible chat endpoint.

A :class:`Rubric` says what the judge is asked and how its reply is read. A reply that holds no score, or was cut off,
refuses its sample: no score is ever made up. A sample can still try to talk a judge into a good score; the package's
own rubric tells the judge to take no orders from it, and no prompt can do more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from optscale_predictor._support.asyncio_bridge import Emit, iterate_emitted
from optscale_predictor._support.worker_pool import gather_or_cancel, run_workers
from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.backends.served_model import served_model
from optscale_predictor.backends.server_replies import prompt_tokens, read_finish_reason, read_message, told_tokens
from optscale_predictor.backends.server_urls import server_urls
from optscale_predictor.backends.verifiers.rubric import Rubric
from optscale_predictor.backends.verifiers.verifier import Answered, FailuresInARow, Scores, Verifier
from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.questions.answers import has_ended, strip_thinking

_PART = 64  # samples whose scores are handed on together


class _Verdict(NamedTuple):
    """A score in [0, 1], or why there is none; and the tokens it took, read and written, as far as the server tells."""

    score: float | str
    tokens: int


class JudgeVerifier(Verifier):
    """Asks a chat model to grade each sample.

    Args:
        model: The served model's name; the server's only model where it is empty.
        base_url: For example ``http://127.0.0.1:8000/v1``, or several, separated by spaces.
        rubric: What is asked; the package's own for maths answers by default.
        concurrency: Requests under way at once, >= 1, over all servers together.
        timeout: Seconds that one try may take, > 0.
        max_retries: How often a request is sent again, >= 0.

    Raises:
        ServiceError: A server does not answer, or says that it serves no such model.
    """

    served = True

    def __init__(
        self,
        model: str,
        base_url: str,
        rubric: Rubric | None = None,
        concurrency: int = 32,
        timeout: float = 600.0,
        max_retries: int = 8,
    ) -> None:
        if concurrency < 1:
            raise InputError(f"concurrency must be >= 1, got {concurrency}")
        self._urls = server_urls(base_url, "base_url")
        self._rubric, self._concurrency = rubric or Rubric.from_file(), concurrency
        self._timeout, self._max_retries = timeout, max_retries
        self._model, _ = served_model(self._urls, model or None, timeout)
        self._failures = FailuresInARow(f"judge {self._model!r}")
        self.samples_at_once = 64 * concurrency  # the servers run dry at the end of each call

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets.

        URLs are left out: where a judge is served changes nothing about its scores.
        """
        return {"adapter": "judge", "model": self._model, "rubric": asdict(self._rubric)}

    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples, in their order; where there is none, the reason."""
        return Scores.joined(self.stream(items), len(items))

    def stream(self, items: Sequence[Answered]) -> Iterator[tuple[Sequence[int], Scores]]:
        """The scores in parts as they come, each with the indices of its items.

        What the judge has said by the time a server fails for good is yielded before that.

        Raises:
            ServiceError: A server failed for good.
            InputError: It has refused every request since the start, or very many in a row.
        """
        ready: dict[int, _Verdict] = {}
        verdicts: Iterator[tuple[int, _Verdict]] = iterate_emitted(lambda emit: self._run(items, emit))
        try:
            for index, verdict in verdicts:
                ready[index] = verdict
                if len(ready) == _PART:
                    yield _part(ready)
                    ready = {}
        except InputError:  # a server failed for good, or the judge does
            if ready and self._failures.worked:  # else they are refusals whose cause is not the samples
                yield _part(ready)
            raise
        if ready:
            yield _part(ready)

    async def _run(self, items: Sequence[Answered], emit: Emit[tuple[int, _Verdict]]) -> None:
        async def work(index: int) -> None:
            await emit((index, await self._judge(service, items[index])))

        service = JsonService(self._urls, self._timeout, self._max_retries, self._concurrency)
        async with service:
            # Twice as many as may ask at once: while one waits to ask again, another asks.
            await run_workers(range(len(items)), work, 2 * self._concurrency)

    def blank_score(self, item: Answered) -> float | None:
        """The score, in [0, 1], of a sample whose text is blank; None where the judge is to be asked anyway.

        Where the rubric shows a gold answer and there is none, any sample is refused.
        """
        return None if self._rubric.needs_gold and item.question.gold is None else 0.0

    async def _judge(self, service: JsonService, item: Answered) -> _Verdict:
        if self._rubric.needs_gold and item.question.gold is None:
            return _Verdict("the rubric shows the gold answer, and this question has none", 0)
        rubric = self._rubric
        seeds = range(rubric.seed, rubric.seed + rubric.votes)
        return _average(await gather_or_cancel(self._vote(service, item, seed) for seed in seeds))

    async def _vote(self, service: JsonService, item: Answered, seed: int) -> _Verdict:
        payload: dict[str, object] = {
            "model": self._model,
            "messages": [{"role": "user", "content": self._rubric.ask(item)}],
            "temperature": self._rubric.temperature,
            "max_tokens": self._rubric.max_tokens,
            "seed": seed,
        }
        try:
            vote = await service.ask("/chat/completions", payload, self._read)
        except RequestRefusedError as error:
            reason = str(error).partition(": ")[2]  # a pool may be published; the server's address stays here
            self._failures.failed(f"question {item.question.id!r}", reason)
            return _Verdict(f"the judge's server refuses it: {reason}", 0)
        self._failures.succeeded()
        return vote

    def _read(self, reply: Any) -> _Verdict:
        choice, usage = reply["choices"][0], reply.get("usage")
        tokens = prompt_tokens(usage) + (told_tokens(usage)[0] or 0)
        if not has_ended(read_finish_reason(choice.get("finish_reason"))):
            return _Verdict(f"the judge's reply was cut off at {self._rubric.max_tokens} tokens", tokens)
        text = read_message(choice["message"], cut_off=False)
        return _Verdict(self._rubric.read(strip_thinking(text)), tokens)


def _average(votes: Sequence[_Verdict]) -> _Verdict:
    """The mean of the votes that are scores, where more than half of them are."""
    tokens = sum(vote.tokens for vote in votes)
    scores = [vote.score for vote in votes if not isinstance(vote.score, str)]
    if 2 * len(scores) > len(votes):
        return _Verdict(sum(scores) / len(scores), tokens)
    reason = next(vote.score for vote in votes if isinstance(vote.score, str))
    lost = f"{len(votes) - len(scores)} of {len(votes)} votes hold no score: " if len(votes) > 1 else ""
    return _Verdict(f"{lost}{reason}", tokens)


def _part(verdicts: Mapping[int, _Verdict]) -> tuple[list[int], Scores]:
    values = [float("nan") if isinstance(one.score, str) else one.score for one in verdicts.values()]
    refusals = {index: one.score for index, one in enumerate(verdicts.values()) if isinstance(one.score, str)}
    return list(verdicts), Scores.of(values, [one.tokens for one in verdicts.values()], refusals)
