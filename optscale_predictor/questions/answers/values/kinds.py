"""What kinds of answers there are, and when two numbers or expressions are the same.

Values are immutable. Two that are not the same object may be the same answer: ``equality`` decides that for all kinds.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optscale_predictor.questions.answers.values.evaluation import at_points, evaluate, ratio, same, symbols
from optscale_predictor.questions.answers.values.operations import is_real
from optscale_predictor.questions.answers.values.tokens import Node, UnreadableError


@dataclass(frozen=True)
class Scalar:
    """A number, real or complex, or an expression with variables.

    Attributes:
        node: The expression.
    """

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

    @property
    def value(self) -> int:
        """The number.

        Raises:
            UnreadableError: A digit is none of the base.
        """
        try:
            return int(self.digits, self.base)
        except ValueError:
            raise UnreadableError(f"no numeral of base {self.base}") from None


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

    @property
    def since_midnight(self) -> int:
        """Minutes; of a time without its half as a clock of 24 hours has it."""
        hours = self.hours % 12 + (12 if self.half == "p" else 0) if self.half else self.hours
        return 60 * hours + self.minutes


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


def equal_scalars(left: Scalar, right: Scalar) -> bool:
    """Whether two expressions have one value, or with variables one value at every point.

    Args:
        left: A number or an expression.
        right: Another.

    Raises:
        UnreadableError: One is a number that has no value, such as a division by zero.
    """
    if left.node == right.node:
        return True
    if not left.names and not right.names:
        return same(left.value, right.value)
    if left.names != right.names:
        return False
    points = list(zip(left.points, right.points, strict=True))
    known = [(one, two) for one, two in points if one is not None and two is not None]
    # Where only one has a value they are two functions; one point where both have is no evidence of one.
    if len(known) < 2 or any((one is None) != (two is None) for one, two in points):
        return False
    # Roots and logarithms agree where they are real; elsewhere they have branches.
    real = [(one, two) for one, two in known if is_real(one) and is_real(two)]
    return all(same(one, two) for one, two in (real if len(real) > 1 else known))


def proportional(left: Scalar, right: Scalar, negative: bool) -> bool:
    """Whether one is a constant multiple of the other: the same zeros, and with a positive one the same sign.

    Args:
        left: An expression with variables.
        right: The other.
        negative: Whether the constant may be negative, as it may between equations and not between inequalities.
    """
    names = left.names | right.names
    if left.names != right.names or not names:
        return False
    ratios = [ratio(one, two) for one, two in zip(left.points, right.points, strict=True) if None not in (one, two)]
    if len(ratios) < 2 or None in ratios or not all(same(ratios[0], one) for one in ratios[1:]):
        return False
    return negative or (is_real(ratios[0]) and ratios[0] > 0)
