"""The tree of an expression: exact numbers, names, and operations on them."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Number:
    """An exact number."""

    value: Fraction


@dataclass(frozen=True)
class Symbol:
    """A variable, or a constant: ``pi``, ``e``, ``i``, ``oo``."""

    name: str


@dataclass(frozen=True)
class Call:
    """An operation on expressions: ``add``, ``mul``, ``div``, ``pow``, ``sqrt``, ``sin`` and so on."""

    name: str
    arguments: "tuple[Node, ...]"


Node = Number | Symbol | Call


def negated(node: Node) -> Node:
    """Minus an expression."""
    return Number(-node.value) if isinstance(node, Number) else Call("mul", (Number(Fraction(-1)), node))


def product(left: Node, right: Node) -> Node:
    """Their product; a chain of factors is one node, so that a long one is no deep tree."""
    factors = left.arguments if isinstance(left, Call) and left.name == "mul" else (left,)
    return Call("mul", (*factors, right))
