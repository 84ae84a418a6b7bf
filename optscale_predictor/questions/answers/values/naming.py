r"""Names of what is asked for, as they stand before an equals sign: ``x``, ``f(x)``, ``AB``, ``\angle ABC``."""

import re
from collections.abc import Sequence

from optscale_predictor.questions.answers.values.expressions import parse_expression
from optscale_predictor.questions.answers.values.tokens import (
    NAME,
    NUMBER,
    SIGN,
    SYMBOL,
    WORD,
    Call,
    Node,
    Symbol,
    Token,
    UnreadableError,
)

_CIRCULAR = ("sin", "cos", "tan", "cot", "sec", "csc", "log", "ln")
_MARKS = ("angle", "triangle", "overline", "measuredangle", "arc", "widehat", "vec", "mathbf", "det")


def is_name(side: Sequence[Token]) -> bool:
    """Whether a side only names what the other side is."""
    if not side:
        return False
    if all(token.kind == WORD for token in side) or is_point(side):
        return True
    try:
        node = parse_expression(side)
    except UnreadableError:
        return _is_marked(side)
    if side[0].text in ("f", "g", "h") and side[-1].text == ")":
        return True
    return isinstance(node, Symbol) or _is_sum(node) or _is_segment(side) or _is_function(node) or _is_derivative(side)


def name_of(side: Sequence[Token]) -> str:
    """The name as a key."""
    return "".join(token.text for token in side)


def is_point(side: Sequence[Token]) -> bool:
    """Whether a side is the unknowns of a point, ``(x, y)``."""
    inner = side[1:-1]
    names, commas = inner[::2], inner[1::2]
    brackets = len(side) > 4 and side[0].text == "(" and side[-1].text == ")"
    texts = [one.text for one in names if one.kind == SYMBOL]
    return brackets and len(texts) == len(names) and all(one.text == "," for one in commas)


def is_dependent(name: str) -> bool:
    """Whether a name is that of a function's value: ``y``, ``f(x)``."""
    return name == "y" or re.fullmatch(r"[a-zA-Z]\([a-z]\)", name) is not None


def _is_segment(side: Sequence[Token]) -> bool:
    """``AB``, ``|AB|``: letters of points side by side."""
    if len(side) > 3 and side[0].text == side[-1].text == "|":
        side = side[1:-1]
    return 1 < len(side) < 5 and all(token.kind == SYMBOL and token.text.isupper() for token in side)


def _is_sum(node: Node) -> bool:
    """``m+n``: what contests ask for."""
    return isinstance(node, Call) and node.name == "add" and all(isinstance(one, Symbol) for one in node.arguments)


def _is_function(node: Node) -> bool:
    r"""``\sin\theta``: a known function of one variable."""
    return isinstance(node, Call) and node.name in _CIRCULAR and isinstance(node.arguments[0], Symbol)


def _is_derivative(side: Sequence[Token]) -> bool:
    letters = [token.text for token in side if token.kind == SYMBOL]
    return [token.text for token in side[:1]] == ["frac"] and len(letters) == 4 and letters[0] == letters[2] == "d"


def _is_marked(side: Sequence[Token]) -> bool:
    r"""``m\angle ABC``, ``P(A|B)``: what has no value by itself, without a sum or a power in it."""
    marked = any(token.kind == NAME and token.text in _MARKS for token in side)
    applied = side[0].text in ("f", "g", "h") and side[-1].text == ")"
    chance = [token.text for token in side[:2]] in (["P", "("], ["E", "["], ["E", "("])
    plain = not any(token.kind == NUMBER or (token.kind == SIGN and token.text in "+-*/^") for token in side)
    return applied or ((marked or chance) and plain)
