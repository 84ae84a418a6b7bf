"""Live samples: what the verifier refuses is drawn again, paid for, and never looked at."""

import numpy as np
import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.generators import SamplingParams
from optscale_predictor.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import BestOfN
from optscale_predictor.questions import Question
from optscale_predictor.verifiers import Scores, Verifier
from optscale_predictor.world.arithmetic import make_questions

#: Sums whose answers mostly fit into 40 tokens.
QUESTIONS = [question for question in make_questions(60, 0, "test") if len(question.text) <= 10][:6]


class FinishedOnly(Verifier):
    """Refuses what was cut off before its answer; scores the rest by its length."""

    def score(self, items):
        cut = {index: "it has no answer" for index, item in enumerate(items) if "####" not in item.text}
        return Scores.of([len(item.text) / 1000 for item in items], refusals=cut)

    def describe(self):
        return {"adapter": "finished_only"}


def drawn(questions, max_tokens, samples):
    """Answers, and every sample drawn, by question."""
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(2.0, max_tokens=max_tokens), device="cpu")
    every: dict = {question.id: [] for question in questions}

    def note(question, first, new):
        assert first == len(every[question])  # none is asked for twice
        every[question] += new

    scaler = OptScale(generator, FinishedOnly(), policy=BestOfN(samples))
    return scaler.answer(questions, on_samples=note), every


def test_refused_samples_are_drawn_again_and_paid_for():
    answers, every = drawn(QUESTIONS, 40, 5)
    refused = 0
    for answer in answers:
        scored = [sample for sample in every[answer.question_id] if "####" in sample.text]
        refused += len(every[answer.question_id]) - len(scored)
        assert answer.samples == 5 == len(scored)
        assert answer.scores == pytest.approx([len(sample.text) / 1000 for sample in scored])
        assert answer.tokens == sum(sample.num_tokens for sample in every[answer.question_id])
        assert "####" in answer.text and np.isfinite(answer.score)
    assert refused > 0


def test_a_question_whose_samples_are_all_refused_is_named():
    with pytest.raises(InputError, match=r"question 'hopeless'.*refuses sample after sample.*it has no answer"):
        drawn([Question("hopeless", "1+2+3+4=")], 1, 2)
