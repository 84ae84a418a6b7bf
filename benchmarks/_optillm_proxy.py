"""optillm's proxy in a process of its own, and questions asked of it as a user asks them."""

import json
import os
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from _server_process import free_port, running

_START = 300.0  # seconds: its imports alone are many


def proxy(python: str, folder: Path, url: str, samples: int) -> AbstractContextManager[str]:
    """Runs the proxy in front of a server while a block runs; gives its address.

    Args:
        python: An interpreter that has optillm.
        folder: Where its log goes.
        url: Of the server, ``.../v1``.
        samples: Of its ``bon``, >= 1; its ``self_consistency`` draws 5 whatever it is told.
    """
    port = free_port()
    command = [python, "-c", "from optillm import main; main()", "--port", str(port), "--base-url", url]
    command += ["--best-of-n", str(samples), "--log", "warning"]
    return running("optillm", command, port, folder, {**os.environ, "OPENAI_API_KEY": "none"}, _START)


def ask_all(
    address: str, approach: str, model: str, questions: Sequence[str], max_tokens: int, at_once: int
) -> dict[str, Any]:
    """What its answers were, what its ``usage`` adds up to, and seconds; the proxy's own processor time apart.

    Args:
        address: The proxy's.
        approach: ``bon`` or ``self_consistency``.
        model: As the server names it.
        questions: Their texts.
        max_tokens: Of a sample.
        at_once: Questions under way at once.
    """

    def ask(text: str) -> dict[str, Any]:
        body = {"model": f"{approach}-{model}", "messages": [{"role": "user", "content": text}]}
        request = urllib.request.Request(
            f"{address}/v1/chat/completions",
            json.dumps({**body, "max_tokens": max_tokens}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=3600) as reply:
            content: dict[str, Any] = json.load(reply)
        return content

    started = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        replies = list(threads.map(ask, questions))
    seconds = time.perf_counter() - started
    told = {"completion_tokens": sum(one["usage"]["completion_tokens"] for one in replies)}
    if all("prompt_tokens" in one["usage"] for one in replies):
        told["prompt_tokens"] = sum(one["usage"]["prompt_tokens"] for one in replies)
    return {"texts": [one["choices"][0]["message"]["content"] for one in replies], "seconds": seconds, "told": told}
