r"""Equations and inequalities: what they say of a variable, or the relation itself where they say no more.

Before an equals sign often stands a mere name of what is asked for: ``x``, ``f(x)``, ``AB``, ``\angle ABC``, ``m+n``.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from optscale_predictor.questions.answers.values.brackets import INFINITY, interval, without
from optscale_predictor.questions.answers.values.evaluation import evaluate, symbols
from optscale_predictor.questions.answers.values.expressions import parse_expression
from optscale_predictor.questions.answers.values.kinds import (
    Bracketed,
    Equation,
    Inequality,
    Listing,
    RealSet,
    Scalar,
    Value,
    equal_scalars,
)
from optscale_predictor.questions.answers.values.tokens import (
    NAME,
    NUMBER,
    SIGN,
    SYMBOL,
    WORD,
    Call,
    Node,
    Number,
    Symbol,
    Token,
    UnreadableError,
    depths,
    split,
)

RELATIONS = "=<>≤≥≠∈≈"
_LESS, _GREATER = ("<", "≤"), (">", "≥")
_Reader = Callable[[Sequence[Token]], Value]
_CIRCULAR = ("sin", "cos", "tan", "cot", "sec", "csc", "log", "ln")
_MARKS = ("angle", "triangle", "overline", "measuredangle", "arc", "widehat", "vec", "mathbf", "det")


def read_relation(tokens: Sequence[Token], read: _Reader) -> Value:
    """The value of tokens with a relation outside all brackets.

    Args:
        tokens: The tokens.
        read: Reads one side by itself.

    Raises:
        UnreadableError: It is of no known form.
    """
    sides = split(tokens, RELATIONS)
    signs = [token.text for token in _relations(tokens)]
    if "∈" in signs or "≈" in signs:
        if len(sides) == 2 and (is_name(sides[0]) or not sides[0]):
            return read(sides[1])
        raise UnreadableError("a membership")
    if signs == ["≠"]:
        return _unequal(*sides)
    if set(signs) == {"="}:
        return _equation(sides, read)
    if set(signs) <= {*_LESS} or set(signs) <= {*_GREATER}:
        return _inequality(sides, signs)
    raise UnreadableError("relations of both kinds")


def _relations(tokens: Sequence[Token]) -> list[Token]:
    return [
        token
        for token, depth in zip(tokens, depths(tokens), strict=True)
        if depth == 0 and token.kind == SIGN and token.text in RELATIONS
    ]


def _equation(sides: Sequence[Sequence[Token]], read: _Reader) -> Value:
    if not sides[0] and len(sides) == 2:
        return read(sides[1])
    if not all(sides):
        raise UnreadableError("an equation with an empty side")
    first, last = sides[0], sides[-1]
    if is_name(first) and (len(sides) == 2 or _is_computation(sides[1:])):
        return _named(first, last, read)
    nodes = [parse_expression(side) for side in sides]
    if not any(symbols(node) for node in nodes):
        return read(last)  # a computation
    if len(sides) > 2:
        return Listing(tuple(Equation(*pair) for pair in pairwise(nodes)))
    return Equation(nodes[1], nodes[0], name_of(last)) if is_name(last) else Equation(nodes[0], nodes[1])


def _is_computation(sides: Sequence[Sequence[Token]]) -> bool:
    """Whether all sides have one value, as steps to a result have."""
    try:
        values = [Scalar(parse_expression(side)) for side in sides]
    except UnreadableError:
        return False
    return all(equal_scalars(value, values[-1]) for value in values)


def _named(name: Sequence[Token], last: Sequence[Token], read: _Reader) -> Value:
    """What a name equals; the steps between are left out, as in ``x = 2 + 3 = 5``."""
    value = read(last)
    if isinstance(value, Scalar) and not is_point(name):
        left = Symbol(name_of(name)) if _is_opaque(name) else parse_expression(name)
        return Equation(left, value.node, name_of(name))
    if is_point(name) and isinstance(value, Bracketed):
        names = [token.text for token in name[1:-1:2]]
        if len(names) == len(value.items):  # (y, x) = (1, 2) is the point (2, 1)
            return replace(
                value, items=tuple(value.items[index] for index in sorted(range(len(names)), key=names.__getitem__))
            )
    return value


def _is_opaque(name: Sequence[Token]) -> bool:
    """Whether a name is no expression."""
    if any(token.kind == WORD for token in name):
        return True
    try:
        parse_expression(name)
    except UnreadableError:
        return True
    return False


def _unequal(left: Sequence[Token], right: Sequence[Token]) -> RealSet:
    if not is_name(left):
        left, right = right, left
    node = parse_expression(right)
    if not is_name(left) or symbols(node):
        raise UnreadableError("an inequality of no lone variable")
    return without([evaluate(node)])


def _inequality(sides: Sequence[Sequence[Token]], signs: Sequence[str]) -> Value:
    if signs[0] in _GREATER:
        sides, signs = sides[::-1], signs[::-1]
    nodes = [parse_expression(side) for side in sides]
    strict = [sign in "<>" for sign in signs]
    index = next((number for number, side in enumerate(sides) if is_name(side)), None)
    rest = [node for number, node in enumerate(nodes) if number != index]
    if index is None or any(symbols(node) for node in rest) or len(sides) > 3 or (len(sides) == 3 and index != 1):
        parts = [Inequality(*pair, one) for pair, one in zip(pairwise(nodes), strict, strict=True)]
        return parts[0] if len(parts) == 1 else Listing(tuple(parts))
    return _solved(nodes, strict, index)


def _solved(nodes: Sequence[Node], strict: Sequence[bool], index: int) -> RealSet:
    if len(nodes) == 3:
        return interval(evaluate(nodes[0]), not strict[0], evaluate(nodes[2]), not strict[1])
    if index == 0:
        return interval(-INFINITY, False, evaluate(nodes[1]), not strict[0])
    return interval(evaluate(nodes[0]), not strict[0], INFINITY, False)


def difference(value: Equation | Inequality) -> Scalar:
    """Left side minus right side."""
    return Scalar(Call("add", (value.left, Call("mul", (Number(Fraction(-1)), value.right)))))


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
