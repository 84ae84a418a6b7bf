"""When two expressions are one number, one function, or have the same zeros.

Equations and inequalities: what they say of a variable, or the relation itself where they say no more.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from optscale_predictor.questions.answers.values.evaluation import evaluate, ratio, same, symbols
from optscale_predictor.questions.answers.values.expressions import parse_expression
from optscale_predictor.questions.answers.values.kinds import (
    Bracketed,
    Equation,
    Inequality,
    Listing,
    RealSet,
    Scalar,
    Value,
)
from optscale_predictor.questions.answers.values.naming import is_name, is_point, name_of
from optscale_predictor.questions.answers.values.operations import is_real
from optscale_predictor.questions.answers.values.real_sets import INFINITY, interval, without
from optscale_predictor.questions.answers.values.tokens import (
    SIGN,
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


def equal_scalars(left: Scalar, right: Scalar) -> bool:
    """Whether two expressions have one value, or with variables one value at every point."""
    if left.node == right.node:
        return True
    if not left.names and not right.names:
        return same(left.value, right.value)
    if left.names != right.names:
        return False
    points = list(zip(left.points, right.points, strict=True))
    known = [(one, two) for one, two in points if one is not None and two is not None]
    if len(known) < 2 or any((one is None) != (two is None) for one, two in points):
        return False
    # Roots and logarithms agree where they are real; elsewhere they have branches.
    real = [(one, two) for one, two in known if is_real(one) and is_real(two)]
    return all(same(one, two) for one, two in (real if len(real) > 1 else known))


def proportional(left: Scalar, right: Scalar, negative: bool) -> bool:
    """Whether one is a constant multiple of the other: the same zeros, and with a positive one the same sign."""
    names = left.names | right.names
    if left.names != right.names or not names:
        return False
    ratios = [ratio(one, two) for one, two in zip(left.points, right.points, strict=True) if None not in (one, two)]
    if len(ratios) < 2 or None in ratios or not all(same(ratios[0], one) for one in ratios[1:]):
        return False
    return negative or (is_real(ratios[0]) and ratios[0] > 0)


def difference(value: Equation | Inequality) -> Scalar:
    """Left side minus right side."""
    return Scalar(Call("add", (value.left, Call("mul", (Number(Fraction(-1)), value.right)))))


_LESS, _GREATER = ("<", "≤"), (">", "≥")
RELATIONS = "=<>≤≥≠∈≈"
_Reader = Callable[[Sequence[Token]], Value]


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
                value, items=tuple(value.items[place] for place in sorted(range(len(names)), key=names.__getitem__))
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
    place = next((number for number, side in enumerate(sides) if is_name(side)), None)
    rest = [node for number, node in enumerate(nodes) if number != place]
    if place is None or any(symbols(node) for node in rest) or len(sides) > 3 or (len(sides) == 3 and place != 1):
        parts = [Inequality(*pair, one) for pair, one in zip(pairwise(nodes), strict, strict=True)]
        return parts[0] if len(parts) == 1 else Listing(tuple(parts))
    return _solved(nodes, strict, place)


def _solved(nodes: Sequence[Node], strict: Sequence[bool], place: int) -> RealSet:
    if len(nodes) == 3:
        return interval(evaluate(nodes[0]), not strict[0], evaluate(nodes[2]), not strict[1])
    if place == 0:
        return interval(-INFINITY, False, evaluate(nodes[1]), not strict[0])
    return interval(evaluate(nodes[0]), not strict[0], INFINITY, False)
