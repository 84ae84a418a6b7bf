"""Builds the embedded world's generator and verifier from a seed.

    python -m optscale_predictor.embedded.build --output FOLDER

With the defaults this is how the shipped weights were made, in about 12 minutes on two cores. Weights made on another
machine or another version of torch can differ in their last digits.

The verifier is a second model, the reader, which was trained longer than the generator, with a score map on top: from
how likely the reader finds a sample to the probability that it is right, fitted on labelled samples that the generator
drew on train questions. It stays fallible: the reader was not taught sums longer than the generator's either, and errs
on some that it was taught.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from tqdm import tqdm
from transformers import PreTrainedModel
from transformers.utils import logging

from optscale_predictor._support.arrays import Bools
from optscale_predictor._support.json_reader import read_object
from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier, ScoreMap, fit_score_map
from optscale_predictor.embedded.train_generator import make_tokenizer, train_generator
from optscale_predictor.questions.answers import extract_answer, has_ended
from optscale_predictor.questions.arithmetic import make_questions

SAMPLES = 16  # of each question that is labelled
GENERATOR_STEPS = 600
READER_STEPS = 1300
VERIFIER_QUESTIONS = 150


def label_samples(
    generator: str, num_questions: int, seed: int = 0
) -> tuple[list[Answered], Bool[Bools, " answered_samples"]]:
    """Samples that a generator draws on train questions, ``SAMPLES`` of each, and whether each is right.

    Args:
        generator: Its folder.
        num_questions: How many questions, >= 1.
        seed: Questions and samples.
    """
    questions = make_questions(num_questions, seed + 1, "train")
    sampler = HuggingFaceGenerator(generator, SamplingParams(max_tokens=160, seed=seed))
    by_id = {question.id: question for question in questions}
    requests = [Request(question.id, question.text, SAMPLES) for question in questions]
    items = []
    for request, samples in tqdm(sampler.generate(requests), total=len(requests), desc="samples", unit=" questions"):
        asked = by_id[request.question_id]
        items += [Answered(asked, sample.text, has_ended(sample.finish_reason)) for sample in samples]
    return items, np.array([extract_answer(item.written, item.ended) == item.question.gold for item in items])


def fit_verifier(reader: str, items: list[Answered], correct: Bool[Bools, " answered_samples"]) -> ScoreMap:
    """The map from how likely a model finds a sample to the probability that it is right.

    Args:
        reader: The model's folder.
        items: Labelled samples.
        correct: Whether each is right.
    """
    return fit_score_map(LikelihoodVerifier(reader, score_map=ScoreMap()).features(items), correct)


def build(
    output: Path,
    seed: int = 0,
    generator_steps: int = GENERATOR_STEPS,
    reader_steps: int = READER_STEPS,
    verifier_questions: int = VERIFIER_QUESTIONS,
) -> None:
    """Writes ``output/generator`` and ``output/verifier``: half-precision models with tokenizer and config.

    Args:
        output: The folder; existing files of these names are overwritten.
        seed: Weights, questions and samples.
        generator_steps: Training steps of the generator, >= 1.
        reader_steps: Training steps of the verifier's model, >= 1.
        verifier_questions: Train questions whose samples the verifier's score map is fitted on, >= 1.
    """
    logging.set_verbosity_error()
    _save(train_generator(generator_steps, seed), output / "generator")
    _save(train_generator(reader_steps, seed), output / "verifier")
    items, correct = label_samples(str(output / "generator"), verifier_questions, seed)
    fit_verifier(str(output / "verifier"), items, correct).save(output / "verifier")


def _save(model: PreTrainedModel, folder: Path) -> None:
    """Saves in bfloat16, whose range is single precision's; nothing in the folder names where it was made."""
    model.bfloat16().save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    _edit(folder / "config.json", _name_or_path=None)
    # transformers 5 writes a class name that transformers 4 does not know; both know this one.
    _edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")


def _edit(path: Path, **changes: str | None) -> None:
    """Sets keys of a JSON file; None removes one."""
    config = read_object(path)
    for key, value in changes.items():
        if value is None:
            config.pop(key, None)
        else:
            config[key] = value
    path.write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder to write the two models to")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--generator-steps", type=int, default=GENERATOR_STEPS)
    parser.add_argument("--reader-steps", type=int, default=READER_STEPS)
    parser.add_argument("--verifier-questions", type=int, default=VERIFIER_QUESTIONS)
    flags = parser.parse_args()
    build(flags.output, flags.seed, flags.generator_steps, flags.reader_steps, flags.verifier_questions)


if __name__ == "__main__":
    main()
