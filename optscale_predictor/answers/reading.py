r"""Reading the final answer out of a text.

An answer is what follows the last ``####`` (GSM8K's form), else what the last ``\boxed{}`` holds, else the last number.
Plain numbers are compared here; anything else goes to math-verify (``symbolic``).
"""

import re
from decimal import Decimal, InvalidOperation

from optscale_predictor.answers.thinking import strip_thinking

_HASHES = re.compile(r"####[ \t]*([^\n]+)")
_THOUSANDS = r"\d{1,3}(?:,\d{3})+(?!\d)"  # any other comma is one between two answers
_NUMBER = re.compile(rf"-?(?:{_THOUSANDS}|\d+)(?:\.\d+)?")


def extract_answer(text: str, ended: bool = True) -> str | None:
    """The final answer in ``text``, normalised (equal plain answers are equal strings); None where there is none.

    Args:
        text: A sample's text, thinking included.
        ended: Whether the sample ended by itself. One that was cut off has an answer only where it is marked.
    """
    text = strip_thinking(text)
    marked = _HASHES.findall(text)
    if marked:
        return normalise(marked[-1]) or None
    boxed = _last_boxed(text)
    if boxed is not None:
        return normalise(boxed) or None
    if not ended:
        return None
    numbers = _NUMBER.findall(text)
    return normalise(numbers[-1]) if numbers else None


def normalise(answer: str) -> str:
    """``answer`` without spaces at its ends, dollar signs, thousands separators, a final stop or trailing zeros."""
    answer = answer.strip().strip("$").replace("\\$", "").strip().rstrip(".").strip()
    number = number_of(answer)
    if number is None:
        return answer
    whole = number == number.to_integral_value()
    return str(number.to_integral_value()) if whole else str(number.normalize())


def number_of(text: str) -> Decimal | None:
    """A plain number's value; None where the text is none."""
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
