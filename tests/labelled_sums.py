"""Labelled samples for the tests of training a verifier: drawn by the embedded generator, or made up in no time."""

import numpy as np

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.training.labelled_samples import LabelledSamples
from optscale_predictor.pools import PoolWriter
from optscale_predictor.questions.answers import extract_answer, has_ended
from optscale_predictor.questions.arithmetic import make_questions, solution

SETTINGS = {
    "generator": {"adapter": "transformers", "model": "embedded:generator", "chat": False, "max_tokens": 160},
    "prompt": "{question}",
}


def draw_pool(folder, count=60, samples=8):
    """A pool of what the embedded generator answers: some questions easy, some hopeless, most in between."""
    questions = make_questions(count, 5, "train")
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160, seed=1))
    requests = [Request(question.id, question.text, samples) for question in questions]
    with PoolWriter(folder, questions, SETTINGS) as writer:
        for request, drawn in generator.generate(requests):
            writer.append(request.question_id, 0, drawn)
    return folder


def samples_of(texts, questions=None):
    """Labelled samples of these texts, so many lists of them as there are questions; every text ended."""
    questions = questions or make_questions(len(texts), 5, "train")
    items = [Answered(question, text) for question, some in zip(questions, texts, strict=True) for text in some]
    number = np.repeat(np.arange(len(texts)), list(map(len, texts)))
    right = np.array([extract_answer(item.text, has_ended("stop")) == item.question.gold for item in items])
    return LabelledSamples("made up", items, number, right, np.arange(len(texts)))


def made_up_samples(count=20, seed=0):
    """Right solutions and wrong ones, in which one digit was changed: two of each a question."""
    rng = np.random.default_rng(seed)
    questions = make_questions(count, 7, "train")
    return samples_of(
        [[_solved(rng, one.text, number % 2 == 0) for number in range(4)] for one in questions], questions
    )


def _solved(rng, question, right):
    text = solution(question)
    if right:
        return text
    places = [place for place, character in enumerate(text) if character.isdigit()][-2:]
    place = int(rng.choice(places))
    return f"{text[:place]}{(int(text[place]) + 1 + int(rng.integers(8))) % 10}{text[place + 1 :]}"
