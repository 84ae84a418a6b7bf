"""its-hub's Best-of-N over many questions, as its README asks it: run by an interpreter that has its-hub, not ours.

Reads one JSON object from standard input and prints one: what was chosen of each question, what its ``usage`` adds up
to, seconds and processor seconds.
"""

import asyncio
import importlib
import json
import sys
import time
from typing import Any

import aiohttp

its_hub: Any = importlib.import_module("its_hub")


class ServedScores(its_hub.AbstractOutcomeRewardModel):  # type: ignore[misc]
    """Scores of a verifier behind an address; its-hub hands it a question's distinct samples together."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session, self._address = session, address

    def score(self, messages: Any, **more: Any) -> list[float]:
        """Is not asked: its-hub asks ``ascore``."""
        raise NotImplementedError

    async def ascore(self, messages: Any, orchestrator: Any = None, **more: Any) -> list[float]:
        """Scores of conversations that each end with a sample."""
        items = [[one[0].content, one[-1].content] for one in messages]
        async with self._session.post(self._address, json={"items": items}) as reply:
            found: list[float] = (await reply.json())["scores"]
        return found


async def answered(asked: dict[str, Any]) -> dict[str, Any]:
    """All questions at once, at most ``concurrency`` requests under way, which is what its-hub does by itself."""
    lm = its_hub.OpenAICompatibleLanguageModel(
        asked["url"], "none", asked["model"], max_completion_tokens=asked["max_tokens"], temperature=1.0
    )
    async with aiohttp.ClientSession() as session, lm:
        orchestrator = its_hub.LMOrchestrator(asked["concurrency"])
        best = its_hub.BestOfN(ServedScores(session, asked["verifier"]), orchestrator)
        started, processor = time.perf_counter(), time.process_time()
        asking = [best.ainfer(lm, text, asked["samples"], return_response_only=False) for text in asked["questions"]]
        found = await asyncio.gather(*asking)
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
    told = {name: sum(getattr(one.usage, name) for one in found) for name in ("prompt_tokens", "completion_tokens")}
    texts = [one.the_one["content"] for one in found]
    return {"texts": texts, "seconds": seconds, "processor": processor, "told": told}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(answered(json.load(sys.stdin)))))
