r"""Answers: reading the final answer out of a sample, and deciding whether two answers are the same.

An answer is what follows the last ``####`` (GSM8K's form), else what the last ``\boxed{}`` holds, else the last number.
Plain numbers are compared here; anything else goes to math-verify (``equivalence``).
"""

import re
from decimal import Decimal, InvalidOperation

from optscale_predictor.equivalence import symbolically_equal

_HASHES = re.compile(r"####[ \t]*([^\n]+)")
_THOUSANDS = r"\d{1,3}(?:,\d{3})+(?!\d)"  # any other comma is one between two answers
_NUMBER = re.compile(rf"-?(?:{_THOUSANDS}|\d+)(?:\.\d+)?")


def extract_answer(text: str) -> str | None:
    """The final answer in ``text``, normalised (equal plain answers are equal strings); None where there is none."""
    marked = _HASHES.findall(text)
    if marked:
        return normalise(marked[-1]) or None
    boxed = _last_boxed(text)
    if boxed is not None:
        return normalise(boxed) or None
    numbers = _NUMBER.findall(text)
    return normalise(numbers[-1]) if numbers else None


def is_correct(answer: str | None, gold: str) -> bool:
    """Whether ``answer`` (as extracted) equals the gold answer (a bare answer, or a solution that ends in one)."""
    if answer is None:
        return False
    target = _gold_answer(gold)
    if answer == target:
        return True
    left, right = _number(answer), _number(target)
    if left is not None and right is not None:
        return left == right
    return symbolically_equal(answer, target)


def normalise(answer: str) -> str:
    """``answer`` without spaces at its ends, dollar signs, thousands separators, a final stop or trailing zeros."""
    answer = answer.strip().strip("$").replace("\\$", "").strip().rstrip(".").strip()
    number = _number(answer)
    if number is None:
        return answer
    whole = number == number.to_integral_value()
    return str(number.to_integral_value()) if whole else str(number.normalize())


def _gold_answer(gold: str) -> str:
    has_form = "####" in gold or "\\boxed" in gold
    return (extract_answer(gold) if has_form else None) or normalise(gold)


def _number(text: str) -> Decimal | None:
    if len(text) > 64 or not re.fullmatch(rf"[-+]?(?:(?:{_THOUSANDS}|\d+)(?:\.\d+)?|\.\d+)", text):
        return None
    try:
        return Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None


def _last_boxed(text: str) -> str | None:
    r"""What the last ``\boxed{...}`` holds, braces balanced; None where there is none or it never closes."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed")
    for position in range(begin, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return text[begin + 1 : position]
    return None
