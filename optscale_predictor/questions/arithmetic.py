"""The embedded world's questions: sums of one- and two-digit numbers, graded by how many there are.

They stand with the questions, and not with the models that learn them, because question sets, lm-eval tasks and tests
ask them without loading a model. The generator learns sums of up to ``LEARNT_TERMS`` numbers; questions have up to
``MOST_TERMS``, so some are hopeless.

``23+7+58=`` is answered as a person would on paper, one running sum a line, and ends in GSM8K's form::

    23+7=30
    30+58=88
    #### 88
"""

from hashlib import blake2b

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.questions.question import Question

FEWEST_TERMS, LEARNT_TERMS, MOST_TERMS = 2, 8, 10
_TEST_SHARE = 0.2


def make_questions(num: int, seed: int, split: str) -> list[Question]:
    """Distinct random questions of one split, their gold answers known.

    A question belongs to a split by a hash of its text, so the two splits never share one, whatever the seed.

    Args:
        num: How many, >= 1.
        seed: Seed of the random questions.
        split: ``train`` or ``test``.

    Raises:
        InputError: An argument is out of its range.
    """
    if num < 1:
        raise InputError(f"num must be >= 1, got {num}")
    if split not in ("train", "test"):
        raise InputError(f"split must be 'train' or 'test', got {split!r}")
    rng = np.random.default_rng([seed, split == "test"])
    texts: dict[str, None] = {}
    while len(texts) < num:
        text = random_question(rng)
        if split_of(text) == split:
            texts[text] = None
    return [Question(f"arithmetic/{split}/{index}", text, str(answer_of(text))) for index, text in enumerate(texts)]


def random_question(rng: np.random.Generator, most_terms: int = MOST_TERMS) -> str:
    """The text of one question; every number of terms is equally likely, one number in four has one digit.

    Args:
        rng: Where the numbers come from.
        most_terms: Most numbers to add, >= 2.
    """
    terms = int(rng.integers(FEWEST_TERMS, most_terms + 1))
    numbers = np.where(rng.random(terms) < 0.25, rng.integers(1, 10, terms), rng.integers(10, 100, terms))
    return "+".join(map(str, numbers.tolist())) + "="


def split_of(text: str) -> str:
    """The split a question's text belongs to, ``train`` or ``test``: four questions in five are for training."""
    digest = blake2b(text.encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest, "big") / 2**64 < _TEST_SHARE else "train"


def terms_of(text: str) -> list[int]:
    """The numbers that a question's text adds."""
    return [int(term) for term in text.rstrip("=").split("+")]


def answer_of(text: str) -> int:
    """The right answer to a question's text."""
    return sum(terms_of(text))


def solution(text: str) -> str:
    """The worked solution that a generator learns to write after the question's text."""
    total, *rest = terms_of(text)
    lines = []
    for term in rest:
        lines.append(f"{total}+{term}={total + term}")
        total += term
    return "\n" + "\n".join(lines) + f"\n#### {total}"
