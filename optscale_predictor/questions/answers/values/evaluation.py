"""The value of an expression: exact where it is rational, else to 60 digits; with variables, values at fixed points.

Two expressions that agree to 45 digits at several points are one function, as far as anybody who writes answers is
concerned (the idea of Schwartz 1980 and Zippel 1979 for polynomials).
"""

from collections.abc import Mapping
from fractions import Fraction
from hashlib import sha256
from zlib import crc32

import mpmath

from optscale_predictor.questions.answers.values.operations import (
    DIGITS,
    MOST_BITS,
    MP,
    ONE_AT_A_TIME,
    OPERATIONS,
    Numeric,
    inexact,
)
from optscale_predictor.questions.answers.values.tokens import Call, Node, Number, Symbol, UnreadableError

#: Values equal to so many digits are equal: fewer than are computed, as each operation loses some.
AGREEING = 45
#: Points at which expressions with variables are compared; half of them negative.
POINTS = 6
_CONSTANTS = ("pi", "e", "i", "oo")
_NOTHING = MP.mpf(10) ** -(DIGITS - 6)  # what rounding leaves of nothing, relative to what cancelled
_TINY = MP.mpf(10) ** -30  # what is smaller than this is computed once more


def symbols(node: Node) -> frozenset[str]:
    """The variables of an expression."""
    if isinstance(node, Symbol):
        return frozenset() if node.name in _CONSTANTS else frozenset((node.name,))
    if isinstance(node, Call):
        return frozenset[str]().union(*(symbols(one) for one in node.arguments))
    return frozenset()


def evaluate(node: Node, values: Mapping[str, Numeric] | None = None) -> Numeric:
    """The value of an expression whose variables have these values.

    Args:
        node: The expression.
        values: The value of each variable; none by default.

    Raises:
        UnreadableError: It has none (division by zero), or none within the bounds.
    """
    with ONE_AT_A_TIME:
        try:
            return _settled(_not_cancelled(node, values or {}))
        except (ArithmeticError, ValueError, TypeError, KeyError, RecursionError, mpmath.libmp.NoConvergence) as error:
            raise UnreadableError(f"no value: {error}") from error


def at_points(node: Node, names: frozenset[str]) -> list[Numeric]:
    """Values at each of the points, None where there is none.

    Args:
        node: The expression.
        names: Its variables.
    """
    found: list[Numeric] = []
    for point in range(POINTS):
        try:
            found.append(evaluate(node, {name: _coordinate(name, point) for name in names}))
        except UnreadableError:
            found.append(None)
    return found


def same(left: Numeric, right: Numeric) -> bool:
    """Whether two values are equal: exactly where both are exact, else to so many digits.

    Args:
        left: A value, as :func:`evaluate` computes it.
        right: Another.
    """
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right
    with ONE_AT_A_TIME:
        one, other = inexact(left), inexact(right)
        if one == other:
            return True
        if MP.isinf(one) or MP.isinf(other) or MP.isnan(one) or MP.isnan(other):
            return False
        larger = max(abs(one), abs(other))
        return bool(abs(one - other) <= larger * MP.mpf(10) ** -AGREEING)


def less(left: Numeric, right: Numeric) -> bool:
    """Whether one real value is smaller than another.

    Args:
        left: A real value.
        right: Another.
    """
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left < right
    with ONE_AT_A_TIME:
        return bool(inexact(left).real < inexact(right).real)


def ratio(left: Numeric, right: Numeric) -> Numeric:
    """``left / right``; None where that is not a finite number other than 0.

    Args:
        left: A value, as :func:`evaluate` computes it.
        right: Another.
    """
    with ONE_AT_A_TIME:
        try:
            quotient = inexact(left) / inexact(right)
        except ArithmeticError:
            return None
        return quotient if MP.isfinite(quotient) and quotient else None


def digits(value: Numeric) -> str:
    """A value as a key: an exact one in full, another to so many digits as equal ones share nearly always."""
    if isinstance(value, Fraction):
        written = f"{value.numerator:x}/{value.denominator:x}"
        return written if len(written) < 100 else sha256(written.encode()).hexdigest()
    with ONE_AT_A_TIME:
        number = inexact(value)
        parts = (number.real, number.imag)
        return "~" + ",".join(MP.nstr(part, AGREEING - 2) for part in parts)


def _coordinate(name: str, point: int) -> Numeric:
    """Where a variable stands at a point: between 0.25 and 4.25, negative at every other one.

    By a checksum of its name, so that keys of answers are equal in all processes, which ``hash`` would not give.
    """
    fraction = Fraction(crc32(f"{name}/{point}".encode()), 2**32)
    return (fraction * 4 + Fraction(1, 4)) * (-1) ** point


def _not_cancelled(node: Node, values: Mapping[str, Numeric]) -> Numeric:
    """A value, and 0 where rounding left a trace of what cancels: with more digits that trace is smaller still."""
    value = _evaluate(node, values)
    if isinstance(value, Fraction) or not 0 < abs(inexact(value)) < _TINY:
        return value
    with MP.workdps(2 * DIGITS):
        again = _evaluate(node, values)
        return Fraction(0) if abs(inexact(again)) < abs(inexact(value)) * _TINY else again


def _settled(value: Numeric) -> Numeric:
    """A value without the part, real or imaginary, that only rounding left."""
    if isinstance(value, Fraction):
        return value
    number = inexact(value)
    if MP.isnan(number):
        raise UnreadableError("not a number")
    if not isinstance(number, MP.mpc):
        return number
    real, imaginary = abs(number.real), abs(number.imag)
    if imaginary <= real * _NOTHING:
        return number.real
    return MP.mpc(0, number.imag) if real <= imaginary * _NOTHING else number


def _evaluate(node: Node, values: Mapping[str, Numeric]) -> Numeric:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Symbol):
        return values[node.name] if node.name in values else _constant(node.name)
    arguments = [_evaluate(one, values) for one in node.arguments]
    return _bounded(OPERATIONS[node.name](*arguments))


def _constant(name: str) -> Numeric:
    return {"pi": +MP.pi, "e": +MP.e, "i": MP.mpc(0, 1), "oo": MP.inf}[name]


def _bounded(value: Numeric) -> Numeric:
    if isinstance(value, int):
        value = Fraction(value)
    if isinstance(value, Fraction) and max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise UnreadableError("too long a number")
    return value
