"""Real parts for the tests of answering: graded pools, and a server whose samples and waits the test writes.

The server speaks the OpenAI completions protocol. A sample's text follows from its prompt and seed alone and begins
with its score, so that the same request always gives the same samples, whoever else is served.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web
from served_world import serving
from stopped_clock import HUNG

from optscale_predictor.backends.generators import Sample, SamplingParams, ServerOptions
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_engines import RecordedGenerator, RecordedVerifier

VERIFIER = {"adapter": "made up", "model": "org/verifier"}


def questions_of(count):
    return [Question(f"q{number:04d}", f"{number}+{number}=", str(2 * number)) for number in range(count)]


def graded_pool(folder, questions=12, depth=32, seed=0, untidy=False):
    """A scored pool of questions from easy to hopeless; the better a sample scores, the likelier it is right.

    An untidy one spells equal answers in several ways, and a quarter of its samples were cut off before they gave one.
    """
    rng = np.random.default_rng(seed)
    asked = questions_of(questions)
    settings = {"generator": {"adapter": "made up"}, "prompt": "{question}"}
    with PoolWriter(folder, asked, settings, scores={"score": VERIFIER}) as writer:
        for number, question in enumerate(asked):
            scores = rng.beta(1 + 6 * (number + 1) / questions, 3, depth)
            right = rng.random(depth) < scores
            answers = np.where(right, 2 * number, 2 * number + rng.integers(1, 4, depth))
            tokens = rng.integers(20, 200, depth)
            ends = [(f"#### {answer}", "stop") for answer in answers.tolist()]
            if untidy:
                ends = [_untidy(answer, rng) for answer in answers.tolist()]
            samples = [
                Sample(f"try {index}: {end}", int(tokens[index]), finish_reason, index, columns=columns)
                for index, (end, finish_reason) in enumerate(ends)
                for columns in [(("score", float(scores[index])), ("refusal", None), ("verifier_tokens", 3))]
            ]
            writer.append(question.id, 0, samples)
    return Pool(folder)


def _untidy(answer, rng):
    if rng.random() < 0.25:
        return "</think> so it must be", "length"
    spelled = rng.choice([str(answer), rf"\frac{{{2 * answer}}}{{2}}", f"{answer}.0", f"{2 * answer}/2"])
    return f"#### {spelled}", "stop"


class CountedGenerator(RecordedGenerator):
    """A recorded pool that notes what is asked of it, and can let others run between two requests."""

    def __init__(self, folder):
        super().__init__(str(folder))
        self.requests = []

    def generate(self, requests):
        self.requests += requests
        return super().generate(requests)

    def asked(self):
        """Indices asked for, by question: each once, in order, or it fails."""
        found: dict = {}
        for request in self.requests:
            assert request.first_index == found.get(request.question_id, 0)
            found[request.question_id] = request.first_index + request.num_samples
        return found


def recorded(folder):
    """Generator and verifier of a pool."""
    generator = CountedGenerator(folder)
    return generator, RecordedVerifier(generator)


class WrittenScores(Verifier):
    """Reads the score with which a sample's text begins; ``refused`` in its place is a refusal."""

    def __init__(self, before: Callable[[int], None] = lambda _: None) -> None:
        self._before = before
        self.batches: list[int] = []

    def score(self, items):
        self._before(len(items))
        self.batches.append(len(items))
        refusals = {index: "it says so" for index, item in enumerate(items) if item.text.startswith("refused")}
        values = [0.0 if item.text.startswith("refused") else float(item.text.split()[0]) for item in items]
        return Scores.of(values, 2, refusals)

    def describe(self):
        return {"adapter": "written"}


@dataclass
class WrittenServer:
    """A server whose samples are written by the test.

    Attributes:
        wait: Seconds that a request with this prompt takes.
        holds: Whether a request with this prompt is held back still; looked at again and again.
        reply: Status with which a prompt is answered; 200 by default.
        text: A sample's text, of its prompt, its request's seed and its place.
        bodies: Every request's body, in the order in which they came.
        finished: Prompts of the requests that were answered, in order.
        given: Samples of the requests that were answered.
        owner: Who owns its model: ``llamacpp`` has samples asked for one by one.
        now: Requests under way.
        most: Most of them at once.
        gone: Requests whose client left before they were answered.
    """

    wait: Callable[[str], float] = lambda prompt: 0.0
    holds: Callable[[str], bool] = lambda prompt: False
    reply: Callable[[str], int] = lambda prompt: 200
    text: Callable[[str, int, int], str] = lambda prompt, seed, place: written(prompt, seed, place)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    owner: str = "vllm"
    given: int = 0
    now: int = 0
    most: int = 0
    gone: int = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._answer)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "written", "owned_by": self.owner}]})

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        self.now += 1
        self.most = max(self.most, self.now)
        prompt = body["prompt"]
        try:
            await asyncio.sleep(self.wait(prompt))
            async with asyncio.timeout(HUNG):
                while self.holds(prompt):
                    await asyncio.sleep(0.002)
            self.finished.append(prompt)
            self.given += body["n"]
        except asyncio.CancelledError:
            self.gone += 1
            raise
        finally:
            self.now -= 1
        if (status := self.reply(prompt)) != 200:
            return web.json_response({"error": {"message": "no"}}, status=status)
        texts = [self.text(prompt, body["seed"], place) for place in range(body["n"])]
        choices = [{"index": place, **choice_of(text, body["max_tokens"])} for place, text in enumerate(texts)]
        usage = {"prompt_tokens": len(prompt), "completion_tokens": sum(len(one["token_ids"]) for one in choices)}
        return web.json_response({"choices": choices, "usage": usage})

    def asked(self) -> Counter:
        """Samples asked for, by prompt."""
        found: Counter = Counter()
        for body in self.bodies:
            found[body["prompt"]] += body["n"]
        return found


def written(prompt, seed, place):
    """A sample's text: its score, and an answer."""
    digest = hashlib.blake2b(f"{prompt}|{seed}|{place}".encode(), digest_size=8).digest()
    return f"{digest[0] / 256:.3f} {'so ' * (digest[1] % 8)}#### {digest[2] % 3}"


def choice_of(text, max_tokens):
    """A sample as a server tells it, cut off where it has more tokens than were asked for."""
    if tokens_of(text) <= max_tokens:
        return {"text": text, "finish_reason": "stop", "token_ids": [0] * tokens_of(text)}
    return {"text": " ".join(text.split()[:max_tokens]), "finish_reason": "length", "token_ids": [0] * max_tokens}


def tokens_of(text):
    return len(text.split()) + 1


def connect(url, concurrency=32, seed=0, max_tokens=16, **options):
    sampling = SamplingParams(max_tokens=max_tokens, seed=seed)
    settings = ServerOptions(**{"max_retries": 0, **options})
    return OpenAIServerGenerator(f"{url}/v1", None, sampling, concurrency=concurrency, options=settings)


def of_policies(answer):
    """The answers of all policies."""
    return (answer, *answer.others)


def said(answer):
    """What of an answer does not depend on the clock."""
    return [
        (one.question_id, one.policy, one.text, one.scores, one.samples, one.tokens, one.stop_reason, one.chosen_tokens)
        for one in of_policies(answer)
    ]


__all__ = ["serving"]
