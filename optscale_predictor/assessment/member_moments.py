"""Mean and variance of very many truncated normals: in closed form where that keeps its digits.

Of a density p on [0, 1] with (log p)' = a + 2 b x, integrating p' and ((x - m) p)', m the mean, over [0, 1] gives

    p(1) - p(0) = a + 2 b m        (1 - m) p(1) + m p(0) = 1 + 2 b variance

Both are differences of like numbers where b is small or the mass lies in a corner, so each is taken only where rounding
leaves it right; elsewhere, of about one member in a thousand, quadrature finds the moments.
"""

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.distributions import TruncatedNormal
from optscale_predictor.distributions._quadrature import expectation

Floats = NDArray[np.float64]

_ROUNDING = 1e-12  # relative error of a density: generous, as log densities in the hundreds lose two digits
_TOLERANCE = 1e-3  # of the mean in standard deviations, and relative of the variance, by the bound below


def member_moments(members: TruncatedNormal) -> tuple[Floats, Floats]:
    """Mean and variance of members of any shape, right to a thousandth of their standard deviation and variance.

    What is measured is right to a millionth (tests): the bound on what rounding does is a cautious one.
    """
    a, b = members.a, members.b
    start, end = (np.exp(members.log_prob(np.full(a.shape, at))) for at in (0.0, 1.0))
    with np.errstate(all="ignore"):  # b of 0, and members that the bound below refuses
        mean = (end - start - a) / (2 * b)
        variance = ((1 - mean) * end + mean * start - 1) / (2 * b)
        height = start + end
        mean_error = _ROUNDING * (np.abs(a) + height) / np.abs(2 * b)
        variance_error = (_ROUNDING * (1 + height) + mean_error * height) / np.abs(2 * b)
        good = (mean > 0) & (mean < 1) & (variance > 0)
        good &= (mean_error < _TOLERANCE * np.sqrt(variance)) & (variance_error < _TOLERANCE * variance)
    rest = ~good
    if rest.any():
        exact = expectation(a[rest], b[rest])
        mean[rest], variance[rest] = exact.mean, exact.covariance[..., 0, 0]
    return mean, variance
