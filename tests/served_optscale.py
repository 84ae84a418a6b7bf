"""``optscale serve`` for the tests: in this process, where its insides can be looked at, or as a command."""

import asyncio
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
from answering import WrittenScores, WrittenServer, connect, serving
from prometheus_client.parser import text_string_to_metric_families
from stopped_clock import FOR_EVER, HUNG

from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.serving import ServeSettings, bind
from optscale_predictor.serving.application import Application
from optscale_predictor.serving.server import address_of, opened

#: Nothing here is encrypted, and to read the system's certificates for every client takes most of a test's time.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def client_of(url: str, **options: Any) -> openai.OpenAI:
    """The official client; what it would ask again is an error at once."""
    given = {"api_key": "none", "max_retries": 0, "http_client": openai.DefaultHttpxClient(verify=NO_CERTIFICATES)}
    return openai.OpenAI(base_url=f"{url}/v1", **{**given, **options})


def async_client_of(url: str, **options: Any) -> openai.AsyncOpenAI:
    given = {"api_key": "none", "max_retries": 0}
    given["http_client"] = openai.DefaultAsyncHttpxClient(verify=NO_CERTIFICATES)
    return openai.AsyncOpenAI(base_url=f"{url}/v1", **{**given, **options})


def plain() -> httpx2.Client:
    """A client that knows nothing of OpenAI; how soon it is answered is for the machine to say."""
    return httpx2.Client(verify=NO_CERTIFICATES, timeout=600.0)


@dataclass
class Served:
    """A server in this process.

    Attributes:
        url: Its address.
        application: What serves.
        loop: The event loop that it runs on.
    """

    url: str
    application: Application
    loop: asyncio.AbstractEventLoop

    def client(self, **options: Any) -> openai.OpenAI:
        """The official client; what it would ask again is an error at once."""
        return client_of(self.url, **options)

    def async_client(self, **options: Any) -> openai.AsyncOpenAI:
        return async_client_of(self.url, **options)

    @property
    def admission(self):
        return self.application.handler.admission

    def tasks(self) -> int:
        """Tasks on its event loop."""
        return len(asyncio.all_tasks(self.loop))

    def wait_until_idle(self) -> None:
        """Waits until nothing is left of any request."""
        until(lambda: not (self.application.open or self.admission.in_flight or self.admission.waiting))

    def advance(self, seconds: float) -> None:
        """Puts the server's clock forward: what was to happen by then happens now, however fast the machine is."""

        async def jump() -> None:
            before = self.loop.time
            self.loop.time = lambda: before() + seconds
            for _ in range(20):  # the loop looks at its timers, and at what they bring about
                await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(jump(), self.loop).result(HUNG)

    @contextmanager
    def taken_slot(self) -> Iterator[None]:
        """Takes one of the server's slots while the block runs."""
        done = asyncio.Event()

        async def stay() -> None:
            with self.admission.slot() as slot:
                await slot.granted()
                await done.wait()

        guest = asyncio.run_coroutine_threadsafe(stay(), self.loop)
        until(lambda: self.admission.in_flight == 1)
        try:
            yield
        finally:
            self.loop.call_soon_threadsafe(done.set)
            guest.result(HUNG)


@contextmanager
def served(scaler: OptScale, **settings: Any) -> Iterator[Served]:
    """Serves on a thread of its own."""
    ready, found = threading.Event(), []
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        place = bind("127.0.0.1", 0)
        given = {"name": "written", "timeout": FOR_EVER, **settings}
        async with opened(scaler, ServeSettings(**given), place) as application:
            found.append(Served(address_of(place), application, loop))
            ready.set()
            await stop.wait()

    def turn() -> None:
        try:
            loop.run_until_complete(run())
        finally:
            ready.set()

    thread = threading.Thread(target=turn)
    thread.start()
    assert ready.wait(HUNG)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def scaler_of(
    url: str,
    policy: str = "best_of_n:max_samples=3",
    verifier: Any = None,
    selection: str | None = None,
    **options: Any,
) -> OptScale:
    """OptScale over a ``WrittenServer``."""
    scores, rule = verifier or WrittenScores(), parse_policy(policy)
    return OptScale(connect(url, **options), scores, policy=rule, selection=selection)


def waits(prompt: str) -> float:
    """Seconds that the written server takes: what the prompt says after ``wait``."""
    return float(prompt.split("wait ")[1].split()[0]) if "wait " in prompt else 0.0


@contextmanager
def written_generator() -> Iterator[WrittenServer]:
    """A written server; ``url`` is its address."""
    server = WrittenServer(wait=waits)
    with serving(server.app()) as url:
        server.url = url
        yield server


def ask(client, text, **options):
    """One chat completion of the written model; awaitable where the client is asynchronous."""
    return client.chat.completions.create(model="written", messages=[{"role": "user", "content": text}], **options)


def metrics_of(server: Served) -> dict[tuple[str, ...], float]:
    """What Prometheus' own parser reads, by name and labels."""
    with plain() as client:
        page = client.get(f"{server.url}/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
    }


def until(true, seconds=HUNG):
    """Waits until something is true; how long that may take is for a machine that is busy, not part of any test."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not become true"
        time.sleep(0.01)


@contextmanager
def command(*flags: str, wait: bool = True, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Runs ``optscale serve``; yields the process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "optscale_predictor", "serve", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        cwd=os.path.dirname(__file__),
    )
    try:
        said = process.stdout.readline() if wait else ""
        assert " at http" in said or not wait, process.stderr.read()
        yield process, said.partition(" at ")[2].partition("/v1")[0]
    finally:
        process.kill()
        process.communicate()
