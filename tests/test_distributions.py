"""The truncated normal against mpmath at 50 digits, and against its own definitions."""

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optscale_predictor import TruncatedNormal
from optscale_predictor.errors import InputError

LOCATIONS = (-5.0, -0.3, 0.0, 0.2, 0.5, 0.93, 1.0, 1.7, 6.0)
SCALES = (1e-6, 1e-3, 0.05, 0.3, 1.0, 10.0)
POINTS = (1e-9, 0.1, 0.5, 0.95, 0.999)


def reference_tails(density, low, point):
    """log P(score <= point) and log P(score > point) by quadrature of an unnormalised density."""
    below = mpmath.quad(density, mpmath.linspace(low, point, 9))
    above = mpmath.quad(density, mpmath.linspace(point, 1, 9))
    return below / (below + above), above / (below + above)


def normal_tails(mu, sigma, point):
    """The same in closed form; enough digits that differences of error functions cannot cancel."""

    def mass(low, high):
        low, high = ((mpmath.mpf(x) - mu) / sigma / mpmath.sqrt(2) for x in (low, high))
        if low > 0:
            return mpmath.erfc(low) - mpmath.erfc(high)
        return mpmath.erfc(-high) - mpmath.erfc(-low)

    below, above = mass(0, point), mass(point, 1)
    return below / (below + above), above / (below + above)


def log_of(share, other):
    return mpmath.log(share) if share < 0.5 else mpmath.log1p(-other)


@pytest.mark.parametrize("sigma", SCALES)
@pytest.mark.parametrize("mu", LOCATIONS)
def test_log_tails_agree_with_mpmath(mu, sigma):
    if sigma < 1e-2 and not 0 <= mu <= 1:
        return  # the mass is below what 400 digits hold; larger scales cover these locations
    family = TruncatedNormal(mu, sigma)
    with mpmath.workdps(400):
        for point in POINTS:
            below, above = normal_tails(mpmath.mpf(mu), mpmath.mpf(sigma), mpmath.mpf(point))
            for got, want in (
                (family.logcdf(point), log_of(below, above)),
                (family.logsf(point), log_of(above, below)),
            ):
                if -1e300 < want < -1e-300:
                    assert float(got) == pytest.approx(float(want), rel=1e-11)


@pytest.mark.parametrize(("a", "b"), [(-3.0, 5.0), (-40.0, 41.0), (10.0, 30.0), (0.0, 0.0), (12.0, 0.0), (-7.0, 1e-9)])
def test_u_shaped_and_exponential_members_agree_with_mpmath(a, b):
    family = TruncatedNormal.from_natural(a, b)
    with mpmath.workdps(30):
        for point in POINTS:
            below, above = reference_tails(lambda x: mpmath.exp(a * x + b * x * x), mpmath.mpf(0), mpmath.mpf(point))
            assert float(family.logcdf(point)) == pytest.approx(float(log_of(below, above)), rel=1e-10)
            assert float(family.logsf(point)) == pytest.approx(float(log_of(above, below)), rel=1e-10)


@given(mu=st.floats(-5, 6), log_sigma=st.floats(-6, 1), p=st.floats(0.001, 0.999))
def test_quantile_inverts_cdf(mu, log_sigma, p):
    family = TruncatedNormal(mu, 10**log_sigma)
    point = family.quantile(p)
    step = 1e-12
    assert family.cdf(point - step) - 1e-3 <= p <= family.cdf(point + step) + 1e-3


def gauss_legendre(panels, order=20):
    """Nodes and weights on [0, 1]; twenty to a panel, over which a density may fall by e^5, err by less than 1e-15."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    starts = np.arange(panels)[:, None] / panels
    return (starts + (nodes + 1) / 2 / panels).ravel(), np.tile(weights / 2 / panels, panels)


@given(mu=st.floats(-0.5, 1.5), log_sigma=st.floats(-1.5, 1))
@example(mu=-0.5, log_sigma=-1.5)  # the steepest: it falls from the edge by e^500 over the interval
@example(mu=1.5, log_sigma=-1.5)
def test_moments_and_density_agree_with_quadrature(mu, log_sigma):
    family = TruncatedNormal(mu, 10**log_sigma)
    grid, weights = gauss_legendre(panels=200)
    density = np.exp(family.log_prob(grid))
    mean, square = float(family.mean()), float(family.std()) ** 2
    assert weights @ density == pytest.approx(1, rel=1e-11)
    assert weights @ (density * grid) == pytest.approx(mean, rel=1e-11)
    assert weights @ (density * (grid - mean) ** 2) == pytest.approx(square, rel=1e-8)


def test_samples_have_the_family_moments():
    family = TruncatedNormal([0.9, 0.2, 0.5], [0.1, 0.4, 2.0])
    scores = family.sample(10_000, np.random.default_rng(0))
    assert scores.shape == (3, 10_000)
    assert scores.mean(-1) == pytest.approx(family.mean(), abs=0.01)
    assert scores.std(-1) == pytest.approx(family.std(), abs=0.01)


def test_outside_the_support():
    family = TruncatedNormal(0.5, 0.1)
    assert family.logcdf(-0.1) == -np.inf and family.cdf(1.5) == 1
    assert family.log_prob(1.5) == -np.inf


@pytest.mark.parametrize(("mu", "sigma", "says"), [(0.5, 0.0, "sigma"), (0.5, -1.0, "sigma"), (np.nan, 0.1, "mu")])
def test_bad_parameters_are_named(mu, sigma, says):
    with pytest.raises(InputError, match=says):
        TruncatedNormal(mu, sigma)
