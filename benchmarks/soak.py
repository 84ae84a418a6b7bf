"""Very many requests to ``optscale serve`` with faults on both sides: memory over time, and an account of every token.

    python benchmarks/soak.py [--requests 50000] [--at_once 64] [--faults 0.03] [--patient true]

Three parties: a scripted engine in this process, whose every sample has ``TOKENS`` tokens and which now and then errs,
is busy, refuses, breaks a connection off or answers what is no reply; ``optscale serve`` in front of it as a command;
and clients, of whom a third leave, send malformed bodies, or ask for what is refused. Each kind of client has
the outcomes that it may see; any other ends the script with exit code 1, and so do tokens that are not accounted for.

The account: the tokens of replies that the engine has sent whole are those that the server was told of, but for replies
that came when their client had left, which the server's cancelled samples bound. What the server estimates for samples
that it has cancelled is apart (``optscale_estimated_tokens_total``), and bounded by them too. With ``--patient true``
no client leaves, and none is short of time: then both are equal, and what clients were told of is that but for requests
that failed.
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _vllm import metric
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from serving import serving

TOKENS, MOST_TOKENS, SAMPLES = 5, 8, 3  # of a sample, as it is and at most; of a request
_MODEL = "scripted"
_FAULTS = ("error", "busy", "break off", "no reply", "no JSON", "half a reply")

#: Bodies that are refused, each with its status.
_MALFORMED: tuple[tuple[bytes, int], ...] = (
    (b"", 400),
    (b"{", 400),
    (b"[1]", 400),
    (b"\xff\xfe", 400),
    (b"[" * 3000, 400),
    (b'{"model": "scripted"}', 400),
    (b'{"model": "scripted", "prompt": 7}', 400),
    (b'{"model": "scripted", "prompt": "x", "temperature": 1e-300}', 400),
    (b'{"model": "scripted", "prompt": "x", "no_such_field": 1}', 400),
    (b'{"model": "scripted", "prompt": "x", "n": 2}', 400),
    (b'{"model": "other", "prompt": "x"}', 404),
    (b'{"model": "scripted", "prompt": "' + b"x" * 70_000 + b'"}', 413),
)


class Engine:
    """Answers with samples of ``TOKENS`` tokens, or not.

    Attributes:
        sent: Tokens of replies that were sent whole.
        faults: How often each was made.
    """

    def __init__(self, faults: float, seed: int) -> None:
        self.sent, self.faults = 0, Counter[str]()
        self._share, self._random = faults, random.Random(seed)

    def app(self) -> web.Application:
        """The engine as an application."""
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._complete)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": _MODEL, "owned_by": "vllm"}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        await asyncio.sleep(self._random.uniform(0, 0.02))
        if "refused" in asked["prompt"]:
            return web.json_response({"error": {"message": "no such prompt"}}, status=400)
        if self._random.random() < self._share:
            return await self._fail(request, self._random.choice(_FAULTS))
        count = int(asked.get("n", 1))
        choices = [
            {"index": place, "text": f" #### {self._random.randrange(3)}", "finish_reason": "stop"}
            for place in range(count)
        ]
        usage = {"prompt_tokens": 1, "completion_tokens": TOKENS * count}
        body = json.dumps({"choices": choices, "usage": usage}).encode()
        reply = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        await reply.prepare(request)
        await reply.write(body)
        await reply.write_eof()
        self.sent += TOKENS * count
        return reply

    async def _fail(self, request: web.Request, fault: str) -> web.StreamResponse:
        self.faults[fault] += 1
        if fault == "busy":
            return web.json_response({"error": {"message": "busy"}}, status=429, headers={"Retry-After": "0"})
        if fault == "no reply":
            return web.json_response({"choices": []})
        if fault == "no JSON":
            return web.Response(body=b"\0<html>", content_type="application/json")
        if fault == "error":
            return web.json_response({"error": {"message": "broken"}}, status=500)
        reply = web.StreamResponse(headers={"Content-Length": "1000"})
        if fault == "half a reply":
            await reply.prepare(request)
            await reply.write(b'{"choices": [')
        if request.transport is not None:
            request.transport.abort()
        return reply


class Clients:
    """All clients of a run.

    Attributes:
        outcomes: How often each kind of client saw what.
        wrong: What none of its kind may see.
        told: Tokens that answered requests were told of.
        failed: Well-formed requests that were not answered.
    """

    def __init__(self, session: ClientSession, address: str, seed: int, patient: bool) -> None:
        self.outcomes, self.wrong, self.told, self.failed = Counter[str](), list[str](), 0, 0
        self._weights = (12, 3, 3, 1, 0, 0) if patient else (12, 3, 3, 1, 3, 1)
        self._session, self._url, self._random = session, f"{address}/v1/completions", random.Random(seed + 1)

    async def one(self, number: int) -> None:
        """One request, of a kind that is drawn."""
        kind = self._random.choices(
            ("asks", "streams", "malformed", "refused", "leaves", "short of time"), self._weights
        )[0]
        body: dict[str, Any] = {"model": _MODEL, "prompt": f"{number}+1=", "max_tokens": MOST_TOKENS}
        expected: tuple[object, ...] = (200,)
        raw: bytes | None = None
        if kind == "streams":
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        elif kind == "leaves":
            expected = (200, "left")
        elif kind == "malformed":
            raw, status = self._random.choice(_MALFORMED)
            expected = (status,)
        elif kind == "refused":
            body["prompt"], expected = f"refused {number}", (400,)
        elif kind == "short of time":
            body["optscale"], expected = {"timeout": self._soon()}, (200, 504)
        leaves = self._soon() if kind == "leaves" else 600.0
        seen = await self._ask(json.dumps(body).encode() if raw is None else raw, leaves, kind == "streams")
        self.outcomes[f"{kind}: {seen}"] += 1
        self.failed += kind != "malformed" and seen != 200
        if seen not in expected:
            self.wrong.append(f"{kind}: {seen}: {body}")

    def _soon(self) -> float:
        """Seconds, from 0.003 to 2: before a request is read, while it waits, and while its samples are drawn."""
        return float(10 ** self._random.uniform(-2.5, 0.3))

    async def _ask(self, body: bytes, leaves: float, streams: bool) -> object:
        try:
            async with asyncio.timeout(leaves):
                kind = {"Content-Type": "application/json"}
                async with self._session.post(self._url, data=body, headers=kind) as reply:
                    content = await reply.read()
        except TimeoutError:
            return "left"
        except ClientError as error:
            return type(error).__name__
        if reply.status == 200:
            self.told += _usage(content, streams)["completion_tokens"]
        return reply.status


def _usage(content: bytes, streams: bool) -> Mapping[str, int]:
    if not streams:
        found: Mapping[str, int] = json.loads(content)["usage"]
        return found
    events = [line[6:] for line in content.splitlines() if line.startswith(b"data: {")]
    return next(usage for event in reversed(events) if (usage := json.loads(event).get("usage")))


async def soak(number: int, at_once: int, faults: float, seed: int, patient: bool, folder: Path) -> list[str]:
    """Runs everything and prints it; what was wrong."""
    engine = Engine(faults, seed)
    runner = web.AppRunner(engine.app(), handler_cancellation=True)
    await runner.setup()
    await (site := web.TCPSite(runner, "127.0.0.1", 0)).start()
    behind = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    flags = ("--base_url", behind, "--verifier", "none", "--policy", f"self_consistency:max_samples={SAMPLES}")
    limits = ("--max_body", "65536", "--server.longest_wait", "0.2")
    front = serving(folder, *flags, *limits)
    address = await asyncio.to_thread(front.__enter__)
    try:
        session = ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=600))
        async with session:
            clients = Clients(session, address, seed, patient)
            sizes = await _in_tenths(clients, address, number, at_once)
            wrong = clients.wrong + await _account(engine, clients, address)
        for name, times in sorted(clients.outcomes.items()):
            print(f"{times:7,} {name}")
        print(f"the engine's faults: {', '.join(f'{times:,} {name}' for name, times in sorted(engine.faults.items()))}")
        print(f"memory {sizes[-1] - sizes[1]:+.1f} MiB from the second tenth to the end")
        return wrong
    finally:
        await asyncio.to_thread(front.__exit__, None, None, None)
        await site.stop()
        await runner.cleanup()


async def _in_tenths(clients: Clients, address: str, number: int, at_once: int) -> list[float]:
    """Sends all requests; memory of the server in MiB after each tenth."""
    sizes, waiting = [], iter(range(number))

    async def work(until: int) -> None:
        for index in waiting:
            await clients.one(index)
            if index >= until:
                return

    for tenth in range(1, 11):
        until = number * tenth // 10 - at_once
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work(until))
        sizes.append(await asyncio.to_thread(metric, address, "process_resident_memory_bytes") / 2**20)
        files = await asyncio.to_thread(metric, address, "process_open_fds")
        print(
            f"{sum(clients.outcomes.values()):7,} requests  memory {sizes[-1]:6.1f} MiB  {files:.0f} files", flush=True
        )
    return sizes


async def _account(engine: Engine, clients: Clients, address: str) -> list[str]:
    """Prints the account once nothing is under way; what does not add up."""
    names = ("optscale_requests_in_flight", "optscale_requests_waiting")
    for _ in range(600):
        if not sum([await asyncio.to_thread(metric, address, name) for name in names]):
            break
        await asyncio.sleep(0.1)
    else:
        return ["requests are under way that nobody waits for"]
    counted = int(await asyncio.to_thread(metric, address, "optscale_tokens_total"))
    cancelled = int(await asyncio.to_thread(metric, address, "optscale_cancelled_samples_total"))
    estimated = int(await asyncio.to_thread(metric, address, "optscale_estimated_tokens_total"))
    late = engine.sent - (counted - estimated)
    print(
        f"tokens: the engine sent {engine.sent:,}, the server counted {counted:,}, of which {estimated:,} estimated, "
        f"clients were told {clients.told:,}; {late:,} arrived for clients that had left, "
        f"of {cancelled:,} cancelled samples"
    )
    untold = counted - clients.told
    bounded = 0 <= late <= TOKENS * cancelled and 0 <= estimated <= MOST_TOKENS * cancelled
    if bounded and (untold >= 0 if clients.failed else untold == 0):
        return []
    return [f"tokens are not accounted for: {late} arrived late, {untold} were told to nobody"]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--at_once", type=int, default=64)
    parser.add_argument("--faults", type=float, default=0.03, help="share of the engine's replies that are none")
    parser.add_argument("--patient", type=lambda word: word == "true", default=False, help="no client leaves")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = asyncio.run(soak(flags.requests, flags.at_once, flags.faults, flags.seed, flags.patient, Path(folder)))
        log = (Path(folder) / "serve.log").read_text(encoding="utf-8")
    if "Traceback" in log:
        wrong.append(f"the server's log has a traceback: {log[-2000:]}")
    for one in wrong[:20]:
        print(f"WRONG {one}")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
