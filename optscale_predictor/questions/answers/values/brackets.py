r"""What brackets hold: sets of real numbers, matrices and vectors.

``(1, 2)`` is a point, a vector or an open interval, ``[[1, 2], [3, 4]]`` a matrix without LaTeX's environment: answers
write them alike, so that they are told apart here, where one is compared with the other. Inequalities say sets of real
numbers as well, and sums of i, j and k are vectors.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cmp_to_key

import mpmath

from optscale_predictor.questions.answers.values.evaluation import evaluate, less, same
from optscale_predictor.questions.answers.values.kinds import (
    Bracketed,
    Listing,
    Matrix,
    Piece,
    RealSet,
    Scalar,
    SetOf,
    Value,
)
from optscale_predictor.questions.answers.values.operations import is_real
from optscale_predictor.questions.answers.values.spelling import ROW_END
from optscale_predictor.questions.answers.values.tokens import NAME, Number, Token, UnreadableError, depths, split

INFINITY = mpmath.inf
EMPTY = RealSet(())
ALL_REALS = RealSet((Piece(-INFINITY, False, INFINITY, False),))
_ENVIRONMENTS = ("pmatrix", "bmatrix", "matrix", "Bmatrix", "smallmatrix", "array")
_BASIS = ("basisi", "basisj", "basisk")


def united(sets: Iterable[RealSet]) -> RealSet:
    """The union, its pieces joined where they touch."""
    pieces = sorted((piece for one in sets for piece in one.pieces), key=cmp_to_key(_order))
    joined: list[Piece] = []
    for piece in pieces:
        if joined and _touch(joined[-1], piece):
            joined[-1] = _joined(joined[-1], piece)
        else:
            joined.append(piece)
    return RealSet(tuple(joined))


def intersected(left: RealSet, right: RealSet) -> RealSet:
    """What two sets have in common.

    Args:
        left: One set.
        right: The other.
    """
    return united(interval(*_later(one, other), *_earlier(one, other)) for one in left.pieces for other in right.pieces)


def _later(left: Piece, right: Piece) -> tuple[object, bool]:
    if same(left.low, right.low):
        return left.low, left.low_closed and right.low_closed
    later = right if less(left.low, right.low) else left
    return later.low, later.low_closed


def _earlier(left: Piece, right: Piece) -> tuple[object, bool]:
    if same(left.high, right.high):
        return left.high, left.high_closed and right.high_closed
    earlier = left if less(left.high, right.high) else right
    return earlier.high, earlier.high_closed


def without(numbers: Sequence[object]) -> RealSet:
    """All real numbers but these."""
    pieces, low = [], -INFINITY
    for number in sorted(numbers, key=cmp_to_key(lambda one, other: -1 if less(one, other) else 1)):
        pieces.append(Piece(low, False, number, False))
        low = number
    return RealSet((*pieces, Piece(low, False, INFINITY, False)))


def interval(low: object, low_closed: bool, high: object, high_closed: bool) -> RealSet:
    """One interval; empty where its ends are the wrong way round.

    Args:
        low: Its lower end, a real number or minus infinity.
        low_closed: Whether that belongs to it; infinity never does.
        high: Its upper end.
        high_closed: Whether that belongs to it.

    Raises:
        UnreadableError: An end is not real.
    """
    if not is_real(low) or not is_real(high):
        raise UnreadableError("an interval's end is not real")
    if less(high, low) or (same(low, high) and not (low_closed and high_closed)):
        return EMPTY
    return RealSet(
        (Piece(low, low_closed and not same(low, -INFINITY), high, high_closed and not same(high, INFINITY)),)
    )


def as_real_set(value: Value) -> RealSet | None:
    """An interval or a set of numbers as a set of real numbers; None where the value is none."""
    if isinstance(value, RealSet):
        return value
    if isinstance(value, Listing):  # x < 1, x > 3
        sets = [one for one in value.items if isinstance(one, RealSet)]
        return united(sets) if len(sets) == len(value.items) else None
    try:
        if isinstance(value, Bracketed) and value.opens in "([" and value.closes in ")]":
            numbers = [one.value for one in value.items if isinstance(one, Scalar) and not one.names]
            if len(value.items) == len(numbers) == 2 and less(numbers[0], numbers[1]):
                return interval(numbers[0], value.opens == "[", numbers[1], value.closes == "]")
        if isinstance(value, SetOf):
            numbers = [one.value for one in value.items if isinstance(one, Scalar) and not one.names]
            if len(numbers) == len(value.items):
                return united(interval(number, True, number, True) for number in numbers)
    except UnreadableError:
        pass
    return None


def equal_sets(left: RealSet, right: RealSet) -> bool:
    """Whether two sets have the same pieces.

    Args:
        left: One set, as :func:`united` leaves it.
        right: The other.
    """
    return len(left.pieces) == len(right.pieces) and all(
        (one.low_closed, one.high_closed) == (other.low_closed, other.high_closed)
        and same(one.low, other.low)
        and same(one.high, other.high)
        for one, other in zip(left.pieces, right.pieces, strict=True)
    )


def _order(left: Piece, right: Piece) -> int:
    if not same(left.low, right.low):
        return -1 if less(left.low, right.low) else 1
    return int(right.low_closed) - int(left.low_closed)


def _touch(left: Piece, right: Piece) -> bool:
    if same(left.high, right.low):
        return left.high_closed or right.low_closed
    return not less(left.high, right.low)


def _joined(left: Piece, right: Piece) -> Piece:
    if same(left.high, right.high):
        return Piece(left.low, left.low_closed, left.high, left.high_closed or right.high_closed)
    last = right if less(left.high, right.high) else left
    return Piece(left.low, left.low_closed, last.high, last.high_closed)


def is_matrix(tokens: Sequence[Token]) -> bool:
    r"""Whether the tokens are one environment of a matrix, from ``\begin`` to ``\end``."""
    name = _environment(tokens)
    return name in _ENVIRONMENTS and tokens[-1].text == "}" and all(depth > 0 for depth in depths(tokens)[1:-4])


def _environment(tokens: Sequence[Token]) -> str:
    if tokens[0].kind != NAME or tokens[0].text != "begin" or len(tokens) < 4 or tokens[1].text != "{":
        return ""
    name = ""
    for token in tokens[2:]:
        if token.text == "}":
            return name
        name += token.text
    return ""


def read_matrix(tokens: Sequence[Token], read: Callable[[Sequence[Token]], Value]) -> Matrix:
    r"""The matrix of an environment.

    Args:
        tokens: From ``\begin`` to ``\end``.
        read: Reads one entry.

    Raises:
        UnreadableError: Its rows are of different lengths, or an entry is of no known form.
    """
    start = 1 + _find(tokens, "}")
    if _environment(tokens) == "array" and [one.text for one in tokens[start : start + 1]] == ["{"]:
        start += 1 + _find(tokens[start:], "}")
    end = len(tokens) - 1 - _find(tokens[::-1], "end")
    rows = [row for row in split(tokens[start:end], ROW_END) if row]
    return _rectangular([[read(cell) for cell in split(row, "&")] for row in rows])


def _find(tokens: Sequence[Token], text: str) -> int:
    for number, token in enumerate(tokens):
        if token.text == text:
            return number
    raise UnreadableError(f"{text!r} is missing")


def read_nested(items: Sequence[Value]) -> Matrix | None:
    """``[[1, 2], [3, 4]]``: the matrix whose rows are these items; None where they are no rows."""
    rows = [
        one.items for one in items if isinstance(one, Bracketed) and (one.opens, one.closes) in (("[", "]"), ("(", ")"))
    ]
    if len(rows) != len(items) or len({len(row) for row in rows}) != 1:
        return None
    return Matrix(tuple(rows))


def vector_of_sum(scalar: Scalar) -> Matrix | None:
    """A sum of multiples of the unit vectors i, j and k as a column; None where it is none."""
    if not scalar.names & {*_BASIS} or scalar.names - {*_BASIS}:
        return None
    nothing = {name: Fraction(0) for name in _BASIS}
    try:
        # A sum of multiples is linear: its values at the unit vectors are its entries, and it is 0 at nothing.
        if evaluate(scalar.node, nothing) != 0:
            return None
        return Matrix(tuple((_constant(evaluate(scalar.node, nothing | {name: Fraction(1)})),) for name in _BASIS))
    except UnreadableError:
        return None


def _constant(value: object) -> Scalar:
    if not isinstance(value, Fraction):
        raise UnreadableError("not exact")
    return Scalar(Number(value))


def _rectangular(rows: Sequence[Sequence[Value]]) -> Matrix:
    if not rows or len({len(row) for row in rows}) != 1:
        raise UnreadableError("rows of different lengths")
    return Matrix(tuple(tuple(row) for row in rows))


def entries(value: Matrix | Bracketed) -> tuple[Value, ...] | None:
    """The entries of a vector, whichever way it is written; None of a matrix of several rows and columns."""
    if isinstance(value, Bracketed):
        return value.items
    if len(value.rows) == 1:
        return value.rows[0]
    return tuple(row[0] for row in value.rows) if len(value.rows[0]) == 1 else None
