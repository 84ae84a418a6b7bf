"""Worked solutions out of equations in prefix form, as MAWPS and ASDiv have them: one line of arithmetic a step.

``* 56 9`` is ``56 * 9 = 504. #### 504``, and ``* + 3 4 2`` is ``3 + 4 = 7. 7 * 2 = 14. #### 14``: GSM8K's mark for the
answer, and steps that a generator can learn to write. Numbers are exact fractions while they are worked out.
"""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from optscale_predictor.errors import InputError
from optscale_predictor.questions.golds import number_text

_ARITHMETIC: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_PLACES = 4  # decimals that a step shows of a number that has more
_LONGEST = 1000  # characters of an equation
_LARGEST = 10**15
_MOST_DECIMALS = 20  # a fraction of 10 ** -999999 would be a number of a million digits
_TOLERANCE = Fraction(1, 10**4)  # answers of data sets are rounded


def solution_of_equation(equation: str) -> str:
    """The worked solution of an equation.

    Args:
        equation: In prefix form: numbers and ``+ - * /`` of two operands each, apart by white space.

    Raises:
        InputError: It is no such equation, divides by zero, or a step's number is beyond 10 ** 15.
    """
    if len(equation) > _LONGEST:
        raise InputError(f"an equation of more than {_LONGEST} characters")
    steps: list[str] = []
    waiting: list[Fraction] = []
    # Read backwards, a prefix form is a postfix form whose operands come last first.
    for part in reversed(equation.split()):
        if part in _ARITHMETIC:
            if len(waiting) < 2:
                raise InputError(f"equation {equation[:60]!r}: {part!r} has fewer than two operands")
            first, second = waiting.pop(), waiting.pop()
            value = _result(first, part, second, equation)
            steps.append(f"{_written(first)} {part} {_written(second)} = {_written(value)}.")
            waiting.append(value)
        else:
            waiting.append(_number(part, equation))
    if len(waiting) != 1:
        raise InputError(f"equation {equation[:60]!r}: {len(waiting)} numbers are left over, where one is the answer")
    return " ".join([*steps, f"#### {_written(waiting[0])}"])


def gives_answer(solution: str, answer: str) -> bool:
    """Whether a solution that :func:`solution_of_equation` wrote ends in an answer, to 1e-4.

    Args:
        solution: The solution.
        answer: A number as text.
    """
    found, wanted = (_parsed(text.replace(",", "")) for text in (solution.rpartition("####")[2], answer))
    return found is not None and wanted is not None and abs(found - wanted) <= _TOLERANCE


def _result(first: Fraction, operation: str, second: Fraction, equation: str) -> Fraction:
    if operation == "/" and second == 0:
        raise InputError(f"equation {equation[:60]!r}: it divides by zero")
    value = _ARITHMETIC[operation](first, second)
    if abs(value) > _LARGEST:
        raise InputError(f"equation {equation[:60]!r}: a step's number is beyond {_LARGEST:.0e}")
    return value


def _number(text: str, equation: str) -> Fraction:
    number = _parsed(text)
    if number is None:
        raise InputError(f"equation {equation[:60]!r}: {text[:30]!r} is neither a number nor one of + - * /")
    return number


def _parsed(text: str) -> Fraction | None:
    """The number that a text is; None where it is none, or one too large or with too many decimals."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) > _LARGEST or int(number.as_tuple().exponent) < -_MOST_DECIMALS:
        return None
    return Fraction(number)


def _written(value: Fraction) -> str:
    """The number as a person writes it: whole where it is, else with four decimals at most."""
    rounded = round(value, _PLACES)
    return str(number_text(Decimal(rounded.numerator) / Decimal(rounded.denominator)))
