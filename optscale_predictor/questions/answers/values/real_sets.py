"""Sets of real numbers: intervals, their unions, and what inequalities say."""

from collections.abc import Iterable, Sequence
from functools import cmp_to_key

import mpmath

from optscale_predictor.questions.answers.values.evaluation import less, same
from optscale_predictor.questions.answers.values.kinds import Bracketed, Listing, Piece, RealSet, Scalar, SetOf, Value
from optscale_predictor.questions.answers.values.operations import is_real
from optscale_predictor.questions.answers.values.tokens import UnreadableError

INFINITY = mpmath.inf
EMPTY = RealSet(())
ALL_REALS = RealSet((Piece(-INFINITY, False, INFINITY, False),))


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
    """What two sets have in common."""
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
    """Whether two sets have the same pieces."""
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
