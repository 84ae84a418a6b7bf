"""Fits by what defines them: moments matched, no better point nearby, priors in the limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from optscale_predictor import Prior, TruncatedNormal, fit_map, fit_mle
from optscale_predictor.errors import InputError
from optscale_predictor.stats.estimators import ScoreStatistics, fit_map_gaussian, fit_moments
from optscale_predictor.stats.estimators import posterior as posterior_module

score_sets = st.lists(st.floats(0, 1), min_size=2, max_size=40)


@given(scores=score_sets)
def test_mle_matches_the_moments_of_the_data(scores):
    fit = fit_mle(scores)
    resolution = 1e-6
    mean = np.clip(np.mean(scores), resolution, 1 - resolution)
    variance = np.clip(np.var(scores), resolution**2, (1 - 1e-4) * mean * (1 - mean))
    assert abs(fit.mean() - mean) <= 1e-8 * np.sqrt(variance) + 1e-15
    assert fit.std() == pytest.approx(np.sqrt(variance), rel=1e-7)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["beta", "tied", "saturated", "narrow", "binary"]))
def test_ten_thousand_shapes_converge(seed, kind):
    rng = np.random.default_rng(seed)
    size = (50, int(rng.integers(2, 65)))
    scores = {
        "beta": lambda: rng.beta(*rng.uniform(0.05, 5, 2), size),
        "tied": lambda: np.round(rng.beta(0.5, 0.3, size), 1),
        "saturated": lambda: np.where(rng.random(size) < 0.8, 1.0, rng.random(size)),
        "narrow": lambda: np.clip(rng.normal(rng.random(), 10 ** rng.uniform(-7, -1), size), 0, 1),
        "binary": lambda: (rng.random(size) < rng.random()).astype(float),
    }[kind]()
    fit = fit_mle(scores)
    mean, variance = scores.mean(-1), scores.var(-1)
    free = (variance > 1e-11) & (variance < 0.999 * mean * (1 - mean)) & (mean > 1e-5) & (mean < 1 - 1e-5)
    assert np.all(np.isfinite(fit.a) & np.isfinite(fit.b))
    assert np.all(np.abs(fit.mean() - mean)[free] < 1e-8 * np.sqrt(variance[free]))


def test_mle_is_no_worse_than_an_independent_optimiser():
    rng = np.random.default_rng(3)
    scores = TruncatedNormal(0.7, 0.2).sample(30, rng)

    def cost(point):
        return -TruncatedNormal(point[0], np.exp(point[1])).log_prob(scores).sum()

    found = minimize(cost, [0.8, np.log(0.2)], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    fit = fit_mle(scores)
    assert -fit.log_prob(scores).sum() <= found.fun + 1e-9
    assert float(fit.mu) == pytest.approx(found.x[0], abs=1e-4)


def test_degenerate_scores_have_their_documented_fit():
    fit = fit_mle([[0.7, np.nan, np.nan], [1.0, 1.0, 1.0], [np.nan, np.nan, np.nan], [0.0, 0.0, np.nan]])
    assert fit.cdf(0.69)[0] == pytest.approx(0, abs=1e-12) and fit.cdf(0.71)[0] == pytest.approx(1)
    assert fit.mean()[1] == pytest.approx(1, abs=1e-5) and fit.mean()[3] == pytest.approx(0, abs=1e-5)
    assert fit.cdf(0.3)[2] == pytest.approx(0.3)


@given(scores=score_sets)
def test_map_goes_from_the_data_to_the_prior(scores):
    without, prior = fit_map(scores, Prior(0.3, 0.1, 0.0)), Prior(0.3, 0.1, 1e9)
    assert without.a == pytest.approx(fit_mle(scores).a, rel=1e-6)
    assert fit_map(scores, prior).mean() == pytest.approx(0.3, abs=1e-6)


def test_map_is_the_mle_of_data_and_pseudo_observations():
    scores, pseudo = [0.9, 0.8, 0.4], [0.2, 0.6]
    prior = Prior(np.mean(pseudo), np.std(pseudo), len(pseudo))
    assert fit_map(scores, prior).mean() == pytest.approx(float(fit_mle(scores + pseudo).mean()), abs=1e-9)


def test_gaussian_map_is_no_worse_than_lbfgs_from_many_starts():
    rng = np.random.default_rng(5)
    prior = Prior(0.6, 0.2, 1.0)
    for _ in range(10):
        scores = rng.beta(*rng.uniform(0.3, 4, 2), 6)

        def cost(point, scores=scores):
            family = TruncatedNormal(point[0], point[1])
            return -family.log_prob(scores).sum() + ((point[0] - 0.6) ** 2 + (point[1] - 0.2) ** 2) / 0.02

        starts = [(0.6, 0.2), (0.9, 0.1), (0.3, 0.4)]
        best = min(minimize(cost, s, method="L-BFGS-B", bounds=[(-9, 9), (1e-3, 9)]).fun for s in starts)
        fit = fit_map_gaussian(scores[None], prior)
        assert cost((fit.mu[0], fit.sigma[0])) <= best + 1e-6


def test_blended_statistics_are_those_of_both_sets():
    first, second = [0.1, 0.5, 0.9], [0.3, 0.3]
    both = ScoreStatistics.from_scores(first).blend(ScoreStatistics.from_scores(second))
    whole = ScoreStatistics.from_scores(first + second)
    parts = ("count", "mean", "variance")
    assert [float(getattr(both, part)) for part in parts] == pytest.approx(
        [float(getattr(whole, part)) for part in parts]
    )


def test_prior_distribution_has_the_prior_moments():
    prior = Prior([0.93, 0.5], [0.1, 0.45], 4.0)
    assert prior.distribution().mean() == pytest.approx([0.93, 0.5])
    assert prior.distribution().std() == pytest.approx([0.1, 0.45])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fit_mle([0.5, 1.2]), r"scores must lie in \[0, 1\].*1.2"),
        (lambda: Prior(1.5, 0.1, 1.0), "prior mean"),
        (lambda: Prior(0.9, 0.4, 1.0), "prior std"),
        (lambda: Prior(0.5, 0.1, -1.0), "prior strength"),
        (lambda: fit_map([[0.5], [0.5]], Prior([0.5, 0.5, 0.5], 0.1, 1.0)), "prior has 3 questions"),
        (lambda: fit_moments(0.5, 0.3), "no scores in"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()


def gaussian_map_cost(scores, prior, width):
    """What the paper's MAP minimises, of one question's location and scale."""
    drawn = np.array([score for score in scores if not np.isnan(score)])

    def cost(point):
        likelihood = TruncatedNormal(point[0], point[1]).log_prob(drawn).sum()
        return -likelihood + ((point[0] - prior[0]) ** 2 + (point[1] - prior[1]) ** 2) / (2 * width**2)

    return cost


@pytest.mark.parametrize("width", [0.03, 0.1, 0.4])
def test_gaussian_map_is_where_no_direction_goes_up(width):
    """Of many questions at once, with a prior each and as few scores as none: the gradient is 0."""
    rng = np.random.default_rng(7)
    scores = np.where(rng.random((40, 8)) < 0.7, rng.beta(*rng.uniform(0.5, 4, (2, 40, 1)), (40, 8)), np.nan)
    scores[0] = np.nan
    mean = rng.uniform(0.1, 0.9, 40)
    prior = Prior(mean, rng.uniform(0.1, 0.9, 40) * np.sqrt(mean * (1 - mean)), rng.uniform(0, 9, 40))
    fit = fit_map_gaussian(scores, prior, width)
    assert (fit.mu[0], fit.sigma[0]) == pytest.approx((mean[0], prior.std[0]), abs=1e-12)
    for number in range(40):
        cost = gaussian_map_cost(scores[number], (mean[number], prior.std[number]), width)
        point = np.array([fit.mu[number], fit.sigma[number]])
        slopes = [(cost(point + step) - cost(point - step)) / 2e-5 for step in 1e-5 * np.eye(2)]
        assert slopes == pytest.approx([0, 0], abs=0.02)
        assert cost(point) <= cost(np.array([mean[number], prior.std[number]])) + 1e-12
    default = fit_map_gaussian(scores[3], prior.take([3]))
    assert fit_map_gaussian(scores[3:4], prior.take([3]), 0.1).mu.tolist() == default.mu.tolist()


def test_gaussian_map_of_equal_scores_stops_at_the_least_scale():
    fit = fit_map_gaussian([[0.7] * 400, [np.nan] * 400], Prior(0.7, [0.01, 1e-5], 1.0))
    assert fit.sigma.tolist() == [1e-3, 1e-3] and fit.mu == pytest.approx([0.7, 0.7], abs=1e-9)


def test_gaussian_map_takes_a_few_steps(monkeypatch):
    """Less than twenty mostly, and questions that have converged are not looked at again."""
    scoring_step, questions = posterior_module._scoring_step, []

    def counted(data, *rest):
        questions.append(len(data.count))
        return scoring_step(data, *rest)

    monkeypatch.setattr(posterior_module, "_scoring_step", counted)
    scores = np.random.default_rng(8).beta(4, 2, (200, 8))
    fit_map_gaussian(scores, Prior(0.6, 0.2, 1.0))
    assert questions[0] == 200 and sum(questions) < 22 * 200 and questions == sorted(questions, reverse=True)
    assert questions[-1] < 5


def test_a_step_is_halved_until_it_does_not_lower_the_objective():
    """Each question's own: the first of 1, 1/2, 1/4 ... that does not; the point itself where none of ten does."""
    data = ScoreStatistics.from_scores([[0.6, 0.7, 0.65]] * 4)
    point = np.tile([0.5, 0.2], (4, 1))
    centre, width = np.tile([0.6, 0.2], (4, 1)), 0.1
    step = np.array([[0.05, -0.02], [1.9, 0.0], [-0.1, 0.0], [0.02, -5.0]])
    value = posterior_module._objective(data, point, centre, width)
    found, best = posterior_module._halve(data, point, value, step, centre, width)
    for number in range(4):
        only = ScoreStatistics(data.count[:1], data.mean[:1], data.variance[:1])
        wanted = point[number]
        for halving in range(10):
            trial = point[number] + step[number] / 2**halving
            trial[1] = max(trial[1], 1e-3)
            if posterior_module._objective(only, trial[None], centre[:1], width)[0] >= value[number]:
                wanted = trial
                break
        assert found[number] == pytest.approx(wanted, rel=1e-12)
    assert best == pytest.approx(posterior_module._objective(data, found, centre, width), rel=1e-12)
    assert np.all(best >= value) and found[2].tolist() == [0.5, 0.2]
