"""A small HTTP proxy that spoils a share of the requests that pass through it, each in one of the ways networks do.

    python tests/faulty_proxy.py http://127.0.0.1:8000 --share 0.2

Prints its own URL. A spoilt request is delayed, reset before or after it reached the server, cut off half-way through
its reply, or answered 429, 500, with something that is no JSON, or with JSON that is no reply. ``GET /faults`` counts
them, and the tokens of replies that never arrived.
"""

import argparse
import asyncio
import json
import random
from collections import Counter

from aiohttp import ClientSession, ClientTimeout, web

FAULTS = ("delay", "reset", "reset_after", "truncate", "busy", "broken", "garbage", "no_reply")


class FaultyProxy:
    """Passes requests on to ``target`` and spoils a share of those that post something.

    Attributes:
        faults: How often each was made; ``none`` where a request passed.
        lost_tokens: Tokens of replies that were generated and never arrived.
    """

    def __init__(self, target: str, share: float, seed: int = 0, delay: float = 0.5) -> None:
        self.target, self.share, self.delay = target, share, delay
        self.faults: Counter[str] = Counter()
        self.lost_tokens = 0
        self._random = random.Random(seed)

    def app(self) -> web.Application:
        """The proxy as an aiohttp application."""
        app = web.Application(client_max_size=1 << 28)
        app.router.add_get("/faults", self._count)
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.cleanup_ctx.append(self._session)
        return app

    async def _session(self, app: web.Application):
        async with ClientSession(timeout=ClientTimeout(total=600)) as self._client:
            yield

    async def _count(self, _: web.Request) -> web.Response:
        return web.json_response({**self.faults, "lost_tokens": self.lost_tokens})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        fault = self._random.choice(FAULTS) if self._random.random() < self.share else "none"
        if request.method != "POST":
            fault = "none"
        self.faults[fault] += 1
        return await self._spoil(request, fault)

    async def _spoil(self, request: web.Request, fault: str) -> web.StreamResponse:
        match fault:
            case "busy":
                return web.json_response({"error": {"message": "busy"}}, status=429, headers={"Retry-After": "0.1"})
            case "broken":
                return web.json_response({"error": {"message": "broken"}}, status=500)
            case "garbage":
                return web.Response(body=b"\x00\xff<html>" * 20, content_type="application/json")
            case "no_reply":
                return web.json_response({"choices": [{}], "usage": {"completion_tokens": -1}})
            case "reset":
                request.transport.abort()
                return web.Response()
        status, body = await self._pass_on(request)
        if fault in ("reset_after", "truncate"):
            self.lost_tokens += json.loads(body)["usage"]["completion_tokens"]
        if fault == "reset_after":
            request.transport.abort()
        if fault == "delay":
            await asyncio.sleep(self.delay)
        if fault == "truncate":
            return await _cut_off(request, body)
        return web.Response(status=status, body=body, content_type="application/json")

    async def _pass_on(self, request: web.Request) -> tuple[int, bytes]:
        data = await request.read()
        async with self._client.request(
            request.method, f"{self.target}{request.path_qs}", data=data, headers={"content-type": "application/json"}
        ) as reply:
            return reply.status, await reply.read()


async def _cut_off(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    request.transport.abort()
    return response


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()

    async def serve() -> None:
        runner = web.AppRunner(FaultyProxy(flags.target, flags.share, flags.seed).app())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
