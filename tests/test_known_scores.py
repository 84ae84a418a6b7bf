"""Texts that a question has drawn before are not read again; what depends on more than the text is."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from optscale_predictor.backends.generators import Sample
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.inference.known_scores import KnownScores
from optscale_predictor.inference.sample_scoring import SampleScorer
from optscale_predictor.questions.question import Question


class Notes(Verifier):
    """Scores by length, refuses what says so, and notes what it reads."""

    def __init__(self):
        self.read = []

    def score(self, items):
        self.read.extend((item.question.id, item.written, item.ended) for item in items)
        refusals = {index: "no" for index, item in enumerate(items) if item.written == "refused"}
        values = [float("nan") if index in refusals else len(item.text) / 100 for index, item in enumerate(items)]
        return Scores.of(values, 7, refusals)

    def describe(self):
        return {"adapter": "notes"}


def samples(*texts, reason="stop"):
    return [Sample(text, 5, reason, number) for number, text in enumerate(texts)]


def scored(verifier, *draws):
    async def run():
        with ThreadPoolExecutor(1) as threads:
            scorer = SampleScorer(verifier, threads)
            known = KnownScores(Question("q", "1+1="), scorer)
            found = [await known.score(draw) for draw in draws]
            await scorer.close()
            return found

    return asyncio.run(run())


def test_a_text_that_is_drawn_again_is_not_read_again():
    verifier = Notes()
    first, second, third = scored(verifier, samples("a", "bb"), samples("bb", "ccc", "a"), samples("bb"))
    assert [text for _, text, _ in verifier.read] == ["a", "bb", "ccc"]
    assert [one.score for one in second] == [0.02, 0.03, 0.01] and [one.score for one in third] == [0.02]
    assert [one.sample.seed for one in second] == [0, 1, 2]  # each is its own sample
    assert [one.verifier_tokens for one in first + second + third] == [7, 7, 0, 7, 0, 0]


def test_one_that_was_cut_off_is_not_one_that_ended():
    verifier = Notes()
    scored(verifier, samples("a"), samples("a", reason="length"))
    assert verifier.read == [("q", "a", True), ("q", "a", False)]


def test_a_refused_text_is_asked_about_again():
    verifier = Notes()
    (first,), (second,) = scored(verifier, samples("refused"), samples("refused"))
    assert first.refusal == second.refusal == "no" and len(verifier.read) == 2


@pytest.mark.parametrize("reads", [True, False])
def test_scores_that_depend_on_log_probabilities_belong_to_each_sample(reads):
    verifier = Notes()
    verifier.reads_logprobs = reads
    scored(verifier, samples("a"), samples("a"))
    assert len(verifier.read) == (2 if reads else 1)
