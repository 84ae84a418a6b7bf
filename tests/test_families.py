"""Families besides the truncated normal, against scipy and mpmath, and the choice between them."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from optscale_predictor import TruncatedNormal, num_samples
from optscale_predictor.errors import InputError
from optscale_predictor.stats.bound import reach_probability
from optscale_predictor.stats.distributions import ParameterMixture, ScoreDistribution
from optscale_predictor.stats.distributions.beta import Beta, fit_beta, likelihood_gradient
from optscale_predictor.stats.distributions.empirical_tail import EmpiricalTail, fit_empirical_tail
from optscale_predictor.stats.distributions.family_choice import choose_family
from optscale_predictor.stats.distributions.point_masses import PointMassMixture, fit_point_masses
from optscale_predictor.stats.estimators import fit_mle

SHAPES = (0.05, 1.0, 3.0, 2000.0)
POINTS = (1e-12, 1e-3, 0.5, 0.9, 1 - 1e-9)


@pytest.mark.parametrize("a", SHAPES)
@pytest.mark.parametrize("b", SHAPES)
def test_beta_log_tails_agree_with_mpmath(a, b):
    family = Beta(a, b)
    with mpmath.workdps(50):
        for point in POINTS:
            x = mpmath.mpf(point)
            below = mpmath.betainc(a, b, 0, x, regularized=True)
            above = mpmath.betainc(b, a, 0, 1 - x, regularized=True)
            for got, this, other in ((family.logcdf(point), below, above), (family.logsf(point), above, below)):
                want = mpmath.log(this) if this < 0.5 else mpmath.log1p(-other)
                if want < -1e-290:
                    assert float(got) == pytest.approx(float(want), rel=1e-10)


@pytest.mark.parametrize(("a", "b", "x"), [(1e6, 1.0, 0.995), (1e4, 2e4, 0.2), (5e8, 3e8, 0.6), (20.0, 3e5, 0.01)])
def test_beta_of_large_shapes_keeps_its_tails(a, b, x):
    family = Beta(a, b)
    with mpmath.workdps(60):
        # I_x by its own series, term by term; every term is positive.
        point, total, term = mpmath.mpf(x), mpmath.mpf(1), mpmath.mpf(1)
        lower = x < a / (a + b)
        first, second, point = (
            (mpmath.mpf(a), mpmath.mpf(b), point) if lower else (mpmath.mpf(b), mpmath.mpf(a), 1 - point)
        )
        index = 0
        while term > total * mpmath.mpf(10) ** -30:
            term *= (first + second + index) / (first + 1 + index) * point
            total, index = total + term, index + 1
        log_beta = mpmath.loggamma(first) + mpmath.loggamma(second) - mpmath.loggamma(first + second)
        want = (
            first * mpmath.log(point) + second * mpmath.log1p(-point) - mpmath.log(first) - log_beta + mpmath.log(total)
        )
    got = family.logcdf(x) if lower else family.logsf(x)
    assert float(got) == pytest.approx(float(want), rel=1e-8)


def test_excess_of_many_points_at_once():
    one, points = Beta(2.0, 3.0), np.array([0.2, 0.6])
    assert one.expected_excess(points) == pytest.approx([float(one.expected_excess(x)) for x in points])
    two = Beta([2.0, 1.0], [3.0, 1.0])
    assert two.expected_excess(points[:, None])[1, 0] == pytest.approx(float(one.expected_excess(0.6)))


def test_beta_agrees_with_scipy():
    a, b, x = np.array([0.5, 2.0, 9.0]), np.array([0.7, 5.0, 1.2]), np.array([[0.1], [0.6], [0.97]])
    ours, theirs = Beta(a, b), stats.beta(a, b)
    assert ours.log_prob(x) == pytest.approx(theirs.logpdf(x))
    assert ours.cdf(x) == pytest.approx(theirs.cdf(x))
    assert ours.quantile(x) == pytest.approx(theirs.ppf(x))
    assert ours.mean() == pytest.approx(theirs.mean()) and ours.std() == pytest.approx(theirs.std())
    assert ours.log_prob(1.5)[0] == -np.inf
    drawn = ours.sample(20_000, np.random.default_rng(0))
    assert drawn.shape == (3, 20_000) and drawn.mean(-1) == pytest.approx(ours.mean(), abs=0.01)


def mixture():
    return PointMassMixture([0.1, 0.0, 0.3], [0.2, 0.5, 0.7], Beta([2.0, 1.0, 3.0], [3.0, 1.0, 2.0]))


@pytest.mark.parametrize("x", [-0.1, 0.0, 0.2, 0.5, 0.999999, 1.0, 1.1])
def test_point_masses_agree_with_scipy(x):
    ours = mixture()
    inside = stats.beta([2.0, 1.0, 3.0], [3.0, 1.0, 2.0]).cdf(x)
    want = ours.zero * (x >= 0) + ours.rest * inside + ours.one * (x >= 1)
    assert ours.cdf(x) == pytest.approx(want, abs=1e-14)
    assert np.exp(ours.logsf(x)) == pytest.approx(1 - want, abs=1e-14)
    assert np.exp(ours.log_below(x)) == pytest.approx(want - ours.zero * (x == 0) - ours.one * (x == 1), abs=1e-14)


def test_point_masses_have_the_moments_and_quantiles_of_their_samples():
    ours = mixture()
    drawn = ours.sample(100_000, np.random.default_rng(1))
    assert drawn.mean(-1) == pytest.approx(ours.mean(), abs=0.005)
    assert drawn.std(-1) == pytest.approx(ours.std(), abs=0.005)
    assert (drawn == 1).mean(-1) == pytest.approx(ours.one, abs=0.005)
    excess = np.maximum(drawn - 0.6, 0).mean(-1)
    assert ours.expected_excess(0.6) == pytest.approx(excess, abs=0.005)
    assert ours.quantile(0.05) == pytest.approx([0.0, 0.1, 0.0], abs=1e-9)
    assert ours.quantile(0.95) == pytest.approx([1.0, 1.0, 1.0])


def test_a_point_mass_at_one_makes_a_target_of_one_reachable():
    scores = np.array([1.0, 1.0, 0.4, 1.0, 0.7, 0.2, 1.0, 1.0])
    assert num_samples(fit_mle(scores), score_min=1.0) == np.inf
    masses = fit_point_masses(scores)
    assert float(masses.one) == pytest.approx(5.5 / 9.5)
    assert num_samples(masses, score_min=1.0, alpha=0.95) == np.ceil(np.log(0.05) / np.log(4 / 9.5))


@given(seed=st.integers(0, 500), size=st.integers(1, 40))
def test_empirical_tail_is_a_distribution_that_follows_its_scores(seed, size):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.beta(*rng.uniform(0.4, 4, 2), size), int(rng.integers(1, 9)))
    family = fit_empirical_tail(scores)
    grid = np.linspace(0, 1, 301)
    below = family.cdf(grid)
    assert np.all(np.diff(below) >= -1e-12) and below[0] >= 0 and below[-1] == pytest.approx(1)
    assert np.exp(family.logsf(grid)) == pytest.approx(1 - below, abs=1e-9)
    share = np.linspace(0.01, 0.99, 50)
    points = family.quantile(share)
    assert np.all(np.diff(points) >= 0)
    assert np.all(
        (family.cdf(np.minimum(points + 2e-6, 1)) >= share - 1e-9) & (family.cdf(points - 2e-6) <= share + 1e-9)
    )
    # Where it holds scores it holds their own share of mass, half a sample aside.
    assert np.all(
        np.abs(family.cdf(scores + 2e-6) - (scores[:, None] <= scores + 1e-9).mean(0))[scores < family.threshold - 1e-5]
        <= 0.51 / size
    )


def test_empirical_tail_against_its_samples():
    family = fit_empirical_tail(np.random.default_rng(0).beta(3, 2, (2, 30)))
    drawn = family.sample(200_000, np.random.default_rng(1))
    assert drawn.mean(-1) == pytest.approx(family.mean(), abs=2e-3)
    assert drawn.std(-1) == pytest.approx(family.std(), abs=2e-3)
    share = (drawn > 0.9).mean(-1)
    assert np.exp(family.logsf(0.9)) == pytest.approx(share, abs=2e-3)
    grid = np.linspace(0, 1, 400_001)
    density = np.exp(family.take(np.array([0])).log_prob(grid[:, None]))[:, 0]
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-2)


def test_empirical_tail_of_few_or_equal_scores_is_defined():
    assert fit_empirical_tail([np.nan, np.nan]).cdf(0.3) == pytest.approx(0.3)
    assert 0 < fit_empirical_tail([0.5]).cdf(0.5) < 1
    equal = fit_empirical_tail([0.5] * 8)
    assert equal.cdf(0.499) < 0.1 and equal.cdf(0.501) > 0.8


@given(mu=st.floats(-1, 2), log_sigma=st.floats(-5, 1), x=st.floats(0, 1))
def test_expected_excess_agrees_with_the_integral_of_the_survival_function(mu, log_sigma, x):
    family = TruncatedNormal(mu, 10**log_sigma)
    by_quadrature = float(ScoreDistribution.expected_excess(family, x))
    assert float(family.expected_excess(x)) == pytest.approx(by_quadrature, rel=1e-5, abs=1e-14)


def test_interval_probability_from_either_tail():
    family = TruncatedNormal(0.5, 0.05)
    assert family.log_interval(0.4, 0.6) == pytest.approx(np.log(family.cdf(0.6) - family.cdf(0.4)))
    assert family.log_interval(0.9, 1.0) == pytest.approx(float(family.logsf(0.9)))
    far = float(TruncatedNormal(0.1, 0.01).logsf(0.6))
    assert TruncatedNormal(0.1, 0.01).log_interval(0.6, 0.7) == pytest.approx(far)
    masses = PointMassMixture(0.2, 0.3, Beta(1.0, 1.0))
    assert np.exp(masses.log_interval(0.9, 1.0)) == pytest.approx(0.3 + 0.05)
    assert np.exp(masses.log_interval(0.0, 0.1)) == pytest.approx(0.2 + 0.05)


def test_a_parameter_mixture_raises_before_it_averages():
    members = Beta(np.array([[1.0], [8.0]]), np.array([[8.0], [1.0]]))
    family = ParameterMixture(members, np.log([[0.25], [0.75]]))
    each = stats.beta([1, 8], [8, 1]).cdf(0.6)
    assert 1 - reach_probability(family, 0.6, 5) == pytest.approx(0.25 * each[0] ** 5 + 0.75 * each[1] ** 5)
    assert family.cdf(0.6) == pytest.approx(0.25 * each[0] + 0.75 * each[1])
    drawn = np.concatenate(
        [stats.beta(1, 8).rvs(50_000, random_state=1), stats.beta(8, 1).rvs(150_000, random_state=2)]
    )
    assert family.mean() == pytest.approx(drawn.mean(), abs=3e-3)
    assert family.std() == pytest.approx(drawn.std(), abs=3e-3)


def test_beta_fit_is_the_maximum():
    rng = np.random.default_rng(2)
    scores = rng.beta(2, 5, 40)
    theirs = stats.beta.fit(scores, floc=0, fscale=1)[:2]
    assert (float(fit_beta(scores).a), float(fit_beta(scores).b)) == pytest.approx(theirs, rel=1e-6)
    many = np.where(rng.random((2000, 30)) < 0.3, 1.0, np.round(rng.beta(*rng.uniform(0.1, 4, 2), (2000, 30)), 1))
    inside = np.clip(many, 1e-6, 1 - 1e-6)
    target = np.stack([np.log(inside).mean(-1), np.log1p(-inside).mean(-1)], -1)
    fit = fit_beta(many)
    free = fit.a + fit.b < 9e9
    assert free.mean() > 0.9 and np.abs(likelihood_gradient(fit, target))[free].max() < 1e-8


def test_beta_fit_of_few_or_equal_scores_is_defined():
    fit = fit_beta([[0.7, np.nan, np.nan], [1.0, 1.0, 1.0], [np.nan, np.nan, np.nan]])
    assert fit.mean() == pytest.approx([0.7, 1.0, 0.5], abs=1e-4)
    assert fit.std()[0] < 1e-5 and fit.std()[2] == pytest.approx(np.sqrt(1 / 12))


@pytest.mark.parametrize("kind", ["truncated_normal", "beta", "point_masses", "empirical_tail"])
def test_the_family_that_made_the_scores_is_chosen(kind):
    rng, size = np.random.default_rng(1), (200, 64)
    scores = {
        "truncated_normal": lambda: TruncatedNormal(rng.uniform(0.3, 1.1, 200), 0.25).sample(64, rng),
        "beta": lambda: rng.beta(0.4, 0.6, size),
        "point_masses": lambda: np.where(rng.random(size) < 0.6, 1.0, rng.beta(4, 2, size)),
        "empirical_tail": lambda: np.where(
            rng.random(size) < 0.5, rng.normal(0.3, 0.02, size), rng.normal(0.7, 0.02, size)
        ),
    }[kind]()
    choice = choose_family(scores)
    assert choice.name == kind
    assert all(
        choice.log_likelihood[kind] - value > 2 * choice.error[name]
        for name, value in choice.log_likelihood.items()
        if name != kind
    )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Beta(0.0, 1.0), "a must be > 0 and finite, got 0.0"),
        (lambda: Beta(1.0, np.inf), "b must be > 0"),
        (lambda: PointMassMixture(0.7, 0.7, Beta(1.0, 1.0)), "point masses"),
        (lambda: fit_empirical_tail([0.5, 1.5]), "scores must lie in"),
        (lambda: fit_empirical_tail([0.5], tail_share=1.0), "tail_share"),
        (lambda: fit_beta([-0.1]), "scores must lie in"),
        (lambda: choose_family([[0.5, np.nan]]), "no question has 2 samples"),
        (lambda: choose_family([[0.5, 0.6]], folds=1), "folds must be >= 2"),
        (lambda: EmpiricalTail.quantile(fit_empirical_tail([0.5]), 1.5), r"p must lie in \[0, 1\]"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()
