"""Whether two answers are the same."""

from collections.abc import Sequence

from optscale_predictor.answers.reading import extract_answer, normalise, number_of
from optscale_predictor.answers.symbolic import symbolically_equal


def is_correct(answer: str | None, gold: str) -> bool:
    """Whether ``answer`` (as extracted) equals the gold answer (a bare answer, or a solution that ends in one)."""
    return answer is not None and answers_equal(answer, read_gold(gold))


def are_correct(pairs: Sequence[tuple[str | None, str]]) -> list[bool]:
    """:func:`is_correct` of many pairs of answer and gold."""
    return [is_correct(answer, gold) for answer, gold in pairs]


def answers_equal(left: str, right: str) -> bool:
    """Whether two answers are the same; symmetric."""
    if left == right:
        return True
    one, other = number_of(left), number_of(right)
    if one is not None and other is not None:
        return one == other
    return symbolically_equal(left, right)


def answer_key(answer: str) -> str:
    """A canonical key: answers of equal keys are equal, those of different keys may be."""
    return normalise(answer)


def read_gold(gold: str) -> str:
    """The bare answer of a gold text, by the rule that reads samples; a text without a mark is the answer itself."""
    has_form = "####" in gold or "\\boxed" in gold
    return (extract_answer(gold) if has_form else None) or normalise(gold)
