"""The posterior by importance sampling, and the posterior-predictive bound by its defining inequality."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optscale_predictor import Prior, TruncatedNormal, fit_map, num_samples
from optscale_predictor.errors import InputError
from optscale_predictor.stats.bound import reach_probability
from optscale_predictor.stats.distributions import ScoreDistribution
from optscale_predictor.stats.estimators import ScoreStatistics, fit_posterior
from optscale_predictor.stats.estimators.conjugate_integral import integrate_conjugate
from optscale_predictor.stats.estimators.posterior import believed_statistics
from optscale_predictor.stats.quadrature import expectation

SETS = ([0.9], [0.85, 0.93], [0.7, 0.75, 0.9, 0.8], [0.99, 0.98, 0.2, 0.1], [0.1, 0.1, 0.05])
PRIORS = (Prior(0.5, np.sqrt(1 / 12), 1.0), Prior(0.93, 0.07, 2.0), Prior(0.8, 0.2, 4.0))


def by_importance_sampling(scores, prior, score_min, counts, draws=40_000):
    """E[F(score_min)^count] under exp(n (eta . t - A(eta))), by a Student's t around the MAP fit."""
    statistics, mode = believed_statistics(scores, prior), fit_map(scores, prior)
    model = expectation(mode.a, mode.b)
    mean, scale = float(model.mean), float(np.sqrt(model.covariance[0, 0]))
    information = model.covariance / np.outer([scale, scale**2], [scale, scale**2])
    count = float(statistics.count)
    rng, freedom = np.random.default_rng(0), 3
    t = rng.standard_normal((draws, 2)) / np.sqrt(rng.chisquare(freedom, draws) / freedom)[:, None]
    step = t @ (1.3 * np.linalg.cholesky(np.linalg.inv(information) / count)).T
    b = mode.b + step[:, 1] / scale**2
    member = TruncatedNormal.from_natural(mode.a + step[:, 0] / scale - 2 * mean * step[:, 1] / scale**2, b)
    log = count * (member.log_prob(float(statistics.mean)) + b * float(statistics.variance))
    log += (freedom + 2) / 2 * np.log1p((t**2).sum(-1) / freedom)
    weight = np.exp(log - log.max())
    below = member.logcdf(score_min)
    return [float((weight * np.exp(count * below)).sum() / weight.sum()) for count in counts]


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("scores", SETS)
def test_quadrature_agrees_with_importance_sampling(scores, prior):
    counts = (1, 4, 16, 64)
    posterior = fit_posterior(scores, prior)
    misses = [1 - float(reach_probability(posterior, 0.95, count)) for count in counts]
    assert misses == pytest.approx(by_importance_sampling(scores, prior, 0.95, counts), abs=0.025)


def test_the_predictive_mean_is_that_of_samples_and_pseudo_samples():
    """Diaconis and Ylvisaker (1979): under a conjugate prior in natural parameters E[mean] is the blended mean."""
    for prior in PRIORS[1:]:
        for scores in SETS:
            blended = believed_statistics(scores, prior)
            assert float(fit_posterior(scores, prior).mean()) == pytest.approx(float(blended.mean), abs=2e-3)


def test_the_posterior_narrows_to_the_plug_in_fit():
    prior = Prior(0.8, 0.15, 1e7)
    assert float(num_samples(fit_posterior([0.7], prior), 0.95)) == float(num_samples(fit_map([0.7], prior), 0.95))


def test_degenerate_scores_have_a_posterior():
    posterior = fit_posterior([[np.nan, np.nan], [1.0, 1.0], [0.5, 0.5], [0.0, 1.0]], Prior(0.6, 0.2, 0.0))
    assert np.all(np.isfinite(posterior.mean()))
    assert posterior.mean()[1:3] == pytest.approx([1.0, 0.5], abs=1e-3)
    with pytest.raises(InputError, match="scores must lie in"):
        fit_posterior([1.2], Prior(0.6, 0.2, 1.0))


@settings(max_examples=25)
@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=8),
    score_min=st.floats(0.3, 0.97),
    alpha=st.floats(0.05, 0.99),
)
def test_fewest_samples_of_a_posterior_keep_the_guarantee(scores, score_min, alpha):
    posterior = fit_posterior(scores, Prior(0.6, 0.2, 2.0))
    count = float(num_samples(posterior, score_min, alpha))
    if not np.isfinite(count) or count > 1e9:
        return
    assert reach_probability(posterior, score_min, count) >= alpha - 1e-9
    assert count == 1 or reach_probability(posterior, score_min, count - 1) < alpha + 1e-9


def test_expected_excess_against_sampling():
    family = TruncatedNormal(0.7, 0.2)
    drawn = family.sample(20_000, np.random.default_rng(0))
    assert float(family.expected_excess(0.8)) == pytest.approx(np.maximum(drawn - 0.8, 0).mean(), abs=4e-3)
    posterior = fit_posterior([0.5, 0.8], PRIORS[2])
    assert float(ScoreDistribution.expected_excess(posterior, 0.8)) == pytest.approx(
        float(posterior.expected_excess(0.8)), rel=1e-4
    )


MANY = ([0.5, 0.52, 0.48, 0.51] * 8, [0.2, 0.9, 0.5, 0.7, 0.6] * 20)


def spread_of_means(posterior):
    means, weight = posterior.members.mean(), np.exp(posterior.log_weight)
    return np.sqrt((weight * (means - (weight * means).sum(0)) ** 2).sum(0))


@pytest.mark.parametrize("prior", [*PRIORS, Prior(0.6, 0.05, 50.0)])
@pytest.mark.parametrize("scores", [*SETS, *MANY])
def test_the_posterior_is_that_of_another_integral(scores, prior):
    """The conjugate integral's nodes follow the integrand's shape; those of a posterior its curvature at the mode."""
    posterior, believed = fit_posterior(scores, prior), believed_statistics(scores, prior)
    other = integrate_conjugate(ScoreStatistics(*map(np.atleast_1d, vars(believed).values()))).posterior
    close = 2e-4 if believed.count > 30 else 0.015
    for score_min in (0.3, 0.7, 0.95):
        counts = [1, 4, 16, 64]
        found, wanted = (
            [float(np.squeeze(reach_probability(one, score_min, count))) for count in counts]
            for one in (posterior, other)
        )
        assert found == pytest.approx(wanted, abs=close)
    assert posterior.members.a.shape == (63,) and float(posterior.mean()) == pytest.approx(
        float(other.mean()[0]), abs=3e-3
    )
    assert spread_of_means(posterior) == pytest.approx(
        spread_of_means(other)[0], rel=1e-3 if believed.count > 30 else 0.1
    )


def test_posteriors_of_many_questions_are_those_of_each():
    """Whatever the shape in which the questions come, and a prior that is worth nothing is worth one sample."""
    prior = Prior([0.5, 0.93, 0.8], [0.28, 0.07, 0.2], [0.0, 2.0, 4.0])
    scores = [[0.9, np.nan], [0.85, 0.93], [np.nan, np.nan]]
    many = fit_posterior(scores, prior)
    for number, own in enumerate(scores):
        one = fit_posterior(own, prior.take([number]) if number else Prior(0.5, 0.28, 0.0))
        assert many.take(np.array([number])).mean() == pytest.approx(np.atleast_1d(one.mean()), rel=1e-12)
        assert many.log_weight[:, number] == pytest.approx(np.ravel(one.log_weight), abs=1e-9)
