"""The demo's questions: which are learnt from, which are compared on, and that neither is nearly one of the others."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from optscale_predictor.cli.worlds.world import Sizes
from optscale_predictor.errors import InputError
from optscale_predictor.questions.near_duplicates import group_near_duplicates
from optscale_predictor.questions.question import Question
from optscale_predictor.questions.question_sets import load_question_set

_LOG = logging.getLogger(__name__)
_ENDLESS = ("embedded:train", "embedded:test")  # as many questions as are asked for, in random order already


@dataclass(frozen=True)
class DemoQuestions:
    """Questions by what they are for.

    Attributes:
        verifier: Whose samples the verifier learns from; none where it is not trained.
        train: Whose samples predictor, settings and fitted policy learn from.
        test: That policies are compared on.
    """

    verifier: list[Question]
    train: list[Question]
    test: list[Question]


def choose_questions(train_set: str, test_set: str, sizes: Sizes) -> DemoQuestions:
    """Questions of two sets, as many as are asked for, chosen at random and always the same.

    Near-duplicates of test questions are left out of training; numbers count for nothing, so that a problem with other
    numbers is a near-duplicate too. Where a verifier is trained, half of the training questions, near-duplicates
    together, are for it alone: its scores of samples that it has learnt from are too good to learn anything else from.
    More questions of a set contain the fewer, so a run grows.

    Args:
        train_set: Name of a question set.
        test_set: Name of another.
        sizes: How many questions.

    Raises:
        InputError: A set cannot be loaded, or has too few questions.
    """
    trained = sizes.verifier_questions > 0
    # Halves are drawn by a hash: four times as many of an endless set leave enough in either.
    most = 4 * (sizes.train_questions + sizes.verifier_questions) if trained else sizes.train_questions
    test = _load("test_set", test_set, sizes.test_questions)
    pool = _load("train_set", train_set, most)
    texts = [question.text for question in [*test, *pool]]
    group = group_near_duplicates(texts, same_numbers=False).tolist()
    tested, own = set(group[: len(test)]), group[len(test) :]
    kept = [(question, number) for question, number in zip(pool, own, strict=True) if number not in tested]
    if not kept:
        raise InputError(f"{train_set}: all of its questions are near-duplicates of test questions; name another set")
    if len(kept) < len(pool):
        left = len(pool) - len(kept)
        _LOG.info(f"{train_set}: {left} of {len(pool)} questions are near-duplicates of test questions, and left out")
    halves = _halves(kept) if trained else ([], [question for question, _ in kept])
    return DemoQuestions(
        _first("verifier_questions", halves[0], sizes.verifier_questions),
        _first("train_questions", halves[1], sizes.train_questions),
        _first("test_questions", test, sizes.test_questions),
    )


def _halves(grouped: Sequence[tuple[Question, int]]) -> tuple[list[Question], list[Question]]:
    """Two halves that share no group; which one a group is in depends on its texts alone."""
    names: dict[int, str] = {}
    for question, group in grouped:
        names[group] = min(question.text, names.get(group, question.text))
    halves: tuple[list[Question], list[Question]] = ([], [])
    for question, group in grouped:
        halves[sha256(names[group].encode()).digest()[0] % 2].append(question)
    return halves


def _load(flag: str, name: str, most: int) -> list[Question]:
    """A set's questions that have answers, in an order that is random and always the same."""
    if name in _ENDLESS:
        return load_question_set(f"{name}:{most}")
    try:
        found = load_question_set(name)
    except InputError as error:
        raise InputError(f"{error}; other questions: --{flag} FILE.jsonl") from error
    known = [question for question in found if question.gold]
    if not known:
        raise InputError(
            f"{name}: none of its {len(found)} questions has an answer; other questions: --{flag} FILE.jsonl"
        )
    if len(known) < len(found):
        _LOG.info(f"{name}: {len(found) - len(known)} of {len(found)} questions have no answer, and are left out")
    return [known[index] for index in np.random.default_rng(0).permutation(len(known)).tolist()]


def _first(name: str, questions: list[Question], number: int) -> list[Question]:
    if len(questions) < number:
        raise InputError(f"{name} must be <= {len(questions)}, as many as there are for it, got {number}")
    return questions[:number]
