"""Sufficient statistics against NumPy over the scores themselves, and the moments that fits to them have."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.errors import InputError
from optscale_predictor.stats.distributions import truncated_normal_fit
from optscale_predictor.stats.distributions.truncated_normal_fit import (
    fit_moments,
    fit_statistics,
    fitted_moments,
    standard_gradient,
)
from optscale_predictor.stats.estimators import ScoreStatistics
from optscale_predictor.stats.quadrature import expectation

score_lists = st.lists(st.floats(0, 1), max_size=9)


def three(statistics):
    return np.stack([statistics.count, statistics.mean, statistics.variance]).tolist()


@given(rows=st.lists(score_lists, min_size=1, max_size=4))
def test_statistics_are_those_of_the_scores_that_were_drawn(rows):
    width = max(1, *(len(row) for row in rows))
    scores = np.array([[*row, *[np.nan] * (width - len(row))] for row in rows])
    found = ScoreStatistics.from_scores(scores)
    wanted = [[len(row), np.mean(row) if row else 0.5, np.var(row) if row else 0.0] for row in rows]
    assert np.allclose(np.array(three(found)).T, wanted, rtol=0, atol=1e-12)
    mixed = np.random.default_rng(0).permuted(scores, axis=-1)  # whatever is not drawn may lie in between
    assert np.array(three(ScoreStatistics.from_scores(mixed))) == pytest.approx(np.array(three(found)), abs=1e-12)


@given(first=score_lists, second=score_lists)
def test_blending_is_putting_the_scores_together(first, second):
    blended = ScoreStatistics.from_scores(first or [np.nan]).blend(ScoreStatistics.from_scores(second or [np.nan]))
    both = ScoreStatistics.from_scores([*first, *second, np.nan])
    assert three(blended) == pytest.approx(three(both), abs=1e-12)


@pytest.mark.parametrize("scores", [[0.5, 1.0000001], [-1e-9, 0.5], [[0.1, 0.2], [np.nan, 7.0]], [np.inf]])
def test_scores_outside_are_named(scores):
    bad = np.ravel(scores)
    bad = bad[(bad < 0) | (bad > 1)][0]
    with pytest.raises(InputError, match=rf"scores must lie in \[0, 1\] \(NaN = not drawn\), got {bad}"):
        ScoreStatistics.from_scores(scores)
    with pytest.raises(InputError, match=r"got 7\.0"):
        ScoreStatistics.from_scores([0.0, 1.0, 7.0])
    assert three(ScoreStatistics.from_scores([0.0, 1.0])) == [2, 0.5, 0.25]


def test_statistics_of_single_precision_are_doubles():
    scores = np.array([[0.1, 0.7, 0.3]], np.float32)
    found, wanted = ScoreStatistics.from_scores(scores), ScoreStatistics.from_scores(scores.astype(np.float64))
    assert three(found) == three(wanted)
    assert {part.dtype for part in vars(ScoreStatistics.from_scores([[0, 1]])).values()} == {np.dtype("f8")}
    assert found.count.dtype == np.float64 and three(ScoreStatistics.from_scores([np.nan])) == [0, 0.5, 0]


def statistics(count, mean, variance):
    return ScoreStatistics(*(np.array(part, float) for part in (count, mean, variance)))


def test_fits_have_the_moments_of_the_data_moved_inside_what_is_possible():
    mean, variance = fitted_moments(
        statistics([0, 3, 3, 3, 3, 1], [0.9, 0.3, 0.0, 1.0, 0.5, 0.4], [0.01, 0.02, 0, 0, 0.25, 0])
    )
    assert mean == pytest.approx([0.5, 0.3, 1e-6, 1 - 1e-6, 0.5, 0.4], rel=1e-12)
    bimodal = (1 - 1e-4) / 4
    assert variance == pytest.approx([1 / 12, 0.02, 1e-12, 1e-12, bimodal, 1e-12], rel=1e-9)
    uniform = fit_statistics(statistics([0, 5], [0.9, 0.7], [0.2, 0.01]))
    assert uniform.cdf([0.3, 0.3])[0] == pytest.approx(0.3) and uniform.mean()[1] == pytest.approx(0.7)
    assert uniform.std()[1] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("mean", "variance"),
    [
        *((0.5, 0.2501), (0.5, -1e-9), (-0.1, 0.0), (1.1, 0.0), (np.nan, 0.1), (0.5, np.nan), (0.9, 0.1)),
        *((1 + 1e-13, 0.0), (-1e-13, 0.0)),
    ],
)
def test_moments_that_no_scores_have_are_named(mean, variance):
    fit_moments([0.0, 1.0, 0.5, 0.5], [0.0, 0.0, 0.0, 0.25])
    says = re.escape(f"no scores in [0, 1] have mean {mean} and variance {variance}")
    with pytest.raises(InputError, match=says):
        fit_moments([0.5, mean], [0.01, variance])


def test_the_gradient_says_how_far_a_fit_is_from_its_maximum():
    """In units of the fit's own spread: 0 at it; a mean that is off by one tenth of a deviation gives a tenth."""
    fit = fit_moments([0.5, 0.5], [0.0025, 0.0025])
    off = standard_gradient(fit, np.array([0.5, 0.505]), np.array([0.0025, 0.0025]))
    assert off[0] < 1e-9 and off[1] == pytest.approx(0.1, rel=1e-6)
    wider = standard_gradient(fit, np.array([0.5, 0.5]), np.array([0.005, 0.00375]))
    assert wider == pytest.approx([1.0, 0.5], rel=1e-6)


@pytest.mark.parametrize("power", [-0.5, -2, -4, -5.5])
def test_fits_at_every_scale_and_place_have_their_moments(power):
    """From nearly all mass at the two ends to a peak a millionth wide, near both ends and between them."""
    rng = np.random.default_rng(0)
    mean = np.concatenate(
        [rng.uniform(0.01, 0.99, 40), 10.0 ** rng.uniform(-5, -1, 20), 1 - 10.0 ** rng.uniform(-5, -1, 20)]
    )
    greatest = mean * (1 - mean)
    variance = np.minimum(
        (10**power * rng.uniform(0.3, 3, mean.size)) ** 2, greatest * rng.uniform(0.1, 0.9995, mean.size)
    )
    fit = fit_moments(mean, variance)
    assert np.abs(fit.mean() - mean).max() < 1e-8
    assert np.abs(fit.mean() - mean) == pytest.approx(np.zeros(mean.size), abs=1e-8)
    assert np.all(np.abs(fit.mean() - mean) <= 2e-9 * np.sqrt(variance) + 1e-14)
    assert fit.std() ** 2 == pytest.approx(variance, rel=1e-6)
    assert np.all(standard_gradient(fit, mean, variance) <= 1e-8)


def moments_at(power, rng):
    """Means near both ends and between them, and deviations about ten to this power."""
    mean = np.concatenate([rng.uniform(0.01, 0.99, 300), 10.0 ** rng.uniform(-6, -1, 300)])
    mean = np.concatenate([mean, 1 - mean[300:]])
    greatest = mean * (1 - mean)
    variance = np.minimum((10**power * rng.uniform(0.3, 3, 900)) ** 2, greatest * rng.uniform(0.1, 0.9999, 900))
    return mean, np.clip(variance, 1e-12, 0.9999 * greatest)


@pytest.mark.parametrize("power", [-6, -5, -4, -3, -2, -1, -0.5, 0])
def test_a_fit_starts_close_and_takes_a_few_steps(power, monkeypatch):
    """Within one deviation everywhere, and mostly within a hundredth: what makes thousands of fits quick."""
    mean, variance = moments_at(power, np.random.default_rng(0))
    start = np.stack(truncated_normal_fit._start(mean, variance), 1)
    newton_step, points = truncated_normal_fit._newton_step, []

    def counted(point, *moments):
        points.append(len(point))
        return newton_step(point, *moments)

    monkeypatch.setattr(truncated_normal_fit, "_newton_step", counted)
    _, decrement, error = newton_step(start, mean, variance)
    assert decrement.max() < 0.7 and error.max() < 0.95 and np.median(decrement) < 0.01
    mirrored = np.stack(truncated_normal_fit._start(1 - mean, variance), 1)
    assert newton_step(mirrored, 1 - mean, variance)[1] == pytest.approx(decrement, abs=0.01)
    fit_moments(mean, variance)
    assert sum(points) < 3.5 * mean.size


def test_a_newton_step_ends_where_the_quadratic_model_has_its_top():
    """Against the natural parameters' own gradient and Hessian: step = Hessian^-1 gradient."""
    a, b = np.array([0.0, 17.5, 3.0, -40.0, -8.0]), np.array([0.0, -12.5, 0.0, -2.0, 8.2])
    mean, variance = np.array([0.45, 0.65, 0.7, 0.03, 0.5]), np.array([0.07, 0.03, 0.05, 0.0008, 0.1])
    step, decrement, error = truncated_normal_fit._newton_step(np.stack([a, b], 1), mean, variance)
    model = expectation(a, b)
    centre, spread = model.mean, model.covariance[:, 0, 0]
    second = variance + mean**2 - (spread + centre**2)
    # The covariance is that of (x, (x - mean)^2): of (x, x^2) by x^2 = (x - m)^2 + 2 m x - m^2.
    turn = np.stack([np.stack([np.ones(5), np.zeros(5)], -1), np.stack([2 * centre, np.ones(5)], -1)], -2)
    hessian = turn @ model.covariance @ np.swapaxes(turn, -1, -2)
    gradient = np.stack([mean - centre, second], -1)
    wanted = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    assert step == pytest.approx(wanted, rel=1e-6)
    assert decrement == pytest.approx(np.sqrt((wanted * gradient).sum(-1)), rel=1e-6)
    units = np.abs(mean - centre) / np.sqrt(spread), np.abs(variance + (mean - centre) ** 2 - spread) / spread
    assert error == pytest.approx(np.maximum(*units), rel=1e-6)
    _, _, lost = truncated_normal_fit._newton_step(np.array([[np.inf, 0.0], [0.0, np.nan]]), mean[:2], variance[:2])
    assert np.isinf(lost).all()


def test_blending_takes_neither_side_and_goes_by_shares():
    """Also of less than one pseudo-observation, and of none on either side."""
    first, second = (
        statistics([0, 3, 0.25, 0.2], [0.9, 0.3, 0.6, 0.6], [0, 0.02, 0.1, 0.1]),
        statistics([0, 0, 0.5, 0.4], [0.2, 0.7, 0.3, 0.3], [0, 0.1, 0.05, 0.05]),
    )
    blended = first.blend(second)
    assert np.array(three(blended)) == pytest.approx(np.array(three(second.blend(first))), abs=1e-15)
    assert blended.mean == pytest.approx([0.55, 0.3, 0.4, 0.4]) and blended.variance[1] == pytest.approx(0.02)
    assert blended.variance[2] == pytest.approx(blended.variance[3])
    many = statistics([25], [0.6], [0.1]).blend(statistics([50], [0.3], [0.05]))
    assert (blended.mean[2], blended.variance[2]) == pytest.approx((float(many.mean[0]), float(many.variance[0])))


def test_fits_to_moments_of_single_precision_are_fits_in_double():
    mean, variance = np.float32(0.3), np.float32(0.02)
    found, wanted = fit_moments(mean, variance), fit_moments(float(mean), float(variance))
    assert (float(found.a), float(found.b)) == (float(wanted.a), float(wanted.b))
