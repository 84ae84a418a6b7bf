"""An engine and a verifier that are written out, and the questions that they are asked."""

import asyncio
from dataclasses import dataclass, field

from optscale_predictor.backends.generators import DrawSession, Generator, Sample, SamplingParams, Usage
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.errors import RequestRefusedError
from optscale_predictor.questions.question import Question

QUESTIONS = [Question(f"q{number}", f"{number}+1=", str(number + 1)) for number in range(6)]


@dataclass
class Engine(Generator, DrawSession):
    """Draws ``score #### answer`` by question and index; notes what it is asked and how much of it at once."""

    at_once: int = 100
    refused: str = ""
    holds: bool = False
    asked: list = field(default_factory=list)
    now: int = 0
    most: int = 0
    open: int = 0

    def __post_init__(self):
        self.sampling, self.usage = SamplingParams(max_tokens=50), Usage()

    async def __aenter__(self):
        self.open += 1
        return self

    async def __aexit__(self, *_):
        self.open -= 1

    def session(self):
        return self

    def generate(self, requests):
        raise NotImplementedError

    def describe(self):
        return {"adapter": "written out"}

    async def draw(self, request, sampling):
        self.asked.append((request, sampling))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.002)
            while self.holds:
                await asyncio.sleep(0.002)
            if request.question_id == self.refused:
                raise RequestRefusedError("too long")
        finally:
            self.now -= 1
        first = request.first_index
        return [Sample(text_of(first + step), 10, "stop", first + step) for step in range(request.num_samples)]


def text_of(index):
    return f"{(index * 3 % 10) / 10} #### {index}"


class Reads(Verifier):
    """The score with which a text begins, but for texts that end in ``refused``."""

    def __init__(self):
        self.batches = []

    def score(self, items):
        self.batches.append([item.written for item in items])
        values = [float(item.written.split()[0]) for item in items]
        return Scores.of(
            values, 4, {number: "no" for number, one in enumerate(items) if one.written.endswith("refused")}
        )

    def describe(self):
        return {"adapter": "reads"}


def requests_of(engine):
    return [(one.question_id, one.prompt, one.messages, one.num_samples, one.first_index) for one, _ in engine.asked]
