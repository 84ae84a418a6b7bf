"""The embedded verifier behind an address, so that programs which cannot import it ask the very same one.

Run as a program it prints its port, and answers ``{"items": [[QUESTION, SAMPLE], ...]}`` with ``{"scores": [...]}``.
"""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from optscale_predictor.backends.verifiers import Answered, Scores, Verifier


class ServedVerifier(Verifier):
    """The same verifier for our own client: both sides pay the same way to it."""

    reads_tokens = False

    def __init__(self, address: str) -> None:
        self._address = address

    def score(self, items: Sequence[Answered]) -> Scores:
        """See :class:`Verifier`."""
        body = json.dumps({"items": [[item.question.text, item.text] for item in items]}).encode()
        request = urllib.request.Request(self._address, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as reply:
            return Scores.of(json.load(reply)["scores"])

    def describe(self) -> dict[str, object]:
        """See :class:`Verifier`."""
        return {"adapter": "served", "model": "embedded:verifier"}


@contextmanager
def serving_verifier() -> Iterator[str]:
    """A process that scores while the block runs; its address."""
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/"
        finally:
            server.terminate()


def serve() -> None:
    """Answers until it is ended; prints its port first."""
    import asyncio

    from aiohttp import web

    from optscale_predictor.backends.options import VerifierOptions
    from optscale_predictor.questions.question import Question

    verifier = VerifierOptions("embedded:verifier").build()
    one_at_a_time = asyncio.Lock()

    async def answer(request: web.BaseRequest) -> web.Response:
        rows = (await request.json())["items"]
        items = [Answered(Question(str(number), asked), text) for number, (asked, text) in enumerate(rows)]
        async with one_at_a_time:
            scores = await asyncio.to_thread(verifier.score, items)
        return web.json_response({"scores": scores.values.tolist()})

    async def run() -> None:
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    serve()
