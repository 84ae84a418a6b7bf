"""Calibration of priors against questions drawn from them, and against ones that they misjudge."""

import numpy as np
import pytest
from conjugate_world import draw_members, draw_scores

from optscale_predictor import Prior
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.assessment.interval_coverage import measure_coverage
from optscale_predictor.stats.estimators import ScoreStatistics
from optscale_predictor.stats.prior_predictive import mean_pit, score_pit

PRIORS = ((0.93, 0.07, 2.5), (0.6, 0.25, 5.0), (0.98, 0.02, 1.5))
LEVELS = (0.5, 0.8, 0.95)


def below(prior, count, means):
    """PITs of many means under one prior."""
    return mean_pit(prior, ScoreStatistics(np.full(len(means), count), means, np.zeros(len(means))))


@pytest.fixture(scope="module", params=PRIORS, ids=str)
def world(request):
    """A prior, members drawn from it, and 64 scores of each."""
    rng = np.random.default_rng(0)
    members = draw_members(*request.param, 1200, rng)
    return Prior(*request.param), members, draw_scores(members, 64, rng)


@pytest.mark.parametrize("count", [1, 4, 64])
def test_intervals_cover_their_nominal_share(world, count):
    """Within four standard errors of 1,200 draws; `test_coverage_to_a_point` has more of them."""
    prior, _, scores = world
    # A cdf at many points of one prior is smooth: read it off a table, to save time.
    means = scores[:, :count].mean(-1)
    grid = np.unique(np.quantile(means, np.linspace(0, 1, 120)))
    pit = np.interp(means, grid, below(prior, float(count), grid))
    for level in LEVELS:
        error = np.sqrt(level * (1 - level) / len(means))
        assert (np.abs(pit - 0.5) <= level / 2).mean() == pytest.approx(level, abs=4 * error)


@pytest.mark.full
@pytest.mark.parametrize("given", PRIORS, ids=str)
def test_coverage_to_a_point(given):
    rng = np.random.default_rng(1)
    scores = draw_scores(draw_members(*given, 40_000, rng), 64, rng)
    for count in (1, 4, 16, 64):
        means = scores[:, :count].mean(-1)
        grid = np.unique(np.quantile(means, np.linspace(0, 1, 1500)))
        pit = np.interp(means, grid, below(Prior(*given), float(count), grid))
        covered = [(np.abs(pit - 0.5) <= level / 2).mean() for level in LEVELS]
        assert covered == pytest.approx(LEVELS, abs=0.01)


def test_quantiles_of_means_agree_with_simulation(world):
    """Where a tenth and nine tenths of predicted means lie, for the mean of 16 scores and for the true mean."""
    prior, members, scores = world
    for count, means in ((16.0, scores[:, :16].mean(-1)), (np.inf, members.mean())):
        grid = np.linspace(0, 1, 1001)
        low, high = np.interp((0.1, 0.9), below(prior, count, grid), grid)
        assert ((means < low).mean(), (means < high).mean()) == pytest.approx((0.1, 0.9), abs=0.03)


def test_means_of_many_scores_have_a_smooth_distribution():
    """No lumps of single members: the cdf's steps between near points differ little from one to the next."""
    grid = np.linspace(0.85, 0.97, 240)
    steps = np.diff(below(Prior(0.93, 0.07, 2.5), 4096.0, grid))
    assert np.all(steps > 0) and np.abs(np.diff(np.log(steps))).max() < 0.25


def test_priors_too_sure_or_off_are_found_out():
    rng = np.random.default_rng(2)
    scores = draw_scores(draw_members(0.6, 0.2, 2.0, 150, rng), 16, rng)
    observed = ScoreStatistics.from_scores(scores)
    right, sure, off = (
        measure_coverage(prior, observed)
        for prior in (Prior(0.6, 0.2, 2.0), Prior(0.6, 0.2, 40.0), Prior(0.8, 0.2, 2.0))
    )
    assert right.uniformity > 0.01 > sure.uniformity and off.uniformity < 1e-4
    for nominal, held, error in zip(LEVELS, right.coverage, right.coverage_error, strict=True):
        assert error == pytest.approx(np.sqrt(nominal * (1 - nominal) / 150))
        assert held == pytest.approx(nominal, abs=4 * error)
    assert all(held < nominal - 0.1 for nominal, held in zip(LEVELS[:2], sure.coverage, strict=False))
    assert sum(right.histogram) == 150 and right.histogram_error[0] == pytest.approx(np.sqrt(150 * 0.1 * 0.9))
    assert off.histogram[0] > 2 * off.histogram[-1]


def test_single_scores_by_numeric_integration():
    """The predictive of a new score has the prior's moments, whichever the prior; coverage counts questions alike."""
    prior = Prior([0.7, 0.93], [0.2, 0.07], [4.0, 2.5])
    grid = np.linspace(0, 1, 251)
    cdf = score_pit(prior, np.tile(grid, (2, 1)))
    assert np.all(np.diff(cdf) >= 0) and cdf[:, -1] == pytest.approx([1, 1])
    mean = 1 - np.trapezoid(cdf, grid)
    second = 1 - np.trapezoid(2 * grid * cdf, grid)
    assert mean == pytest.approx([0.7, 0.93], abs=2e-3)
    assert np.sqrt(second - mean**2) == pytest.approx([0.2, 0.07], abs=2e-3)
    scores = np.array([[0.7, 0.71, np.nan], [0.2, np.nan, np.nan]])
    found = measure_coverage(prior, ScoreStatistics.from_scores(scores), scores)
    assert found.score_coverage == (0.5, 0.5, 0.5)
    assert found.score_coverage_error == pytest.approx((0.5, 0.5, 0.5))


def test_questions_without_scores_are_left_out():
    observed = ScoreStatistics.from_scores([[0.5, 0.6], [np.nan, np.nan]])
    assert np.isnan(mean_pit(Prior(0.6, 0.2, 2.0), observed)).tolist() == [False, True]
    assert sum(measure_coverage(Prior(0.6, 0.2, 2.0), observed).histogram) == 1


def test_what_cannot_be_done_is_one_line():
    prior, one = Prior(0.6, 0.2, 2.0), ScoreStatistics.from_scores([[0.5]])
    for call, says in (
        (lambda: measure_coverage(prior, ScoreStatistics.from_scores([[np.nan]])), "no question has one"),
        (lambda: measure_coverage(prior, one, levels=(0.5, 1.5)), "levels must lie in"),
        (lambda: measure_coverage(prior, one, bins=1), "bins must be >= 2, got 1"),
        (lambda: measure_coverage(Prior([0.5, 0.5], 0.1, 1.0), one), "prior has 2 questions, expected 1 or 1"),
        (lambda: score_pit(prior, [[1.2]]), "scores must lie in"),
    ):
        with pytest.raises(InputError, match=says):
            call()
