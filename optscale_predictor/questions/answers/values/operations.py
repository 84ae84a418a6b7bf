"""Operations on values: exact on fractions as far as that goes, else to 60 digits.

Every one has a bound, so that no tower of powers takes long: what is beyond it has no value.
"""

import operator
import threading
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from math import comb, gcd, lcm
from typing import Any

import mpmath

from optscale_predictor.questions.answers.values.tokens import UnreadableError

Numeric = Any  # a Fraction, or mpmath's mpf or mpc

DIGITS = 60
MOST_BITS = 200_000  # of an exact number
_LARGEST = 1e9  # of a power's base-2 logarithm
_FACTORIALS = 2_000  # the largest number whose factorial is computed

MP = mpmath.MPContext()
MP.dps = DIGITS
#: Held while mpmath computes: it changes its context's precision meanwhile, and threads share the context.
ONE_AT_A_TIME = threading.RLock()


def inexact(value: Numeric) -> Any:
    """A value as mpmath's."""
    if isinstance(value, Fraction):
        return MP.mpf(value.numerator) / value.denominator
    return MP.mpmathify(value)


def is_real(value: Numeric) -> bool:
    """Whether a value is a real number, infinities included."""
    with ONE_AT_A_TIME:
        return isinstance(value, Fraction) or not inexact(value).imag


def _arithmetic(operation: Callable[[Any, Any], Any]) -> Callable[..., Numeric]:
    def join(left: Numeric, right: Numeric) -> Numeric:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return operation(left, right)
        return operation(inexact(left), inexact(right))

    return lambda *values: reduce(join, values)


def _power(base: Numeric, exponent: Numeric) -> Numeric:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if exponent.denominator == 1 and bits * abs(exponent) < MOST_BITS:
            return base ** int(exponent)
        if exponent == Fraction(1, 2):
            return _root(base, Fraction(2))
    if isinstance(exponent, Fraction) and exponent.denominator % 2 and exponent.denominator > 1 and _is_negative(base):
        # The real root of a negative number, as (-8)^(1/3) = -2: what a reader of an answer means.
        return (-1) ** (exponent.numerator % 2) * _power(-base, exponent)
    one, other = inexact(base), inexact(exponent)
    if one and abs(other) * max(abs(MP.log(abs(one), 2)), 1) > _LARGEST:
        raise UnreadableError("too large a power")
    return MP.power(one, other)


def _is_negative(value: Numeric) -> bool:
    return value < 0 if isinstance(value, Fraction) else bool(is_real(value) and inexact(value).real < 0)


def _root(radicand: Numeric, index: Numeric = Fraction(2)) -> Numeric:
    if not isinstance(index, Fraction) or index.denominator != 1 or not 2 <= index <= 1000:
        raise UnreadableError("not a root")
    if isinstance(radicand, Fraction) and radicand >= 0:
        above, below = (_whole_root(part, int(index)) for part in (radicand.numerator, radicand.denominator))
        if above is not None and below is not None:
            return Fraction(above, below)
    if index % 2 and _is_negative(radicand):
        return -_root(-radicand, index)
    return MP.root(inexact(radicand), int(index))


def _whole_root(number: int, index: int) -> int | None:
    if number.bit_length() > 120:
        return None
    near = round(number ** (1 / index))  # a float, hence its neighbours
    return next((one for one in (near - 1, near, near + 1) if one >= 0 and one**index == number), None)


def _factorial(value: Numeric) -> Numeric:
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= _FACTORIALS:
        raise UnreadableError("no factorial")
    return Fraction(reduce(operator.mul, range(1, int(value) + 1), 1))


def _binomial(above: Numeric, below: Numeric) -> Numeric:
    return Fraction(comb(*(_natural(one) for one in (above, below))))


def _natural(value: Numeric) -> int:
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= 10 * _FACTORIALS:
        raise UnreadableError("not a natural number")
    return int(value)


def _whole(value: Numeric) -> int:
    if not isinstance(value, Fraction) or value.denominator != 1:
        raise UnreadableError("not a whole number")
    return int(value)


def _transcendental(function: Callable[[Any], Any]) -> Callable[[Numeric], Numeric]:
    def apply(value: Numeric) -> Numeric:
        number = inexact(value)
        if abs(number) > 10**DIGITS and not MP.isinf(number):
            raise UnreadableError("too large an argument")
        return function(number)

    return apply


def _logarithm(value: Numeric, base: Numeric = Fraction(10)) -> Numeric:
    """Base 10 where none is written, as the questions' authors mean it."""
    if isinstance(value, Fraction) and isinstance(base, Fraction) and value > 0 and base > 1:
        near = int(MP.nint(MP.log(inexact(value), inexact(base))))
        if abs(near) * base.numerator.bit_length() < MOST_BITS and base**near == value:
            return Fraction(near)
    return MP.log(inexact(value)) / MP.log(inexact(base))


def _floor(value: Numeric) -> Numeric:
    if isinstance(value, Fraction):
        return Fraction(value.numerator // value.denominator)
    if abs(value) > 10**DIGITS:
        raise UnreadableError("too large to round")
    return Fraction(int(MP.floor(inexact(value).real)))


OPERATIONS: Mapping[str, Callable[..., Numeric]] = {
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
    "max": lambda *values: max(values, key=lambda one: inexact(one).real),
    "min": lambda *values: min(values, key=lambda one: inexact(one).real),
    "log": _logarithm,
    "lg": _logarithm,
    "ln": _transcendental(MP.log),
    "exp": lambda value: _power(+MP.e, value),
    "sin": _transcendental(MP.sin),
    "cos": _transcendental(MP.cos),
    "tan": _transcendental(MP.tan),
    "cot": _transcendental(MP.cot),
    "sec": _transcendental(MP.sec),
    "csc": _transcendental(MP.csc),
    "arcsin": _transcendental(MP.asin),
    "arccos": _transcendental(MP.acos),
    "arctan": _transcendental(MP.atan),
    "arccot": _transcendental(MP.acot),
    "arcsec": _transcendental(MP.asec),
    "arccsc": _transcendental(MP.acsc),
    "sinh": _transcendental(MP.sinh),
    "cosh": _transcendental(MP.cosh),
    "tanh": _transcendental(MP.tanh),
}
