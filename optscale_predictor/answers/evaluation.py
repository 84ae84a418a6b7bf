"""The value of an expression: exact where it is rational, else to 40 digits; with variables, its values at fixed points.

Two expressions that agree to 30 digits at several points are one function, as far as anybody who writes answers is
concerned (the idea of Schwartz 1980 and Zippel 1979 for polynomials). Every operation has a bound, so that no tower of
powers takes long: what is beyond it has no value here.
"""

import operator
import threading
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from math import comb, gcd, lcm
from typing import Any
from zlib import crc32

import mpmath

from optscale_predictor.answers.expressions import Call, Node, Number, Symbol
from optscale_predictor.answers.tokens import UnreadableError

Value = Any  # a Fraction, or mpmath's mpf or mpc

DIGITS = 40
#: Values equal to so many digits are equal.
AGREEING = 28
#: Points at which expressions with variables are compared; half of them negative.
POINTS = 6
_MOST_BITS = 50_000  # of an exact number
_LARGEST = 1e9  # of an exponent, in powers of two
_FACTORIALS = 2_000
_CONSTANTS = ("pi", "e", "i", "oo")

_mp = mpmath.MPContext()
_mp.dps = DIGITS
_NOTHING = _mp.mpf(10) ** -(DIGITS - 6)  # what rounding leaves of nothing
# mpmath changes its context's precision while it computes.
_one_at_a_time = threading.RLock()


def symbols(node: Node) -> frozenset[str]:
    """The variables of an expression."""
    if isinstance(node, Symbol):
        return frozenset() if node.name in _CONSTANTS else frozenset((node.name,))
    if isinstance(node, Call):
        return frozenset[str]().union(*(symbols(one) for one in node.arguments))
    return frozenset()


def evaluate(node: Node, values: Mapping[str, Value] | None = None) -> Value:
    """The value of an expression whose variables have these values.

    Raises:
        UnreadableError: It has none (division by zero), or none within the bounds.
    """
    with _one_at_a_time:
        try:
            return _settled(_evaluate(node, values or {}))
        except (ArithmeticError, ValueError, TypeError, KeyError, RecursionError, mpmath.libmp.NoConvergence) as error:
            raise UnreadableError(f"no value: {error}") from error


def at_points(node: Node, names: frozenset[str]) -> list[Value]:
    """Values at each of the points, None where there is none."""
    found: list[Value] = []
    for point in range(POINTS):
        try:
            found.append(evaluate(node, {name: _coordinate(name, point) for name in names}))
        except UnreadableError:
            found.append(None)
    return found


def same(left: Value, right: Value) -> bool:
    """Whether two values are equal: exactly where both are exact, else to so many digits."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right
    with _one_at_a_time:
        one, other = _inexact(left), _inexact(right)
        if one == other:
            return True
        if _mp.isinf(one) or _mp.isinf(other) or _mp.isnan(one) or _mp.isnan(other):
            return False
        larger = max(abs(one), abs(other))
        # A sum that cancels leaves 1e-40 where nothing should be left.
        return bool(abs(one - other) <= larger * _mp.mpf(10) ** -AGREEING or larger < _NOTHING)


def is_real(value: Value) -> bool:
    """Whether a value is a real number, infinities included."""
    with _one_at_a_time:
        return isinstance(value, Fraction) or not _inexact(value).imag


def less(left: Value, right: Value) -> bool:
    """Whether one real value is smaller than another."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left < right
    with _one_at_a_time:
        return bool(_inexact(left).real < _inexact(right).real)


def ratio(left: Value, right: Value) -> Value:
    """``left / right``; None where that is not a finite number other than 0."""
    with _one_at_a_time:
        try:
            quotient = _inexact(left) / _inexact(right)
        except ArithmeticError:
            return None
        return quotient if _mp.isfinite(quotient) and quotient else None


def digits(value: Value) -> str:
    """A value as a key: an exact one in full, another to so many digits as equal ones share nearly always."""
    if isinstance(value, Fraction):
        return str(value) if value.numerator.bit_length() < 400 else f"~{hash(value)}"
    with _one_at_a_time:
        number = _inexact(value)
        parts = (number.real, number.imag)
        return "~" + ",".join("0" if abs(part) < _NOTHING else _mp.nstr(part, AGREEING - 2) for part in parts)


def _coordinate(name: str, point: int) -> Value:
    """Where a variable stands at a point: between 0.25 and 4.25, negative at every other one."""
    fraction = Fraction(crc32(f"{name}/{point}".encode()), 2**32)
    return (fraction * 4 + Fraction(1, 4)) * (-1) ** point


def _settled(value: Value) -> Value:
    if isinstance(value, Fraction):
        return value
    number = _inexact(value)
    if _mp.isnan(number):
        raise UnreadableError("not a number")
    if isinstance(number, _mp.mpc) and abs(number.imag) <= max(abs(number.real), 1) * _NOTHING:
        return number.real
    return number


def _inexact(value: Value) -> Any:
    if isinstance(value, Fraction):
        return _mp.mpf(value.numerator) / value.denominator
    return _mp.mpmathify(value)


def _evaluate(node: Node, values: Mapping[str, Value]) -> Value:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Symbol):
        return values[node.name] if node.name in values else _constant(node.name)
    arguments = [_evaluate(one, values) for one in node.arguments]
    return _bounded(_OPERATIONS[node.name](*arguments))


def _constant(name: str) -> Value:
    return {"pi": +_mp.pi, "e": +_mp.e, "i": _mp.mpc(0, 1), "oo": _mp.inf}[name]


def _bounded(value: Value) -> Value:
    if isinstance(value, int):
        value = Fraction(value)
    if isinstance(value, Fraction) and max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        return _inexact(value)
    return value


def _arithmetic(operation: Callable[[Any, Any], Any]) -> Callable[..., Value]:
    def join(left: Value, right: Value) -> Value:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return operation(left, right)
        return operation(_inexact(left), _inexact(right))

    return lambda *values: reduce(join, values)


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if exponent.denominator == 1 and bits * abs(exponent) < _MOST_BITS:
            return base ** int(exponent)
        if exponent == Fraction(1, 2):
            return _root(base, Fraction(2))
    if isinstance(exponent, Fraction) and exponent.denominator % 2 and exponent.denominator > 1 and _is_negative(base):
        # The real root of a negative number, as (-8)^(1/3) = -2: what a reader of an answer means.
        return (-1) ** (exponent.numerator % 2) * _power(-base, exponent)
    one, other = _inexact(base), _inexact(exponent)
    if one and abs(other) * max(abs(_mp.log(abs(one), 2)), 1) > _LARGEST:
        raise UnreadableError("too large a power")
    return _mp.power(one, other)


def _is_negative(value: Value) -> bool:
    return value < 0 if isinstance(value, Fraction) else bool(is_real(value) and _inexact(value).real < 0)


def _root(radicand: Value, index: Value = Fraction(2)) -> Value:
    if not isinstance(index, Fraction) or index.denominator != 1 or not 2 <= index <= 1000:
        raise UnreadableError("not a root")
    if isinstance(radicand, Fraction) and radicand >= 0:
        above, below = (_whole_root(part, int(index)) for part in (radicand.numerator, radicand.denominator))
        if above is not None and below is not None:
            return Fraction(above, below)
    if index % 2 and _is_negative(radicand):
        return -_root(-radicand, index)
    return _mp.root(_inexact(radicand), int(index))


def _whole_root(number: int, index: int) -> int | None:
    if number.bit_length() > 120:
        return None
    near = round(number ** (1 / index))
    return next((one for one in (near - 1, near, near + 1) if one >= 0 and one**index == number), None)


def _factorial(value: Value) -> Value:
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= _FACTORIALS:
        raise UnreadableError("no factorial")
    return Fraction(reduce(operator.mul, range(1, int(value) + 1), 1))


def _binomial(above: Value, below: Value) -> Value:
    return Fraction(comb(*(_natural(one) for one in (above, below))))


def _natural(value: Value) -> int:
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= 10 * _FACTORIALS:
        raise UnreadableError("not a natural number")
    return int(value)


def _whole(value: Value) -> int:
    if not isinstance(value, Fraction) or value.denominator != 1:
        raise UnreadableError("not a whole number")
    return int(value)


def _transcendental(function: Callable[[Any], Any]) -> Callable[[Value], Value]:
    def apply(value: Value) -> Value:
        number = _inexact(value)
        if abs(number) > 10**DIGITS and not _mp.isinf(number):
            raise UnreadableError("too large an argument")
        return function(number)

    return apply


def _logarithm(value: Value, base: Value = Fraction(10)) -> Value:
    """Base 10 where none is written, as the questions' authors mean it."""
    if isinstance(value, Fraction) and isinstance(base, Fraction) and value > 0 and base > 1:
        near = int(_mp.nint(_mp.log(_inexact(value), _inexact(base))))
        if abs(near) * base.numerator.bit_length() < _MOST_BITS and base**near == value:
            return Fraction(near)
    return _mp.log(_inexact(value)) / _mp.log(_inexact(base))


def _floor(value: Value) -> Value:
    if isinstance(value, Fraction):
        return Fraction(value.numerator // value.denominator)
    if abs(value) > 10**DIGITS:
        raise UnreadableError("too large to round")
    return Fraction(int(_mp.floor(_inexact(value).real)))


_OPERATIONS: Mapping[str, Callable[..., Value]] = {
    "add": _arithmetic(operator.add),
    "mul": _arithmetic(operator.mul),
    "div": _arithmetic(operator.truediv),
    "pow": _power,
    "sqrt": _root,
    "root": _root,
    "factorial": _factorial,
    "binomial": _binomial,
    "degree": lambda value: value,
    "abs": abs,
    "floor": _floor,
    "ceil": lambda value: -_floor(-value),
    "gcd": lambda *values: Fraction(gcd(*map(_whole, values))),
    "lcm": lambda *values: Fraction(lcm(*map(_whole, values))),
    "max": lambda *values: max(values, key=lambda one: _inexact(one).real),
    "min": lambda *values: min(values, key=lambda one: _inexact(one).real),
    "log": _logarithm,
    "lg": _logarithm,
    "ln": _transcendental(_mp.log),
    "exp": lambda value: _power(+_mp.e, value),
    "sin": _transcendental(_mp.sin),
    "cos": _transcendental(_mp.cos),
    "tan": _transcendental(_mp.tan),
    "cot": _transcendental(_mp.cot),
    "sec": _transcendental(_mp.sec),
    "csc": _transcendental(_mp.csc),
    "arcsin": _transcendental(_mp.asin),
    "arccos": _transcendental(_mp.acos),
    "arctan": _transcendental(_mp.atan),
    "arccot": _transcendental(_mp.acot),
    "arcsec": _transcendental(_mp.asec),
    "arccsc": _transcendental(_mp.acsc),
    "sinh": _transcendental(_mp.sinh),
    "cosh": _transcendental(_mp.cosh),
    "tanh": _transcendental(_mp.tanh),
}
