"""What kinds of answers there are. Values are immutable; equal answers need not be equal objects (``equality``)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optscale_predictor.questions.answers.values.evaluation import at_points, evaluate, symbols
from optscale_predictor.questions.answers.values.tokens import Node


@dataclass(frozen=True)
class Scalar:
    """A number, real or complex, or an expression with variables."""

    node: Node

    @cached_property
    def names(self) -> frozenset[str]:
        """Its variables."""
        return symbols(self.node)

    @cached_property
    def value(self) -> Any:
        """Of a number; raises ``UnreadableError`` where it has none."""
        return evaluate(self.node)

    @cached_property
    def points(self) -> list[Any]:
        """Its values where its variables are fixed numbers; None where it has none."""
        return at_points(self.node, self.names)


@dataclass(frozen=True)
class Quantity:
    """A number with a unit, or with the noun that is counted."""

    scalar: Scalar
    unit: str


@dataclass(frozen=True)
class Percent:
    """So many hundredths, of ``noun`` where one is named; people write 50% where 50, and where 0.5 is asked."""

    scalar: Scalar
    noun: str = ""


@dataclass(frozen=True)
class Based:
    """A numeral with its base, ``2516_8``."""

    digits: str
    base: int


@dataclass(frozen=True)
class Ratio:
    """``1:4:9``."""

    parts: tuple[Scalar, ...]


@dataclass(frozen=True)
class Time:
    """A time of day; ``half`` is ``a``, ``p`` or empty."""

    hours: int
    minutes: int
    half: str


@dataclass(frozen=True)
class Listing:
    """Several answers side by side."""

    items: "tuple[Value, ...]"


@dataclass(frozen=True)
class SetOf:
    r"""``\\{1, 2\\}``."""

    items: "tuple[Value, ...]"


@dataclass(frozen=True)
class Bracketed:
    """A point, a vector in a row, or an interval: all are written alike."""

    opens: str
    items: "tuple[Value, ...]"
    closes: str


@dataclass(frozen=True)
class Piece:
    """An interval of real numbers; a single number where both ends are it."""

    low: Any
    low_closed: bool
    high: Any
    high_closed: bool


@dataclass(frozen=True)
class RealSet:
    """Intervals and single numbers, apart from one another and ascending."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Matrix:
    """Rows of values."""

    rows: "tuple[tuple[Value, ...], ...]"


@dataclass(frozen=True)
class Equation:
    """Two sides; ``name`` is the left one where that is a lone variable or a function of one, as in ``f(x) = x``."""

    left: Node
    right: Node
    name: str = ""


@dataclass(frozen=True)
class Inequality:
    """One that does not say itself which numbers it holds for: ``left`` is less than ``right``, or at most that."""

    left: Node
    right: Node
    strict: bool


@dataclass(frozen=True)
class Word:
    """A word or a phrase, in small letters."""

    text: str


@dataclass(frozen=True)
class Choice:
    """A letter, with what stands behind it where it was written out: ``(C) 12``."""

    letter: str
    content: "tuple[Value, ...]" = ()


@dataclass(frozen=True)
class Unread:
    """What has no form known here.

    Attributes:
        text: As cleaned.
        worded: Whether it has words, an ellipsis or a modulus in it, which math-verify leaves out.
    """

    text: str
    worded: bool = False


Value = (
    Scalar
    | Quantity
    | Percent
    | Based
    | Ratio
    | Time
    | Listing
    | SetOf
    | Bracketed
    | RealSet
    | Matrix
    | Equation
    | Inequality
    | Word
    | Choice
    | Unread
)
