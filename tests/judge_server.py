"""A real HTTP server that judges as a test writes it, and what it says of samples."""

import asyncio
import re

from aiohttp import web
from served_world import serving

from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.judge import JudgeVerifier
from optscale_predictor.backends.verifiers.rubric import Rubric
from optscale_predictor.questions.question import Question

SHORT = Rubric("Q: {question}\nA: {answer}\n")


class Judge:
    """A chat server; ``says`` makes a reply's text of a prompt, or a whole reply, or a (status, body).

    Attributes:
        bodies: Every request's body.
        under_way: Most requests that were under way at once.
        spent: Tokens that were counted in replies.
    """

    def __init__(self, says, models=("judge-7b",)):
        self.says, self.models = says, models
        self.bodies, self.under_way, self.spent, self._now = [], 0, 0, 0

    def app(self):
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._answer)
        return app

    async def _models(self, _):
        if self.models is None:
            return web.json_response({"error": {"message": "no list here"}}, status=404)
        return web.json_response({"data": [{"id": name} for name in self.models]})

    async def _answer(self, request):
        body = await request.json()
        self.bodies.append(body)
        self._now += 1
        self.under_way = max(self.under_way, self._now)
        await asyncio.sleep(0.005)
        self._now -= 1
        said = self.says(body["messages"][-1]["content"], body["seed"])
        if isinstance(said, tuple):
            return web.json_response(said[1], status=said[0])
        if isinstance(said, dict):
            return web.json_response(said)
        ended = "length" if said.endswith("<cut>") else "stop"
        usage = {"prompt_tokens": len(body["messages"][-1]["content"]), "completion_tokens": len(said)}
        self.spent += sum(usage.values())
        return web.json_response(
            {"choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": ended}], "usage": usage}
        )


def grade(prompt, _):
    """The number after the last ``#`` of the prompt, with some talk before it."""
    return f"Let me see. Score: 1?\nNo.\n**Score:** {re.findall('#([0-9.]+)', prompt)[-1]}"


def items_of(texts, gold="42"):
    return [Answered(Question(f"q{number}", "How many?", gold), text) for number, text in enumerate(texts)]


def judged(says, texts, rubric=SHORT, gold="42", **options):
    judge = Judge(says)
    with serving(judge.app()) as url:
        scores = JudgeVerifier("judge-7b", f"{url}/v1", rubric, **options).score(items_of(texts, gold))
    return scores, judge
