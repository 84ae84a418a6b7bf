"""Members' moments in closed form, against quadrature in thirty digits and against the package's own."""

import numpy as np
import pytest
from mpmath import mp

from optscale_predictor.stats.distributions import TruncatedNormal
from optscale_predictor.stats.prior_predictive import member_moments
from optscale_predictor.stats.quadrature import expectation


def by_hand(a, b):
    """Mean and variance of exp(a x + b x^2) on [0, 1]."""
    with mp.workdps(30):
        # The mass is within 1e-4 to 1 of the ends or of the peak: stretches that shrink towards all three.
        peak = min(max(-a / (2 * b), 0.0), 1.0) if b < 0 else 0.5
        near = [at + side * 4.0**-step for at in (0.0, peak, 1.0) for side in (-1, 1) for step in range(1, 9)]
        cuts = sorted({0.0, peak, 1.0, *(place for place in near if 0 < place < 1)})
        top = max(0.0, a + b, a * peak + b * peak * peak)
        total, first, second = (mp.quad(lambda x, k=k: x**k * mp.exp(a * x + b * x * x - top), cuts) for k in range(3))
        mean = first / total
        return float(mean), float(second / total - mean**2)


#: Bell-shaped, in a corner, flat, exponential, U-shaped, and all but in one place.
MEMBERS = (
    (3.0, -4.0),
    (40.0, -20.0),
    (0.0, 0.0),
    (0.3, 1e-9),
    (-80.0, 1e-7),
    (900.0, -3.0),
    (-30.0, 29.0),
    (8e3, -5e3),
)


@pytest.mark.parametrize(("a", "b"), MEMBERS)
def test_moments_against_many_digits(a, b):
    mean, variance = member_moments(TruncatedNormal.from_natural(np.array([a]), np.array([b])))
    expected = by_hand(a, b)
    assert mean[0] == pytest.approx(expected[0], abs=1e-6 * np.sqrt(expected[1]))
    assert variance[0] == pytest.approx(expected[1], rel=1e-6)


def test_moments_of_all_shapes_agree_with_quadrature():
    rng = np.random.default_rng(0)
    size = (200, 100)
    b = rng.choice([-1.0, 1.0], size) * np.exp(rng.uniform(-16, 12, size))
    a = -2 * b * rng.uniform(-0.5, 1.5, size) + rng.normal(0, 3, size)
    mean, variance = member_moments(TruncatedNormal.from_natural(a, b))
    exact = expectation(a, b)
    expected = exact.covariance[..., 0, 0]
    assert (np.abs(mean - exact.mean) / np.sqrt(expected)).max() < 1e-5
    assert np.abs(variance / expected - 1).max() < 1e-4
