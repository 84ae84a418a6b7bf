"""BEACON: its predictive distribution one update at a time, its index by the recursion on other nodes."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import decided, drawn
from scipy.integrate import quad
from scipy.interpolate import RegularGridInterpolator
from scipy.stats import t as student_t

from optscale_predictor.policies import CONTINUE, parse_policy
from optscale_predictor.policies.beacon import Z_GRID, expected_improvement, first_index, h_index, interpolated
from optscale_predictor.stats.estimators import ScoreStatistics


@pytest.fixture(autouse=True)
def computed_anew():
    """The index is kept from call to call; here it is what the code computes now."""
    h_index.cache_clear()


@pytest.mark.parametrize("freedom", [1.5, 2.0, 6.0, 40.0])
def test_expected_improvement_is_its_integral(freedom):
    for z in (-4.0, -0.5, 0.0, 1.0, 6.0):
        wanted = quad(lambda u: (u - z) * student_t.pdf(u, freedom), z, np.inf, limit=200)[0]  # noqa: B023
        assert float(expected_improvement(z, freedom)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("horizon", "nu0", "alpha0"), [(8, 0.0, -0.5), (5, 2.0, 1.0), (4, 0.0, 10.0), (3, 0.0, -0.4999), (5, 0.0, 0.68355)]
)
def test_the_index_before_the_last_sample_is_the_expected_improvement(horizon, nu0, alpha0):
    """Or 0 below a millionth, the least cost that is told from none. Barely a mean: above 1,000, the greatest cost."""
    table = h_index(horizon, nu0, alpha0)
    wanted = expected_improvement(Z_GRID, 2 * alpha0 + horizon - 1)
    assert alpha0 != 0.68355 or 1e-6 < wanted[-1] < 1.3e-6  # between the two least costs
    assert table[horizon - 1] == pytest.approx(np.where(wanted > 1e-6, wanted, 0.0), rel=1e-9)
    assert table.shape == (horizon + 1, len(Z_GRID)) and not table[horizon].any()
    assert not table[: first_index(alpha0)].any() and (table[first_index(alpha0) : horizon, 40] > 0).all()


_STEPS = np.linspace(-8, 8, 321)
_REWARDS, _WIDTHS = np.sinh(_STEPS), np.cosh(_STEPS) * (_STEPS[1] - _STEPS[0])


def going_on(z, cost, after, horizon, nu0, alpha0):
    """H_k(z, c) as the module states it, by trapezoids over every chain of rewards up to the horizon."""
    freedom, pull = 2 * alpha0 + after, 1 / (nu0 + after + 1)
    value = expected_improvement(z, freedom)
    if after == horizon - 1:
        return value
    z, cost = z[..., None], cost[..., None]
    scale = np.sqrt((1 - pull**2) * (freedom + _REWARDS**2) / (freedom + 1))
    best = (np.maximum(z, _REWARDS) - _REWARDS * pull) / scale
    gain = scale * np.maximum(going_on(best, cost / scale, after + 1, horizon, nu0, alpha0) - cost / scale, 0.0)
    return value + gain @ (student_t.pdf(_REWARDS, freedom) * _WIDTHS)


@pytest.mark.parametrize(("horizon", "nu0", "alpha0"), [(6, 0.0, -0.5), (5, 2.0, 1.0)])
@pytest.mark.parametrize("left", [2, 3])
def test_the_index_near_the_end_is_the_nested_integral(horizon, nu0, alpha0, left):
    """The index is the root of H_k(z, c) = c."""
    grid = np.array([0, 34, 40, 44, 48, 60])
    costs = h_index(horizon, nu0, alpha0)[horizon - left, grid]
    for z, cost in zip(Z_GRID[grid], costs, strict=True):
        value = going_on(np.array(z), np.array(cost), horizon - left, horizon, nu0, alpha0)
        assert float(value) == pytest.approx(cost, rel=0.0075 * (left - 1))


def test_the_index_falls_with_what_is_in_hand_and_rises_with_what_is_left():
    table = h_index(9, 0.0, -0.5)
    assert np.all(np.diff(table[3:9], axis=1) <= 1e-12) and np.all(np.diff(table[3:9, 10:70], axis=1) < 0)
    longer = h_index(12, 0.0, -0.5)
    assert np.all(longer[3:8, 20:60] >= table[3:8, 20:60] * (1 - 1e-9))


def one_after_another(scores, nu, mu, alpha, beta):
    """Normal-inverse-gamma updates, one score at a time (Murphy 2007, eqs. 85 to 89)."""
    for score in scores:
        beta += nu * (score - mu) ** 2 / (2 * (nu + 1))
        mu, nu, alpha = (nu * mu + score) / (nu + 1), nu + 1, alpha + 0.5
    return mu, np.sqrt(beta * (nu + 1) / (alpha * nu))


@pytest.mark.parametrize(
    ("nu0", "mu0", "alpha0", "beta0"), [(0, 0, -0.5, 0), (2.0, 0.3, 1.5, 0.1), (0.5, 0.9, 0.0, 0.02)]
)
def test_beacon_predicts_as_one_update_after_another(nu0, mu0, alpha0, beta0):
    rows = ([0.2, 0.5, 0.8], [0.9, 0.1, 0.4, 0.45, 0.7])
    policy = parse_policy(f"beacon:nu0={nu0},mu0={mu0},alpha0={alpha0},beta0={beta0}")
    for row in rows:
        found = policy.predictive(ScoreStatistics.from_scores(row))
        assert [float(part) for part in found] == pytest.approx(one_after_another(row, nu0, mu0, alpha0, beta0))


def test_beacon_goes_on_while_the_index_exceeds_the_standardised_cost():
    rows = [[0.2, 0.5, 0.8], [0.5, 0.52, 0.51, 0.5], [0.3, 0.3, 0.9, 0.1, 0.2], [0.1, 0.2], [], [0.4, 0.4, 0.4]]
    policy = parse_policy("beacon:max_samples=7")
    draws = drawn(*rows)
    for question, row in enumerate(rows[:3]):
        location, scale = (float(part) for part in policy.predictive(ScoreStatistics.from_scores(row)))
        index = float(np.interp((max(row) - location) / scale, Z_GRID, h_index(7, 0.0, -0.5)[len(row)]))
        for factor, reason in ((0.99, CONTINUE), (1.01, "confident")):
            decision = replace(policy, cost=factor * index * scale).decide(draws)
            assert decision.reason[question] == reason
            assert decision.total.tolist() == [4, 5, 6, 3, 3, 4]
            assert decision.reason.tolist()[3:] == [CONTINUE, CONTINUE, "confident"]  # equal scores guarantee nothing
    # 2 alpha0 + k degrees of freedom have a mean above 1.
    assert [first_index(alpha0) for alpha0 in (-0.5, -0.4, 0.0, 0.4, 0.5, 5.0)] == [3, 2, 2, 1, 1, 1]
    assert decided("beacon:max_samples=2", drawn([])).total.tolist() == [2]


def test_equal_scores_promise_nothing_and_unusable_ones_everything():
    """Without a spread no further score is better; where nothing may be returned yet, any score is."""
    equal = drawn([0.5] * 3, [0.25] * 4, [0.0, 0.5, 1.0])
    assert decided("beacon:cost=1e-9,max_samples=6", equal).reason.tolist() == ["confident", "confident", CONTINUE]
    assert decided("beacon:max_samples=3", drawn([0.5] * 3, [0.0, 0.5, 1.0])).reason.tolist() == ["budget"] * 2
    cut_short = replace(drawn([0.5, 0.9, 0.7]), usable=np.zeros((1, 3), np.bool_))
    assert decided("beacon:cost=1,max_samples=6", cut_short).reason.tolist() == [CONTINUE]


def test_the_tables_interpolation_is_scipys_inside_the_grids_and_beyond():
    rng = np.random.default_rng(0)
    table = rng.random((len(Z_GRID), 70))
    costs = np.linspace(np.log(1e-6), np.log(1e3), 70)
    z, log_cost = rng.uniform(-35, 35, (9, 5)), rng.uniform(-20, 12, (5, 11))
    theirs = RegularGridInterpolator((Z_GRID, costs), table, bounds_error=False, fill_value=None)
    points = np.stack(np.broadcast_arrays(z[:, :, None], log_cost[None]), -1)
    np.testing.assert_allclose(interpolated(table, z, log_cost), theirs(points), rtol=1e-9, atol=1e-9)
