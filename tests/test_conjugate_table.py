"""The table of log H against direct integration at points off its grid, and against what holds beyond its edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import NdBSpline
from scipy.special import expit

from optscale_predictor.stats.distributions.truncated_normal_fit import fit_moments
from optscale_predictor.stats.estimators import ScoreStatistics, conjugate_table
from optscale_predictor.stats.estimators.conjugate_integral import integrate_conjugate
from optscale_predictor.stats.estimators.conjugate_table import log_integral, log_integral_gradient, log_integrals


def statistics(count, mean, variance):
    return ScoreStatistics(*map(np.array, np.broadcast_arrays(float(count), mean, variance)))


@pytest.mark.parametrize("mean", [0.5, 0.283, 0.0713, 0.0231, 0.0052, 0.0009])
def test_table_agrees_with_finer_integration(mean):
    """At counts, means and variances between those of the table; where the ridge bends, most."""
    rng = np.random.default_rng(int(mean * 1e5))
    variance = mean * (1 - mean) * expit(np.concatenate([rng.uniform(-10, 4.2, 60), rng.normal(np.log(mean), 0.3, 40)]))
    for count, error in ((1, 3e-3), (2.3, 1e-3), (11, 4e-4), (66, 5e-4), (410, 2e-3), (1900, 0.04)):
        found = log_integral(statistics(count, mean, variance))
        off = np.abs(found - log_integrals(count, mean, variance, finer=2))
        assert off.max() < error and np.median(off) < max(error / 20, 1e-4)


def test_table_agrees_with_the_other_integral():
    rng = np.random.default_rng(0)
    mean = rng.uniform(0.02, 0.98, 100)
    given = ScoreStatistics(np.exp(rng.uniform(0, 5, 100)), mean, mean * (1 - mean) * expit(rng.uniform(-6, 2, 100)))
    assert log_integral(given) == pytest.approx(integrate_conjugate(given).log_value, abs=4e-3)


def test_means_are_mirrored():
    below, above = (log_integral_gradient(statistics(7, mean, 0.02)) for mean in (0.2, 0.8))
    assert below.value == pytest.approx(above.value, abs=1e-12)
    assert below.by_mean == pytest.approx(-above.by_mean)
    assert below.by_variance == pytest.approx(above.by_variance)


def test_small_variances_scale_as_a_normals():
    """Far below the least variance tabulated H is that of normals, in closed form."""
    variance = np.array([1e-5, 1e-8, 1e-12])
    found = log_integral(statistics(5, 0.3, variance)) + (5 + 3) / 2 * np.log(variance)
    assert found == pytest.approx(np.log(4 * np.pi / 5) / 2 - 2.5 * np.log(np.pi) + np.log(6) - 4 * np.log(5), abs=1e-6)


def test_large_counts_have_laplaces_integral():
    """Log H of 100,000 scores, by the fit and the information at it."""
    from optscale_predictor.stats.quadrature import expectation

    mean, variance = np.array([0.3, 0.5, 0.9]), np.array([0.01, 0.08, 0.01])
    fit = fit_moments(mean, variance)
    covariance = expectation(fit.a, fit.b).covariance
    count = 1e5
    expected = count * (fit.log_prob(mean) + fit.b * variance) + np.log(2 * np.pi / count)
    expected -= np.linalg.slogdet(covariance)[1] / 2
    assert log_integral(statistics(count, mean, variance)) == pytest.approx(expected, abs=0.1)


@settings(max_examples=60)
@given(
    count=st.floats(0.96, 5000),
    mean=st.floats(0.0004, 0.9996),
    odds=st.floats(-12, 4.1),
)
def test_gradient_is_the_tables_own(count, mean, odds):
    variance = mean * (1 - mean) * float(expit(odds))
    found = log_integral_gradient(statistics(count, mean, variance))
    steps = 1e-5 * count, 1e-5 * min(np.sqrt(variance), mean, 1 - mean, abs(mean - 0.5) + 1e-3), 1e-5 * variance
    for part, step in enumerate(steps):
        low, high = (
            float(log_integral(statistics(*(np.array([count, mean, variance]) + side * step * np.eye(3)[part])))[()])
            for side in (-1, 1)
        )
        numeric = (high - low) / (2 * step)
        assert found[part + 1] == pytest.approx(numeric, rel=1e-4, abs=(1e-9 + 1e-12 * abs(low)) / step)


def test_beyond_the_table_it_integrates():
    beyond = ScoreStatistics(np.array([3.0, 3.0]), np.array([0.0002, 0.4]), np.array([1e-8, 0.239]))
    inside = statistics(3, [0.4], 0.1)
    assert log_integral(beyond) == pytest.approx(integrate_conjugate(beyond).log_value)
    both = ScoreStatistics(
        *(np.concatenate(parts) for parts in zip(vars(beyond).values(), vars(inside).values(), strict=True))
    )
    assert log_integral(both) == pytest.approx([*log_integral(beyond), *log_integral(inside)])


def test_the_table_is_built_of_the_integrals_at_its_grid(monkeypatch):
    """Built on a part of the grid, from the least count to infinity, it says at its nodes what the shipped one says."""
    counts, means, shares = (
        conjugate_table._COUNTS[[0, 5, 9, 13, 17]],
        conjugate_table._MEANS[[30, 50, 60, 68, 74, 80]],
        conjugate_table._SHARE_GRID[::35],
    )
    for name, grid in (("_COUNTS", counts), ("_MEANS", means), ("_SHARE_GRID", shares)):
        monkeypatch.setattr(conjugate_table, name, grid)
    built = conjugate_table.build_table()
    assert built["coefficients"].dtype == np.float32 and built["coefficients"].flags.c_contiguous
    assert built.keys() == {"knots_0", "knots_1", "knots_2", "coefficients"}
    spline = NdBSpline(tuple(built[f"knots_{axis}"] for axis in range(3)), built["coefficients"].astype(float), 3)
    mirrored = np.concatenate([means, -means[-2:0:-1][:4]])
    nodes = np.stack(np.meshgrid(counts, mirrored, shares, indexing="ij"), -1)
    folded = nodes.copy()
    folded[..., 1] = -np.abs(folded[..., 1])
    assert spline(nodes) == pytest.approx(conjugate_table._spline()(folded), abs=2e-4)
