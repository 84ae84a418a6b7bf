"""What a tree is worth, to make sure that a re-spelling is the same answer and a mutation another one.

Expressions are evaluated at two fixed points of their variables, exactly where only rational numbers are involved.
"""

import cmath
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from respelling_parsing import Node, walk

Value = Fraction | float | complex
CONSTANTS: dict[str, Value] = {"\\pi": math.pi, "\\infty": math.inf}
ORDERED = ("tuple", "matrix", "row", "interval", "ratio")
UNORDERED = ("set", "list", "union")
POINTS = (0, 1)
FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    "sin": cmath.sin,
    "cos": cmath.cos,
    "tan": cmath.tan,
    "cot": lambda x: 1 / cmath.tan(x),
    "sec": lambda x: 1 / cmath.cos(x),
    "csc": lambda x: 1 / cmath.sin(x),
}


def symbols(tree: Node) -> set[str]:
    """The variables of a tree; the imaginary unit is one of them only beside others."""
    found = {str(item.args[0]) for item in walk(tree) if item.op == "sym"} - set(CONSTANTS)
    return set() if found == {"i"} else found


def evaluate(tree: Node, point: int, imaginary: bool) -> Value:
    """The value at a point; ``ArithmeticError`` where it has none."""
    name = tree.args[0] if tree.op == "sym" else ""
    if tree.op == "num":
        return Fraction(tree.args[0])
    if tree.op == "sym":
        if name in CONSTANTS:
            return CONSTANTS[name]
        return 1j if name == "i" and imaginary else Fraction(37 + 7 * (sum(map(ord, name)) % 91) + 5 * point, 23)
    if tree.op == "overline":
        whole, digits = tree.args
        length = len(whole.partition(".")[2])
        return Fraction(whole) + Fraction(int(digits), (10 ** len(digits) - 1) * 10**length)
    if tree.op == "root":
        return _root(evaluate(tree.args[0], point, imaginary), int(tree.args[1]))
    if tree.op == "func":
        inner = complex(evaluate(tree.args[1], point, imaginary))
        return complex(FUNCTIONS[tree.args[0]](inner))
    return _combined(tree.op, [evaluate(part, point, imaginary) for part in tree.args])


def _root(radicand: Value, index: int) -> Value:
    if isinstance(radicand, Fraction) and radicand < 0:
        return complex(radicand) ** (1 / index)
    return float(radicand) ** (1 / index) if not isinstance(radicand, complex) else radicand ** (1 / index)


def _combined(op: str, values: list[Any]) -> Value:
    if op == "neg":
        return -values[0]
    if op == "frac":
        return values[0] / values[1]
    if op in ("sum", "mixed"):
        return sum(values[1:], values[0])
    if op == "prod":
        return math.prod(values[1:], start=values[0])
    if op == "pow":
        if abs(values[1]) > 64:
            raise OverflowError("a power too high to compare")
        return values[0] ** (int(values[1]) if values[1] == int(abs(values[1])) else values[1])
    raise ValueError(f"{op} has no value")


def facts(tree: Node) -> Any:
    """What decides whether two answers are the same: nested tuples of text and numbers."""
    imaginary = not symbols(tree)
    if tree.op in UNORDERED or tree.op == "pm":
        members = [member for part in tree.args if part is not None for member in _members(part)]
        members = _members(tree) if tree.op == "pm" else members
        keyed = {_sort_key(fact): fact for fact in map(facts, members)}
        return ("members", *(keyed[key] for key in sorted(keyed)))
    if tree.op == "row" or tree.op in ORDERED:
        return (tree.op, *(facts(part) if isinstance(part, Node) else part for part in tree.args))
    if tree.op == "in":
        return facts(tree.args[1])
    if tree.op == "equation":
        return ("equation", *_difference(tree))
    if tree.op == "sci":
        return ("value", Fraction(tree.args[0]) * Fraction(10) ** int(tree.args[1]))
    if tree.op == "percent":
        return ("value", Fraction(1, 100) * evaluate(tree.args[0], 0, imaginary))
    if tree.op in ("money", "degrees", "quantity"):
        return (tree.op, facts(tree.args[0]), *tree.args[1:])
    if tree.op in ("base", "word", "choice", "time", "other"):
        return (tree.op, *tree.args)
    return ("value", *(evaluate(tree, point, imaginary) for point in POINTS))


def _members(tree: Node) -> list[Node]:
    """The two values of a plus-minus, else the node itself."""
    if tree.op != "pm":
        return [tree]
    base, by = tree.args
    minus = Node("neg", (by,))
    return [by, minus] if base is None else [Node("sum", (base, by)), Node("sum", (base, minus))]


def _difference(tree: Node) -> list[Value]:
    """Left minus right at two points, as shares of their sum: what a factor on both sides does not change."""
    left, right = tree.args
    values = [evaluate(left, point, False) - evaluate(right, point, False) for point in POINTS]
    scale = sum(abs(value) for value in values) or 1
    sign = -1 if isinstance(values[0], Fraction | float) and values[0] < 0 else 1
    return [sign * value / scale for value in values]


def _sort_key(fact: Any) -> str:
    return repr([f"{complex(item):.9g}" if isinstance(item, Fraction | float | complex) else item for item in fact])


def same(one: Node, other: Node) -> bool | None:
    """Whether two trees are the same answer; None where that cannot be told."""
    try:
        return _close(facts(one), facts(other))
    except (ArithmeticError, ValueError):
        return None


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, str) or isinstance(other, str) or isinstance(one, tuple) or isinstance(other, tuple):
        return bool(one == other)
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    return bool(cmath.isclose(one, other, rel_tol=1e-11)) or one == other


def fraction_of(tree: Node) -> Fraction | None:
    """The exact value of a rational number; None for anything else."""
    if any(item.op not in ("num", "neg", "frac", "mixed", "overline") for item in walk(tree)):
        return None
    try:
        value = evaluate(tree, 0, True)
    except ArithmeticError:
        return None
    return value if isinstance(value, Fraction) else None
