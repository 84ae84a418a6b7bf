"""A verifier's model behind vLLM servers: which one it is, and many requests at once.

One request is one sample's, so that a refusal is that sample's. What would refuse every sample (another model, another
task) is an error: the caller probes the server when it is built, and again when something was refused.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from optscale_predictor._support.asyncio_bridge import Emit, iterate_emitted, run_async
from optscale_predictor._support.worker_pool import run_workers
from optscale_predictor.backends.http_client import JsonService, shown
from optscale_predictor.backends.model_loading import read_config, resolve_model
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError

T = TypeVar("T")


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
        self._urls = [url.rstrip("/").removesuffix("/v1") for url in base_url.split()]
        if not self._urls:
            raise InputError("base_url is empty")
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
        place = resolve_model(model)
        names = {model, place, str(Path(place).resolve())}
        meant = [entry for entry in entries if entry["id"] in names or entry.get("root") in names]
        meant = meant or (entries if len(entries) == 1 else [])  # under a name of its own, there is no other
        if not meant:
            listed = ", ".join(str(entry["id"]) for entry in entries) or "none"
            raise ServiceError(f"{shown(url)}: serves no model {model!r}; it serves: {listed}")
        return str(meant[0]["id"]), meant[0].get("max_model_len")


def _entries(reply: Any) -> list[dict[str, Any]]:
    return [{**entry, "id": str(entry["id"])} for entry in reply["data"]]
