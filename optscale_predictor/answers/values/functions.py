"""When two expressions are one number, one function, or have the same zeros."""

from fractions import Fraction

from optscale_predictor.answers.values.evaluation import ratio, same
from optscale_predictor.answers.values.kinds import Equation, Inequality, Scalar
from optscale_predictor.answers.values.nodes import Call, Number
from optscale_predictor.answers.values.operations import is_real


def equal_scalars(left: Scalar, right: Scalar) -> bool:
    """Whether two expressions have one value, or with variables one value at every point."""
    if left.node == right.node:
        return True
    if not left.names and not right.names:
        return same(left.value, right.value)
    if left.names != right.names:
        return False
    points = list(zip(left.points, right.points, strict=True))
    known = [(one, two) for one, two in points if one is not None and two is not None]
    if len(known) < 2 or any((one is None) != (two is None) for one, two in points):
        return False
    # Roots and logarithms agree where they are real; elsewhere they have branches.
    real = [(one, two) for one, two in known if is_real(one) and is_real(two)]
    return all(same(one, two) for one, two in (real if len(real) > 1 else known))


def proportional(left: Scalar, right: Scalar, negative: bool) -> bool:
    """Whether one is a constant multiple of the other: the same zeros, and with a positive one the same sign."""
    names = left.names | right.names
    if left.names != right.names or not names:
        return False
    ratios = [ratio(one, two) for one, two in zip(left.points, right.points, strict=True) if None not in (one, two)]
    if len(ratios) < 2 or None in ratios or not all(same(ratios[0], one) for one in ratios[1:]):
        return False
    return negative or (is_real(ratios[0]) and ratios[0] > 0)


def difference(value: Equation | Inequality) -> Scalar:
    """Left side minus right side."""
    return Scalar(Call("add", (value.left, Call("mul", (Number(Fraction(-1)), value.right)))))
