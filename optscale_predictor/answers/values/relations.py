"""Equations and inequalities: what they say of a variable, or the relation itself where they say no more."""

from collections.abc import Callable, Sequence

from optscale_predictor.answers.values.evaluation import evaluate, symbols
from optscale_predictor.answers.values.expressions import parse_expression
from optscale_predictor.answers.values.kinds import Equation, Inequality, RealSet, Value
from optscale_predictor.answers.values.nodes import Node, Symbol
from optscale_predictor.answers.values.real_sets import INFINITY, interval, without
from optscale_predictor.answers.values.tokens import NAME, SIGN, SYMBOL, WORD, Token, UnreadableError, split

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
        if len(sides) == 2 and (_is_name(sides[0]) or not sides[0]):
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
    from optscale_predictor.answers.values.tokens import depths

    return [
        token
        for token, depth in zip(tokens, depths(tokens), strict=True)
        if depth == 0 and token.kind == SIGN and token.text in RELATIONS
    ]


def _is_name(side: Sequence[Token]) -> bool:
    r"""Whether a side is a lone variable, one of a function (``f(x)``), or what words call it (``\text{Total}``)."""
    if not side:
        return False
    if all(token.kind == WORD for token in side) or _is_point(side):
        return True
    if side[0].kind not in (SYMBOL, NAME):
        return False
    try:
        node = parse_expression(side)
    except UnreadableError:
        return False
    if isinstance(node, Symbol):
        return True
    applied = [token.text for token in side[1:]]
    return side[0].kind == SYMBOL and applied[:1] == ["("] and applied[-1:] == [")"] and len(applied) == 3


def _is_point(side: Sequence[Token]) -> bool:
    """Whether a side is the unknowns of a point, ``(x, y)``."""
    inner = side[1:-1]
    names, commas = inner[::2], inner[1::2]
    brackets = len(side) > 4 and side[0].text == "(" and side[-1].text == ")"
    return brackets and all(one.kind == SYMBOL for one in names) and all(one.text == "," for one in commas)


def _equation(sides: Sequence[Sequence[Token]], read: _Reader) -> Value:
    if not sides[0] and len(sides) == 2:
        return read(sides[1])
    if not all(sides):
        raise UnreadableError("an equation with an empty side")
    if _is_name(sides[0]) and (sides[0][0].kind == WORD or _is_point(sides[0])):
        return read(sides[-1])
    last = sides[-1]
    try:
        nodes = [parse_expression(side) for side in sides]
    except UnreadableError:
        if _is_name(sides[0]):  # of a point, a set, a quantity
            return read(last)
        raise
    if len(sides) > 2 and not symbols(nodes[-1]):  # a computation
        if _is_name(sides[0]):
            return Equation(nodes[0], nodes[-1], _name(sides[0]))
        return read(last)
    if not any(symbols(node) for node in nodes):
        return read(last)
    name = _name(sides[0]) if _is_name(sides[0]) else ""
    if not name and _is_name(last):
        return Equation(nodes[-1], nodes[0], _name(last))
    return Equation(nodes[0], nodes[-1], name)


def _name(side: Sequence[Token]) -> str:
    return "".join(token.text for token in side)


def _unequal(left: Sequence[Token], right: Sequence[Token]) -> RealSet:
    if not _is_name(left):
        left, right = right, left
    node = parse_expression(right)
    if not _is_name(left) or symbols(node):
        raise UnreadableError("an inequality of no lone variable")
    return without([evaluate(node)])


def _inequality(sides: Sequence[Sequence[Token]], signs: Sequence[str]) -> Value:
    if signs[0] in _GREATER:
        sides, signs = sides[::-1], signs[::-1]
    nodes = [parse_expression(side) for side in sides]
    strict = [sign in "<>" for sign in signs]
    place = next((number for number, side in enumerate(sides) if _is_name(side)), None)
    rest = [node for number, node in enumerate(nodes) if number != place]
    if place is None or any(symbols(node) for node in rest) or len(sides) > 3 or (len(sides) == 3 and place != 1):
        if len(nodes) != 2:
            raise UnreadableError("a chain of inequalities")
        return Inequality(nodes[0], nodes[1], strict[0])
    return _solved(nodes, strict, place)


def _solved(nodes: Sequence[Node], strict: Sequence[bool], place: int) -> RealSet:
    if len(nodes) == 3:
        return interval(evaluate(nodes[0]), not strict[0], evaluate(nodes[2]), not strict[1])
    if place == 0:
        return interval(-INFINITY, False, evaluate(nodes[1]), not strict[0])
    return interval(evaluate(nodes[0]), not strict[0], INFINITY, False)
