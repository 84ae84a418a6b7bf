"""When two typed values are the same answer.

One rule a pair of kinds. Where only one of the two says more than the number (a unit, a per cent sign, a base, the name
of the unknown), what it says is taken to be what the question asked for; where both say it, they must agree.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations

from optscale_predictor.questions.answers.values.brackets import as_real_set, entries, equal_sets, vector_of_sum
from optscale_predictor.questions.answers.values.kinds import (
    Based,
    Bracketed,
    Choice,
    Equation,
    Inequality,
    Listing,
    Matrix,
    Percent,
    Quantity,
    Ratio,
    RealSet,
    Scalar,
    SetOf,
    Time,
    Unread,
    Value,
    Word,
    equal_scalars,
    proportional,
)
from optscale_predictor.questions.answers.values.relations import difference, is_dependent
from optscale_predictor.questions.answers.values.tokens import Call, Number, Symbol, UnreadableError
from optscale_predictor.questions.answers.values.words import compatible, subject

_MOST = 64  # items of lists that are compared in any order: each with each


def judge(answer: Value, gold: Value) -> bool:
    """Whether ``answer`` is right where ``gold`` is; the same both ways but for numerals in another base.

    Args:
        answer: One reading of the answer.
        gold: One reading of the gold answer.
    """
    try:
        return _judge(answer, gold)
    except (UnreadableError, RecursionError):
        return False


def _judge(answer: Value, gold: Value) -> bool:
    if answer == gold:
        return True
    for kind, rule in _RULES:
        if isinstance(gold, kind):
            return rule(answer, gold)
        if isinstance(answer, kind):
            return rule(gold, answer) if rule is not _based else _based_answer(answer, gold)
    return False


def _unread(other: Value, value: Value) -> bool:
    return False


def _word(other: Value, value: Value) -> bool:
    if not isinstance(other, Word) or not isinstance(value, Word):
        return False
    texts = {_plain(other.text), _plain(value.text)}
    return len(texts) == 1 or subject(other.text) == value.text or subject(value.text) == other.text


def _plain(text: str) -> str:
    return text.replace("-", " ")


def _choice(other: Value, value: Value) -> bool:
    if not isinstance(value, Choice):
        return False
    if isinstance(other, Choice):
        if value.letter != other.letter:
            return False
        pairs = [(one, two) for one in value.content for two in other.content]
        return not pairs or any(_judge(*pair) for pair in pairs)
    if isinstance(other, Scalar) and isinstance(other.node, Symbol):
        return other.node.name.upper() == value.letter
    return any(_judge(other, one) for one in value.content)


def _based(other: Value, value: Value) -> bool:
    """A numeral as gold: the base was asked for, so a bare numeral must have its digits."""
    if not isinstance(value, Based):
        return False
    if isinstance(other, Based):
        if other.base == value.base:
            return other.digits == value.digits
        return other.value == value.value
    plain = _whole(other)
    return plain is not None and str(plain) == value.digits


def _based_answer(answer: Value, gold: Value) -> bool:
    """A numeral as answer to a bare number: it may be its value, or its digits where the question named the base."""
    plain = _whole(gold)
    return isinstance(answer, Based) and plain is not None and (plain == answer.value or str(plain) == answer.digits)


def _whole(value: Value) -> int | None:
    if isinstance(value, Scalar) and isinstance(value.node, Number) and value.node.value.denominator == 1:
        return int(value.node.value) if abs(value.node.value) < 10**100 else None
    return None


def _time(other: Value, value: Value) -> bool:
    if not isinstance(value, Time):
        return False
    if isinstance(other, Time):
        if not other.half and not value.half and _ratio(_as_ratio(other), _as_ratio(value)):
            return True
        if other.since_midnight == value.since_midnight:
            return True
        same_half = not other.half or not value.half or other.half == value.half
        return (other.hours, other.minutes) == (value.hours, value.minutes) and same_half
    return not value.half and _ratio(other, _as_ratio(value))


def _as_ratio(value: Time) -> Ratio:
    return Ratio(tuple(Scalar(Number(Fraction(part))) for part in (value.hours, value.minutes)))


def _ratio(other: Value, value: Value) -> bool:
    if not isinstance(value, Ratio):
        return False
    if isinstance(other, Ratio):
        ours, theirs = value.parts, other.parts
        if len(ours) != len(theirs) or any(map(_is_nothing, zip(ours, theirs, strict=True))):
            return ours == theirs
        pairs = combinations(range(len(ours)), 2)
        return all(equal_scalars(_times(ours[one], theirs[two]), _times(ours[two], theirs[one])) for one, two in pairs)
    if len(value.parts) == 2 and isinstance(other, Scalar):
        return equal_scalars(other, Scalar(Call("div", (value.parts[0].node, value.parts[1].node))))
    return False


def _times(left: Scalar, right: Scalar) -> Scalar:
    return Scalar(Call("mul", (left.node, right.node)))


def _is_nothing(pair: tuple[Scalar, Scalar]) -> bool:
    """Whether one of two parts is 0."""
    return any(not one.names and one.value == 0 for one in pair)


def _equation(other: Value, value: Value) -> bool:
    if not isinstance(value, Equation):
        return False
    if isinstance(other, Equation):
        if value.name and (value.name == other.name or (is_dependent(value.name) and is_dependent(other.name))):
            return equal_scalars(Scalar(value.right), Scalar(other.right))
        return proportional(difference(value), difference(other), negative=True)
    return bool(value.name) and _judge(other, Scalar(value.right))


def _inequality(other: Value, value: Value) -> bool:
    if not isinstance(other, Inequality) or not isinstance(value, Inequality):
        return False
    return other.strict == value.strict and proportional(difference(value), difference(other), negative=False)


def _real_set(other: Value, value: Value) -> bool:
    theirs, ours = as_real_set(other), as_real_set(value)
    return theirs is not None and ours is not None and equal_sets(theirs, ours)


def _matrix(other: Value, value: Value) -> bool:
    if isinstance(other, Scalar):
        other = vector_of_sum(other) or other
    if not isinstance(value, Matrix) or not isinstance(other, Matrix | Bracketed):
        return False
    if isinstance(other, Bracketed) and other.opens + other.closes not in ("()", "[]", "⟨⟩"):
        return False
    if isinstance(other, Matrix) and len(other.rows) == len(value.rows) and len(other.rows[0]) == len(value.rows[0]):
        return all(_in_order(one, two) for one, two in zip(other.rows, value.rows, strict=True))
    ours, theirs = entries(value), entries(other)
    return ours is not None and theirs is not None and _in_order(theirs, ours)


def _bracketed(other: Value, value: Value) -> bool:
    if not isinstance(other, Bracketed) or not isinstance(value, Bracketed):
        if isinstance(value, Bracketed) and isinstance(other, Scalar):
            column = vector_of_sum(other)
            return column is not None and _matrix(value, column)
        return isinstance(value, Bracketed) and isinstance(other, Listing) and _assigned(other, value)
    alike = (other.opens, other.closes) == (value.opens, value.closes) or "⟨" in (other.opens, value.opens)
    return alike and _in_order(other.items, value.items)


def _assigned(listing: Listing, point: Bracketed) -> bool:
    """``x = 1, y = 2`` for the point (1, 2)."""
    named = sorted((one for one in listing.items if isinstance(one, Equation) and one.name), key=lambda one: one.name)
    apart = len({one.name for one in named}) == len(listing.items) == len(named)
    return apart and point.opens == "(" and _in_order([Scalar(one.right) for one in named], point.items)


def _set(other: Value, value: Value) -> bool:
    if not isinstance(value, SetOf):
        return False
    if isinstance(other, SetOf | Listing):
        return _in_any_order(other.items, value.items)
    if isinstance(other, RealSet):
        return _real_set(other, value)
    return len(value.items) == 1 and _judge(other, value.items[0])


def _listing(other: Value, value: Value) -> bool:
    if not isinstance(other, Listing) or not isinstance(value, Listing):
        return False
    if any(isinstance(one, Word | Choice) for one in (*other.items, *value.items)):
        return _in_order(other.items, value.items)  # who came first, second and third
    if len({one.unit for one in value.items if isinstance(one, Quantity)}) > 1:
        return _in_order(other.items, value.items)  # 5 apples and 6 oranges
    return _in_any_order(other.items, value.items)


def _in_order(left: Sequence[Value], right: Sequence[Value]) -> bool:
    return len(left) == len(right) and all(_judge(one, two) for one, two in zip(left, right, strict=True))


def _in_any_order(left: Sequence[Value], right: Sequence[Value]) -> bool:
    """Whether each item has its own partner on the other side."""
    if len(left) != len(right) or len(left) > _MOST:
        return False
    # The first partner that fits is taken. Where a list holds both 50% and 0.5 a pairing may exist that this misses.
    free = list(right)
    for one in left:
        partner = next((number for number, two in enumerate(free) if _judge(one, two)), None)
        if partner is None:
            return False
        del free[partner]
    return True


def _percent(other: Value, value: Value) -> bool:
    if not isinstance(value, Percent):
        return False
    if isinstance(other, Percent):
        alike = not other.noun or not value.noun or other.noun == value.noun
        return alike and equal_scalars(other.scalar, value.scalar)
    if isinstance(other, Scalar):
        hundredth = Scalar(Call("div", (value.scalar.node, Number(Fraction(100)))))
        return equal_scalars(other, value.scalar) or equal_scalars(other, hundredth)
    return False


def _quantity(other: Value, value: Value) -> bool:
    if not isinstance(value, Quantity):
        return False
    if isinstance(other, Quantity):
        return compatible(other.unit, value.unit) and equal_scalars(other.scalar, value.scalar)
    return isinstance(other, Scalar) and equal_scalars(other, value.scalar)


def _scalar(other: Value, value: Value) -> bool:
    return isinstance(other, Scalar) and isinstance(value, Scalar) and equal_scalars(other, value)


#: The first kind here that either of two values is of decides, so a kind that may hold others stands before them: a
#: choice with its content before all, a set before an interval, a list before a number with a unit.
_RULES: Sequence[tuple[type, Callable[[Value, Value], bool]]] = (
    (Unread, _unread),
    (Choice, _choice),
    (Word, _word),
    (SetOf, _set),
    (RealSet, _real_set),
    (Equation, _equation),
    (Inequality, _inequality),
    (Matrix, _matrix),
    (Bracketed, _bracketed),
    (Listing, _listing),
    (Percent, _percent),
    (Based, _based),
    (Time, _time),
    (Ratio, _ratio),
    (Quantity, _quantity),
    (Scalar, _scalar),
)
