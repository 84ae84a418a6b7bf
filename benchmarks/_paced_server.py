"""A server that answers at the pace of a stated engine, with recorded samples: no model runs.

It speaks the completions protocol, as vLLM does. In each of its steps every sample under way gets a token; a step takes
a fixed time, some for each sample and some for each request that it admits. Requests that find no place wait in their
order; those whose clients leave are dropped at the next step. Its clock is its own: a step that the machine is late for
is not lengthened, so that what shares the processors with it slows nothing down.

    python benchmarks/_paced_server.py POOL PORT --places 64 --step_ms 4 --token_ms 0.03 --request_ms 1
"""

import argparse
import asyncio
import heapq
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from optscale_predictor.backends.generators import Request
from optscale_predictor.backends.generators.request_seeds import request_seed
from optscale_predictor.pools import open_pool

_COUNTS = ("steps", "requests", "samples", "tokens", "seconds")
#: A sample as the server gives it: its text, its tokens, and how it ended.
Recorded = tuple[str, int, str]


def by_seed(pool: str, seed: int) -> dict[int, Recorded]:
    """The samples of a pool, by the seeds that a client gives them.

    Args:
        pool: Its folder.
        seed: The client's, >= 0.
    """
    recorded = open_pool(pool)
    first = {one.id: request_seed(seed, Request(one.id, "", 1)) for one in recorded.questions}
    rows = recorded.read(["question_id", "sample_index", "text", "num_tokens", "finish_reason"]).to_pylist()
    return {
        first[row["question_id"]] + row["sample_index"]: (row["text"], row["num_tokens"], row["finish_reason"])
        for row in rows
    }


@dataclass(eq=False)
class _Asked:
    """A request: its samples, how many of them are not done, and who waits for it."""

    samples: list[Recorded]
    done: "asyncio.Future[None]"
    left: int = 0
    admitted: int = 0
    gone: bool = False


@dataclass
class PacedEngine:
    """The engine's clock.

    Attributes:
        places: Samples under way at most, >= 1.
        step: Seconds of a step, whatever its load.
        token: Seconds of a step for each sample under way.
        request: Seconds of a step for each request that it admits.
        counts: Steps so far, requests and samples admitted, tokens made, and seconds at work.
    """

    places: int
    step: float
    token: float
    request: float
    counts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0.0))
    _waiting: "deque[_Asked]" = field(default_factory=deque)
    _ends: list[tuple[int, int, _Asked]] = field(default_factory=list)
    _busy: int = 0
    _named: int = 0
    _now: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def draw(self, samples: list[Recorded]) -> None:
        """Returns when all samples of a request have their tokens."""
        asked = _Asked(samples, asyncio.get_running_loop().create_future(), len(samples))
        self._waiting.append(asked)
        self._wake.set()
        try:
            await asked.done
        finally:
            if asked.left:
                asked.gone = True
                self._busy -= asked.left - (len(asked.samples) - asked.admitted)

    async def run(self) -> None:
        """Steps for ever."""
        clock = time.monotonic()
        while True:
            if not self._busy and not any(not one.gone for one in self._waiting):
                self._wake.clear()
                await self._wake.wait()
                clock = max(clock, time.monotonic())
            seconds = self.step + self.request * self._admit() + self.token * self._busy
            self.counts["seconds"] += seconds
            self.counts["tokens"] += self._busy
            self.counts["steps"] += 1
            clock += seconds
            await asyncio.sleep(max(clock - time.monotonic(), 0.0))
            self._now += 1
            self._finish()

    def _admit(self) -> int:
        """Gives free places to what waits; requests of which a sample is the first to be admitted."""
        new = 0
        while self._waiting and (self._busy < self.places or self._waiting[0].gone):
            asked = self._waiting[0]
            if asked.gone or asked.admitted == len(asked.samples):
                self._waiting.popleft()
                continue
            new += asked.admitted == 0
            self.counts["samples"] += 1
            self._busy += 1
            self._named += 1
            heapq.heappush(self._ends, (self._now + max(asked.samples[asked.admitted][1], 1), self._named, asked))
            asked.admitted += 1
            if asked.admitted == len(asked.samples):
                self._waiting.popleft()
        self.counts["requests"] += new
        return new

    def _finish(self) -> None:
        while self._ends and self._ends[0][0] <= self._now:
            _, _, asked = heapq.heappop(self._ends)
            if asked.gone:
                continue
            self._busy -= 1
            asked.left -= 1
            if not asked.left and not asked.done.done():
                asked.done.set_result(None)


class PacedServer:
    """The protocol around an engine.

    Args:
        engine: What draws.
        samples: By their seeds.
    """

    def __init__(self, engine: PacedEngine, samples: Mapping[int, Recorded]) -> None:
        self._engine, self._samples = engine, samples

    async def serve(self, port: int) -> None:
        """Answers at a port of this machine until it is cancelled."""
        app = web.Application()
        for path, answer in (("/health", self._health), ("/v1/models", self._models), ("/counts", self._counts)):
            app.router.add_get(path, answer)
        app.router.add_post("/v1/completions", self._complete)
        runner = web.AppRunner(app, handler_cancellation=True)  # a client that leaves ends its request
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await self._engine.run()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "paced", "owned_by": "vllm"}]})

    async def _counts(self, _: web.Request) -> web.Response:
        return web.json_response(self._engine.counts)

    async def _complete(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        samples = [self._samples[body["seed"] + place] for place in range(body["n"])]
        await self._engine.draw(samples)
        choices = [
            {"index": place, "text": text, "finish_reason": reason, "token_ids": [0] * tokens}
            for place, (text, tokens, reason) in enumerate(samples)
        ]
        usage = {"prompt_tokens": 1, "completion_tokens": sum(tokens for _, tokens, _ in samples)}
        return web.json_response({"choices": choices, "usage": usage})


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pool")
    parser.add_argument("port", type=int)
    parser.add_argument("--places", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    for part in ("step_ms", "token_ms", "request_ms"):
        parser.add_argument(f"--{part}", type=float, required=True)
    asked = parser.parse_args()
    samples = by_seed(asked.pool, asked.seed)

    async def serve() -> None:
        engine = PacedEngine(asked.places, asked.step_ms / 1000, asked.token_ms / 1000, asked.request_ms / 1000)
        await PacedServer(engine, samples).serve(asked.port)

    asyncio.run(serve())


if __name__ == "__main__":
    main()
