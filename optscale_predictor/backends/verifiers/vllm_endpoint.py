"""A verifier's model behind vLLM servers: which one it is, many requests at once, and how two endpoints are read.

One request is one sample's, so that a refusal is that sample's. What would refuse every sample (another model, another
task) is an error: the caller probes the server when it is built, and again when something was refused. Token ids are
sent, so that the layout stays ours.

``/pooling`` gives a head's numbers. They are asked for raw, without vLLM's softmax or sigmoid: the map to [0, 1] is
ours.

``/v1/completions`` gives two tokens' logits after each step. Each step's prefix is a prompt, one token is generated,
and the log-probabilities of the two tokens are read by id: their difference is the difference of their logits exactly,
whatever else is likely there. (``prompt_logprobs`` would read all steps in one pass, but tells only the likeliest
tokens of a position, which need not be these two.) Prefix caching makes the prefixes cheap; without it a sample costs
the sum of their lengths.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.asyncio_bridge import Emit, iterate_emitted, run_async
from optscale_predictor._support.worker_pool import run_workers
from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.backends.model_loading import read_config, resolve_model
from optscale_predictor.backends.server_replies import UnreadableReplyError
from optscale_predictor.backends.server_urls import server_urls, shown
from optscale_predictor.backends.verifiers.process_verifier import RowRead
from optscale_predictor.backends.verifiers.step_layout import StepRow
from optscale_predictor.backends.verifiers.verifier import Answered
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError
from optscale_predictor.questions.question import Question

T = TypeVar("T")

POOLING, COMPLETIONS = "/pooling", "/v1/completions"
#: What a server is tried with, and how often it is asked again: a wrong model stays wrong.
PROBE_RETRIES = 2
PROBE = Answered(Question("probe", "What is 1 + 1?"), "First, 1 + 1 = 2.\n\nSo the answer is 2.")


@dataclass(frozen=True)
class Refused:
    """Why a server refuses a request for good; without the server's address, since pools are published."""

    reason: str


class ServedModel:
    """One model at one or several servers.

    Args:
        base_url: For example ``http://127.0.0.1:8000/v1``, or several, separated by spaces.
        model: Folder or hub id of the same model: its tokenizer is here, and names it among several that are served.
        concurrency: Requests under way at once, >= 1, over all servers together.
        timeout: Seconds that one try may take, > 0.
        max_retries: How often a request is sent again, >= 0.

    Attributes:
        name: What the servers call it.
        context: Most tokens that it reads.

    Raises:
        InputError: A number is out of its range.
        ServiceError: A server does not answer, or which of its models is meant is not clear.
    """

    def __init__(self, base_url: str, model: str, concurrency: int, timeout: float, max_retries: int) -> None:
        if concurrency < 1:
            raise InputError(f"concurrency must be >= 1, got {concurrency}")
        self._urls = [url.rstrip("/").removesuffix("/v1") for url in server_urls(base_url, "base_url")]
        self._concurrency, self._timeout, self._max_retries = concurrency, timeout, max_retries
        served = [self._served(url, model) for url in self._urls]
        names = sorted({name for name, _ in served})
        if len(names) != 1:
            raise ServiceError(f"{', '.join(map(shown, self._urls))}: they serve different models: {', '.join(names)}")
        own = read_config(model).get("max_position_embeddings") or 1 << 30
        self.name, self.context = names[0], min(int(length or own) for _, length in served)

    def ask(
        self,
        path: str,
        payloads: Mapping[int, Mapping[str, object]],
        read: Callable[[int, Any], T],
        max_retries: int | None = None,
    ) -> Iterator[tuple[int, T | Refused]]:
        """Yields what ``read`` makes of each reply, or that its request was refused, with its index, as they come.

        Args:
            path: Below the servers' URLs.
            payloads: What is posted.
            read: Called with an index and its reply; what it cannot read is asked for again.
            max_retries: In place of this model's own.

        Raises:
            ServiceError: A server refuses the key, or every try of a request failed.
        """
        retries = self._max_retries if max_retries is None else min(max_retries, self._max_retries)

        async def run(emit: Emit[tuple[int, T | Refused]]) -> None:
            async def work(index: int) -> None:
                asked = {"model": self.name, **payloads[index]}
                try:
                    await emit((index, await service.ask(path, asked, partial(read, index))))
                except RequestRefusedError as error:
                    reason = str(error).partition(": ")[2]
                    await emit((index, Refused(f"the verifier's server refuses it: {reason}")))

            service = JsonService(self._urls, self._timeout, retries, self._concurrency)
            async with service:
                # Twice as many as may ask at once: while one waits to ask again, or reads, another asks.
                await run_workers(payloads, work, 2 * self._concurrency)

        return iterate_emitted(run)

    def _served(self, url: str, model: str) -> tuple[str, int | None]:
        """The model's name and context at one server."""

        async def ask() -> list[dict[str, Any]]:
            async with JsonService([url], min(self._timeout, 60.0), max_retries=0) as service:
                return await service.ask("/v1/models", None, _entries)

        entries = run_async(ask)
        path = resolve_model(model)
        names = {model, path, str(Path(path).resolve())}
        meant = [entry for entry in entries if entry["id"] in names or entry.get("root") in names]
        meant = meant or (entries if len(entries) == 1 else [])  # under a name of its own, there is no other
        if not meant:
            listed = ", ".join(str(entry["id"]) for entry in entries) or "none"
            raise ServiceError(f"{shown(url)}: serves no model {model!r}; it serves: {listed}")
        return str(meant[0]["id"]), meant[0].get("max_model_len")


def pooling_request(task: str, tokens: list[int], use_activation: bool = False) -> dict[str, object]:
    """The request for one input's numbers.

    Args:
        task: ``token_classify`` or ``classify``.
        tokens: The input.
        use_activation: Whether the server is to squash them.
    """
    return {
        "task": task,
        "input": [tokens],
        "use_activation": use_activation,
        "encoding_format": "base64",
        "embed_dtype": "float32",
        "endianness": "little",
    }


def read_pooled_steps(row: StepRow, labels: int, reply: Any) -> RowRead:
    """The numbers at a row's positions, of a server that gives those of every token, or of its own step markers.

    Args:
        row: What was sent.
        labels: Numbers at a position, >= 1.
        reply: As it was parsed from JSON.

    Raises:
        UnreadableReplyError: There are more or fewer numbers.
    """
    (entry,) = reply["data"]
    numbers = _numbers(entry["data"])
    _require_read(reply, len(row.tokens))
    if numbers.size == len(row.tokens) * labels:
        return RowRead(numbers.reshape(-1, labels)[row.positions], len(row.tokens))
    if numbers.size == len(row.positions) * labels:
        return RowRead(numbers.reshape(-1, labels), len(row.tokens))
    raise UnreadableReplyError(
        f"it gave {numbers.size} numbers for {len(row.tokens)} tokens and {len(row.positions)} steps, where the layout "
        f"reads {labels} each: is another kind of model served, or another step marker set?"
    )


def read_pooled_reward(tokens: list[int], reply: Any) -> float:
    """The one number of a whole input.

    Args:
        tokens: What was sent.
        reply: As it was parsed from JSON.

    Raises:
        UnreadableReplyError: It is not one number.
    """
    (entry,) = reply["data"]
    numbers = _numbers(entry["data"])
    _require_read(reply, len(tokens))
    if numbers.size != 1:
        raise UnreadableReplyError(f"it gave {numbers.size} numbers for a sample, where a reward model gives one")
    return float(numbers[0])


def _require_read(reply: Any, tokens: int) -> None:
    """A server that reads more or fewer tokens than it was sent has changed the layout."""
    read = reply["usage"]["prompt_tokens"]
    if read != tokens:
        raise UnreadableReplyError(f"it read {str(read)[:20]} tokens of the {tokens} that it was sent")


def require_raw(served: ServedModel, model: str, task: str, tokens: list[int]) -> None:
    """Refuses a server that squashes its numbers whatever it is asked: its scores would be squashed twice.

    Args:
        served: The server's model.
        model: Folder or hub id of the same model, for its config.
        task: ``token_classify`` or ``classify``.
        tokens: An input to try it with.

    Raises:
        ServiceError: With and without activation it gives the same, and they look like probabilities.
    """
    payloads = {index: pooling_request(task, tokens, bool(index)) for index in (0, 1)}
    found = dict(served.ask(POOLING, payloads, lambda _, reply: _numbers(reply["data"][0]["data"]), PROBE_RETRIES))
    raw, squashed = (_require_found(served, found[index]) for index in (0, 1))
    alike = np.array_equal(raw, squashed) and ((raw >= 0) & (raw <= 1)).all()
    if alike and read_config(model).get("problem_type") != "regression":  # then vLLM has nothing to squash with
        raise ServiceError(
            f"model {served.name!r}: the server gives probabilities where raw logits were asked for (use_activation)"
        )


def completion_request(row: StepRow, candidates: tuple[int, int]) -> dict[str, object]:
    """The request for one token after each step's prefix, its log-probabilities as the model gives them.

    Args:
        row: The sample, with its steps' positions.
        candidates: The two tokens whose log-probabilities are wanted.
    """
    return {
        "prompt": [row.tokens[: position + 1] for position in row.positions],
        "max_tokens": 1,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "logprobs": len(candidates),
        "logprob_token_ids": list(candidates),
        "return_tokens_as_token_ids": True,
    }


def read_completed_steps(row: StepRow, candidates: tuple[int, int], reply: Any) -> RowRead:
    """Log-probabilities [steps, 2], and tokens read anew and written.

    Args:
        row: What was sent.
        candidates: The two tokens that were asked for.
        reply: As it was parsed from JSON.

    Raises:
        UnreadableReplyError: It lacks a step or a token, or holds what is no log-probability.
    """
    choices = {choice["index"]: choice for choice in reply["choices"]}
    if len(reply["choices"]) != len(row.positions) or choices.keys() != set(range(len(row.positions))):
        raise UnreadableReplyError(f"it gave {len(reply['choices'])} answers for {len(row.positions)} steps")
    listed = [choices[index]["logprobs"]["top_logprobs"][0] for index in range(len(row.positions))]
    names = [f"token_id:{candidate}" for candidate in candidates]
    if not all(name in one for one in listed for name in names):
        raise UnreadableReplyError(
            "its reply lacks the two tokens that were asked for (logprob_token_ids, as vLLM has)"
        )
    found = np.array([[one[name] for name in names] for one in listed], np.float64)
    if not (np.isfinite(found) & (found < 1e-3)).all():  # 0 but for rounding
        raise UnreadableReplyError("a log-probability is above 0 or not finite")
    read = sum(position + 1 for position in row.positions)
    _require_read(reply, read)
    cached = (reply["usage"].get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return RowRead(found, read - min(int(cached), read) + len(row.positions))


def _require_found(served: ServedModel, found: Floats | Refused) -> Floats:
    if isinstance(found, Refused):
        raise ServiceError(f"model {served.name!r}: {found.reason}")
    return found


def _numbers(data: Any) -> Floats:
    """Numbers of a pooling reply, in base64 or, from servers that do not know it, listed."""
    if isinstance(data, str):
        return np.frombuffer(base64.b64decode(data, validate=True), "<f4").astype(np.float64)
    return np.asarray(data, np.float64).ravel()


def _entries(reply: Any) -> list[dict[str, Any]]:
    return [{**entry, "id": str(entry["id"])} for entry in reply["data"]]
