r"""A verifier that does the sums again: do the calculations that a sample writes down hold?

Small models slip in their arithmetic, and a language model that reads the slip seldom sees it. What is written as
``56 * 9 = 504``, ``48/2=<<48/2=24>>24`` (GSM8K's way), ``\frac{1}{2} + 3 = 3.5`` or ``$5 x 3 = $15`` is worked out in
fractions; what has letters in it, or cannot be told from a part of something longer, is left alone. It knows nothing
of the question: whether it was the right sum to do is for another verifier, and a combination of both
(``optscale fit-policy --scores``) is what it is for.

The score is what is to be expected of the next calculation, given those that hold and those that do not (the posterior
mean under Jeffreys' prior, (holds + 1/2) / (all + 1)): a half where there is none.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from optscale_predictor.backends.verifiers.verifier import Answered, Scores, Verifier

#: The name of the verifier.
CALCULATIONS = "calculations"

# Every repetition is bounded: what a model writes may be long, and nothing else.
_NUMBER = r"\d{1,15}(?:\.\d{1,10})?"
_OPENING, _CLOSING = r"[-( ]{0,6}", r"[) ]{0,6}"
_EXPRESSION = rf"{_OPENING}{_NUMBER}{_CLOSING}(?:[-+*/]{_OPENING}{_NUMBER}{_CLOSING}){{0,30}}"
# The right side is looked at and not taken: in 2 + 3 = 5 = 10 / 2 it is the next left side.
_CALCULATION = re.compile(rf"(?P<left>{_EXPRESSION})=(?=(?P<right>{_EXPRESSION}))")
_OPERATOR = re.compile(r"\d[) ]*[-+*/]")
_SPELLINGS = (
    (re.compile(r"<<[^<>]{0,200}>>"), ""),  # GSM8K repeats in them what stands around them
    (re.compile(r"\\[dt]?frac\{([\d. ]{1,20})\}\{([\d. ]{1,20})\}"), r"(\1/\2)"),
    (re.compile(r"\\times|\\cdot|[\u00d7\u00b7\u2219\u22c5]"), "*"),
    (re.compile(r"\\div|\u00f7"), "/"),
    (re.compile(r"[\u2212\u2013]"), "-"),
    (re.compile(r"(?<=\d)( {0,3})[xX]( {0,3})(?=\d)"), r"\1*\2"),
    (re.compile(r"\\left|\\right|\\\$|\$|\\[()]|[\t\u00a0]"), ""),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
)
_CONTINUES_BEFORE = re.compile(r"[\w.%^)\]}*/+]$")  # what stands before an expression that is only the rest of one
_CONTINUES_AFTER = re.compile(r" *[-+*/^%(\\]|[\w]")


class CalculationsVerifier(Verifier):
    """Scores samples by how many of the calculations they write down hold."""

    reads_tokens = False
    scores_prefixes = True

    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples, in their order; none is refused."""
        held = [list(check_calculations(item.text)) for item in items]
        return Scores.of([(sum(one) + 0.5) / (len(one) + 1) for one in held])

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score; JSON types, no secrets."""
        return {"adapter": CALCULATIONS, "model": CALCULATIONS, "score": "(holds + 1/2) / (all + 1)"}


def check_calculations(text: str) -> Iterator[bool]:
    """Whether each calculation that a text writes down holds, in their order.

    A result with decimals holds where it is the value rounded to them. A whole number for a value that is none (the
    buses that 25 children need) may be meant, and is not counted.

    Args:
        text: Any text.
    """
    for pattern, plain in _SPELLINGS:
        text = pattern.sub(plain, text)
    for found in _CALCULATION.finditer(text):
        left, right = found["left"], found["right"]
        written = _OPERATOR.search(left) or _OPERATOR.search(right)
        start = found.start() + len(left) - len(left.lstrip())
        end = found.start("right") + len(right.rstrip())
        if not written or _is_rest(text, start, left) or _CONTINUES_AFTER.match(text, end):
            continue
        values = _value(left), _value(right)
        if values[0] is not None and values[1] is not None:
            holds = _holds(values[0], values[1], right.strip() if not _OPERATOR.search(right) else left.strip())
            if holds is not None:
                yield holds


def _is_rest(text: str, start: int, expression: str) -> bool:
    """Whether an expression is the rest of one whose beginning has not been understood: ``x - 3 + 2``, ``1 1/2``."""
    before = text[max(0, start - 20) : start]
    adjacent, apart = before[-1:], before.rstrip()[-1:]
    if expression.strip()[:1] == "-" and apart and apart not in "=(:,;":
        return True
    return bool(_CONTINUES_BEFORE.search(adjacent)) or apart.isdigit() or apart in ("+", "*", "/", "^", "%")


def _holds(one: Fraction, other: Fraction, result: str) -> bool | None:
    """Whether two sides are equal, given how the result is written; None where a rounding may be meant."""
    difference = abs(one - other)
    if not difference:
        return True
    number = re.fullmatch(r"\(* *-? *\d+(?:\.(\d+))? *\)*", result)
    if number is None:
        return False
    if number[1]:
        return difference <= Fraction(1, 2 * 10 ** len(number[1]))
    return None if difference < 1 else False


def _value(expression: str) -> Fraction | None:
    """What an expression of numbers comes to; None where it is none."""
    try:
        return _of_node(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
        return None


def _of_node(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return Fraction(repr(node.value))  # 0.1 is a tenth
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_of_node(node.operand)
    if isinstance(node, ast.BinOp):
        left, right = _of_node(node.left), _of_node(node.right)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div):
            return left / right
    raise ValueError(ast.dump(node))
