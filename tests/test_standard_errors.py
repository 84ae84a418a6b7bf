"""Standard errors of the natural parameters: against a numerical Hessian in 20 digits, and against simulation."""

import mpmath
import numpy as np
import pytest
import scipy.stats

from optscale_predictor import TruncatedNormal, fit_mle
from optscale_predictor.stats.distributions.truncated_normal_fit import standard_errors


def log_normaliser(a, b):
    """log of the integral of exp(a x + b x^2) over [0, 1]."""
    peak = min(max(-a / (2 * b), mpmath.mpf(0)), mpmath.mpf(1)) if b < 0 else mpmath.mpf(0)
    places = sorted(
        {mpmath.mpf(0), peak, mpmath.mpf(1), *(peak + step for step in (-0.02, 0.02) if 0 < peak + step < 1)}
    )
    top = max(a * x + b * x * x for x in places)
    return top + mpmath.log(mpmath.quad(lambda x: mpmath.exp(a * x + b * x * x - top), places))


def from_hessian(a, b, count):
    """Roots of the diagonal of the inverse Hessian of the negative log-likelihood of ``count`` scores at (a, b).

    The likelihood is a sum x + b sum x^2 - count log Z(a, b), so its Hessian is that of -count log Z.
    """
    with mpmath.workdps(20):
        point = (mpmath.mpf(a), mpmath.mpf(b))
        first, mixed, last = (mpmath.diff(log_normaliser, point, orders) for orders in ((2, 0), (1, 1), (0, 2)))
        inverse = (count * mpmath.matrix([[first, mixed], [mixed, last]])) ** -1
        return [float(mpmath.sqrt(inverse[place, place])) for place in (0, 1)]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (0.0, 0.0),  # uniform
        (17.5, -12.5),  # mu 0.7, sigma 0.2
        (500.0, -1000 / 3),  # inside, narrow
        (3.0, 0.0),  # exponential
        (-40.0, -2.0),  # against the lower end
        (-8.0, 8.2),  # U-shaped
    ],
)
def test_they_are_those_of_the_inverse_hessian(a, b):
    fit = TruncatedNormal.from_natural([a, a], [b, b])
    found = np.array(standard_errors(fit, np.array([1.0, 50.0])))
    assert found[:, 0] == pytest.approx(from_hessian(a, b, 1), rel=1e-6)
    assert found[:, 1] == pytest.approx(found[:, 0] / np.sqrt(50), rel=1e-12)


@pytest.mark.parametrize(("mu", "sigma"), [(0.6, 0.2), (0.9, 0.3), (0.5, 0.01)])
def test_estimates_scatter_as_much_as_they_say(mu, sigma):
    drawn = scipy.stats.truncnorm(-mu / sigma, (1 - mu) / sigma, mu, sigma)
    fits = fit_mle(drawn.rvs((1500, 300), random_state=0))
    errors = standard_errors(TruncatedNormal(mu, sigma), 300.0)
    for estimates, error in zip((fits.a, fits.b), errors, strict=True):
        assert estimates.std() == pytest.approx(float(error), rel=0.1)


def test_the_error_of_a_narrow_peak_keeps_its_digits():
    """Far from both ends the density is a normal, whose errors are known: those of 1 / sigma^2 and mu / sigma^2."""
    mu, sigma, count = 0.5, 1e-4, 40.0
    a_error, b_error = standard_errors(TruncatedNormal(mu, sigma), count)
    precision_error = np.sqrt(2 / count) / sigma**2
    assert float(b_error) == pytest.approx(precision_error / 2, rel=1e-9)
    assert float(a_error) == pytest.approx(np.hypot(mu * precision_error, 1 / (sigma * np.sqrt(count))), rel=1e-9)


def test_no_scores_no_certainty():
    assert np.isinf(standard_errors(TruncatedNormal(0.5, 0.2), 0.0)).all()
