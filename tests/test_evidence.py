"""The evidence by brute-force integration, by what every predictive density must satisfy, and its gradient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from optscale_predictor import Prior
from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions.truncated_normal_fit import fit_moments
from optscale_predictor.stats.estimators import ScoreStatistics
from optscale_predictor.stats.estimators.conjugate_integral import integrate_conjugate
from optscale_predictor.stats.estimators.evidence import evidence_gradient, log_evidence

# Nodes on [0, 1] that crowd at both ends, where U-shaped members have their mass.
POINT, WEIGHT = np.polynomial.legendre.leggauss(400)
POINT = (POINT + 1) / 2
WEIGHT = WEIGHT / 2 * 30 * (POINT * (1 - POINT)) ** 2
POINT = POINT**3 * (10 - 15 * POINT + 6 * POINT**2)


def log_normaliser(a, b):
    """log of the integral of exp(a x + b x^2) by plain quadrature over x."""
    exponent = np.outer(a, POINT) + np.outer(b, POINT**2)
    top = exponent.max(-1, keepdims=True)
    return top[:, 0] + np.log(np.exp(exponent - top) @ WEIGHT)


def brute_force(count, mean, std, size=161):
    """log H by a plain sum over a rectangle, widened until nothing is left at its edges."""
    mode = fit_moments(mean, std**2)
    spread, tilt = 1 / std**2, -2 * mean

    def row_sum(along, across):
        step_b, step_a = np.meshgrid(along, across, indexing="ij")
        b = mode.b + spread * step_b.ravel()
        a = mode.a + tilt * spread * step_b.ravel() + step_a.ravel() / std
        return count * (a * mean + b * (mean**2 + std**2) - log_normaliser(a, b)).reshape(step_b.shape)

    ends = np.array([-3.0, 3.0, -3.0, 3.0])
    for _ in range(40):
        value = row_sum(np.linspace(*ends[:2], 41), np.linspace(*ends[2:], 41))
        low = value.max() - 18
        grow = [edge.max() > low for edge in (value[0], value[-1], value[:, 0], value[:, -1])]
        if not any(grow):
            break
        ends = np.where(grow, ends * 1.4, ends)
    along, across = np.linspace(*ends[:2], size), np.linspace(*ends[2:], size)
    area = (along[1] - along[0]) * (across[1] - across[0]) * spread / std
    rows = [logsumexp(row_sum(part, across)) for part in np.array_split(along, -(-size // 32))]
    return float(logsumexp(rows) + np.log(area))


@pytest.mark.parametrize(
    ("count", "mean", "std", "error"),
    [
        (1, 0.5, 0.1, 2e-3),
        (1, 0.5, 0.29, 2e-3),
        (2.5, 0.93, 0.07, 4e-3),
        (2.5, 0.6, 0.25, 2e-3),
        (4, 0.5, 0.01, 2e-3),
        (8, 0.93, 0.2, 4e-3),
        (50, 0.5, 0.3, 2e-3),
        (50, 0.93, 0.07, 4e-3),
        (114, 0.5, 0.01, 2e-3),
        (114, 0.93, 0.01, 2e-3),
        (50, 0.3, 0.4, 2e-3),
    ],
)
def test_integral_agrees_with_brute_force(count, mean, std, error):
    found = integrate_conjugate(ScoreStatistics(*map(np.array, (float(count), mean, std**2)))).log_value
    assert float(found[0]) == pytest.approx(brute_force(count, mean, std), abs=error)


@pytest.mark.full
@pytest.mark.parametrize(
    ("count", "mean", "std"), [(8, 0.99, 0.05), (50, 0.99, 0.05), (20, 0.98, 0.02), (4, 0.99, 0.09)]
)
def test_integral_agrees_with_brute_force_where_it_has_a_cliff(count, mean, std):
    found = integrate_conjugate(ScoreStatistics(*map(np.array, (float(count), mean, std**2)))).log_value
    assert float(found[0]) == pytest.approx(brute_force(count, mean, std, 801), abs=0.02)


@pytest.mark.parametrize(
    ("mu", "sigma", "strength"),
    [(0.93, 0.07, 2.5), (0.6, 0.25, 5), (0.98, 0.02, 1.5), (0.5, 0.05, 1), (0.01, 0.05, 1.2), (0.99, 0.01, 50)],
)
def test_one_score_has_a_density_of_the_priors_moments(mu, sigma, strength):
    """It sums to one, and its mean and deviation are the prior's: Diaconis and Ylvisaker's theorem."""
    point, weight = POINT[::2], 2 * WEIGHT[::2]
    one = ScoreStatistics(np.ones_like(point), point, np.zeros_like(point))
    density = np.exp(log_evidence(Prior(mu, sigma, strength), one)) * weight
    assert density.sum() == pytest.approx(1, abs=1e-3)
    mean = (density * point).sum()
    assert mean == pytest.approx(mu, abs=1e-3)
    assert np.sqrt((density * (point - mu) ** 2).sum()) == pytest.approx(sigma, rel=2e-3)


def test_evidence_is_that_of_brute_force_integrals():
    for prior, seen in (
        ((0.6, 0.25, 5.0), (8.0, 0.5, 0.2)),
        ((0.93, 0.07, 2.5), (64.0, 0.9, 0.1)),
        ((0.5, 0.1, 1.0), (1.0, 0.7, 0.0)),
    ):
        (mu, sigma, strength), (count, mean, std) = prior, seen
        total = strength + count
        blended = (strength * mu + count * mean) / total
        second = (strength * (mu**2 + sigma**2) + count * (mean**2 + std**2)) / total
        expected = brute_force(total, blended, np.sqrt(second - blended**2)) - brute_force(strength, mu, sigma)
        found = log_evidence(Prior(*prior), ScoreStatistics(*map(np.array, (float(count), mean, std**2))))
        assert float(found[0]) == pytest.approx(expected, abs=2e-3)


def test_no_score_has_no_evidence():
    none = ScoreStatistics.from_scores([[np.nan, np.nan], [0.4, np.nan]])
    found = evidence_gradient(Prior(0.9, 0.1, 3.0), none)
    assert [float(part[0]) for part in found] == [0, 0, 0, 0]
    value = log_evidence(Prior(0.9, 0.1, 3.0), none)
    assert value[0] == 0 and value == pytest.approx(found.log_evidence, rel=1e-12)
    assert np.all(np.array([part[1] for part in found]) != 0)


@pytest.mark.parametrize(
    ("prior", "seen"),
    [
        ((0.93, 0.07, 2.5), (64.0, 0.9, 0.01)),
        ((0.6, 0.25, 5.0), (8.0, 0.5, 0.04)),
        ((0.98, 0.02, 1.5), (1.0, 0.97, 0.0)),
        ((0.8, 0.1, 30.0), (4.0, 0.2, 0.0)),
    ],
)
def test_gradient_agrees_with_finite_differences(prior, seen):
    statistics = ScoreStatistics(*map(np.array, seen))
    found = evidence_gradient(Prior(*prior), statistics)
    for part, value, step in zip(range(3), prior, (1e-6, 1e-6, 1e-4), strict=True):
        low, high = (
            float(log_evidence(Prior(*(*prior[:part], value + side * step, *prior[part + 1 :])), statistics)[0])
            for side in (-1, 1)
        )
        assert float(found[part + 1][0]) == pytest.approx((high - low) / (2 * step), rel=1e-4, abs=1e-6)


def test_gradient_beyond_the_table_agrees_with_finite_differences():
    """There it is that of another integral, by quadrature: the value's to some hundredths."""
    prior, statistics = (0.0002, 0.0001, 4.0), ScoreStatistics(*map(np.array, (8.0, 0.00025, 1e-8)))
    found = evidence_gradient(Prior(*prior), statistics)
    for part, value in enumerate(prior):
        low, high = (
            float(log_evidence(Prior(*(*prior[:part], value * by, *prior[part + 1 :])), statistics)[0])
            for by in (0.98, 1.02)
        )
        assert float(found[part + 1][0]) * value == pytest.approx((high - low) / 0.04, rel=0.03, abs=0.02)


@settings(max_examples=40)
@given(
    mu=st.floats(0.001, 0.999),
    share=st.floats(1e-3, 1),
    strength=st.floats(0, 1000),
    count=st.integers(1, 1000),
    mean=st.floats(0, 1),
    seen_share=st.floats(0, 1),
)
def test_evidence_and_gradient_are_always_finite(mu, share, strength, count, mean, seen_share):
    statistics = ScoreStatistics(*map(np.array, (float(count), mean, seen_share * mean * (1 - mean))))
    found = evidence_gradient(Prior(mu, share * np.sqrt(mu * (1 - mu)), strength), statistics)
    assert np.isfinite(np.array(found)).all()


def test_a_prior_for_another_number_of_questions_is_refused():
    with pytest.raises(InputError, match="prior has 3 questions, expected 1 or 2"):
        log_evidence(Prior([0.5, 0.5, 0.5], 0.1, 1.0), ScoreStatistics.from_scores([[0.1], [0.2]]))


def test_a_strength_below_one_is_held_at_one():
    """The evidence is that of a strength of 1, where it does not move; from 1 on it does."""
    seen = ScoreStatistics.from_scores([[0.3, 0.6, 0.55]] * 4)
    strengths = np.array([0.0, 0.5, 1.0, 1.0 + 1e-6])
    found = evidence_gradient(Prior(0.9, 0.1, strengths), seen)
    assert found.by_strength[:2].tolist() == [0, 0] and np.all(found.by_strength[2:] != 0)
    for part in (found.log_evidence, found.by_mean, found.by_std):
        assert part == pytest.approx(np.full(4, part[2]), rel=1e-4) and len(set(part[:3])) == 1
    slope = np.diff(
        log_evidence(Prior(0.9, 0.1, np.array([1.0, 1.001])), ScoreStatistics.from_scores([[0.3, 0.6, 0.55]] * 2))
    )
    assert found.by_strength[2] == pytest.approx(float(slope[0]) / 0.001, rel=1e-3)
