"""Makes the embedded world's verifier: a reader trained longer than the generator, and a fitted score map.

The labels are the generator's own samples on train questions. The verifier stays fallible: the reader was not taught
sums longer than the generator's either, and errs on some it was taught.
"""

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from optscale_predictor.answers import extract_answer
from optscale_predictor.generators import Request, SamplingParams
from optscale_predictor.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.verifiers import Answered
from optscale_predictor.verifiers.likelihood import LikelihoodVerifier, ScoreMap, fit_score_map
from optscale_predictor.world.arithmetic import make_questions

SAMPLES = 16  # of each training question


def label_samples(generator: str, num_questions: int, seed: int = 0) -> tuple[list[Answered], NDArray[np.bool_]]:
    """Samples that the generator in folder ``generator`` drew on train questions, and whether each is right."""
    questions = make_questions(num_questions, seed + 1, "train")
    sampler = HuggingFaceGenerator(generator, SamplingParams(max_tokens=160, seed=seed))
    by_id = {question.id: question for question in questions}
    requests = [Request(question.id, question.text, SAMPLES) for question in questions]
    items = []
    for request, samples in tqdm(sampler.generate(requests), total=len(requests), desc="samples", unit=" questions"):
        asked = by_id[request.question_id]
        items += [Answered(asked, sample.text, sample.finish_reason != "length") for sample in samples]
    return items, np.array([extract_answer(item.written, item.ended) == item.question.gold for item in items])


def fit_verifier(reader: str, items: list[Answered], correct: NDArray[np.bool_]) -> ScoreMap:
    """The map from how the model in folder ``reader`` reads a sample to the probability that it is right."""
    return fit_score_map(LikelihoodVerifier(reader, score_map=ScoreMap()).features(items), correct)
