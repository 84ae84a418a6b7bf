"""Fits by what defines them: moments matched, no better point nearby, priors in the limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from optscale_predictor import Prior, TruncatedNormal, fit_map, fit_mle
from optscale_predictor.errors import InputError
from optscale_predictor.stats.estimators import ScoreStatistics, fit_map_gaussian, fit_moments

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
