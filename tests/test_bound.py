"""The bound by its defining inequality, in exact arithmetic on the distribution's own cdf."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor import TruncatedNormal, num_samples
from optscale_predictor.errors import InputError
from optscale_predictor.stats.bound import (
    _whole,
    fewest_samples,
    log_misses,
    reach_probability,
    require_target,
)
from optscale_predictor.stats.distributions import ParameterMixture


@given(
    mu=st.floats(-0.5, 1.5),
    log_sigma=st.floats(-2, 0.5),
    score_min=st.floats(0.01, 0.999),
    alpha=st.floats(0.01, 0.999),
)
def test_fewest_samples_that_keep_the_guarantee(mu, log_sigma, score_min, alpha):
    family = TruncatedNormal(mu, 10**log_sigma)
    count = float(num_samples(family, score_min, alpha))
    if not np.isfinite(count):
        return
    with mpmath.workdps(60):
        log_below = mpmath.mpf(float(family.logcdf(score_min)))
        target = mpmath.log1p(-mpmath.mpf(alpha))
        slack = abs(target) * mpmath.mpf(10) ** -15
        assert count * log_below <= target + slack
        assert count == 1 or (count - 1) * log_below > target - slack


def test_edges():
    assert num_samples(TruncatedNormal(0.5, 1e-3), score_min=0.0) == 1
    assert num_samples(TruncatedNormal(0.5, 1e-3), score_min=1.0) == np.inf
    assert num_samples(TruncatedNormal(0.5, 1e-6), score_min=0.95, max_samples=64) == 64


def test_far_tail_still_counts_right():
    """F within 1e-15 of 1: the count comes from the survival function, which mpmath gives independently."""
    family = TruncatedNormal(0.5, 0.05)
    with mpmath.workdps(60):
        tail = mpmath.erfc(mpmath.mpf("9") / mpmath.sqrt(2)) / 2
        whole = 1 - mpmath.erfc(mpmath.mpf("10") / mpmath.sqrt(2))
        ended = mpmath.erfc(mpmath.mpf("10") / mpmath.sqrt(2)) / 2
        want = mpmath.log1p(-mpmath.mpf("0.95")) / mpmath.log1p(-(tail - ended) / whole)
    assert float(num_samples(family, 0.95, 0.95)) == pytest.approx(float(want), rel=1e-9)


@given(count=st.integers(1, 200), mu=st.floats(0, 1), sigma=st.floats(0.05, 1))
def test_reach_probability_inverts_the_bound(count, mu, sigma):
    family = TruncatedNormal(mu, sigma)
    reached = float(reach_probability(family, 0.9, count))
    if 1e-6 < reached < 1 - 1e-9:
        assert count - 1 <= num_samples(family, 0.9, reached) <= count + 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"alpha": 1.5}, r"alpha must lie in \(0, 1\), got 1.5"),
        ({"alpha": 0.0}, "alpha"),
        ({"score_min": 1.2}, "score_min"),
        ({"max_samples": 0}, "max_samples"),
    ],
)
def test_bad_targets_are_named(arguments, says):
    with pytest.raises(InputError, match=says):
        num_samples(TruncatedNormal(0.5, 0.1), **arguments)


@pytest.mark.parametrize("family", [TruncatedNormal(0.5, 0.1), TruncatedNormal(0.2, 0.3), TruncatedNormal(0.9, 0.02)])
def test_a_target_that_is_met_to_the_last_digit_counts_to_the_last_sample(family):
    """With alpha = 1 - F^N the ratio of the two logarithms is N but for its rounding, which may go either way."""
    log_below = float(family.log_below(0.8))
    for number in range(1, 700):
        alpha = -np.expm1(number * log_below)
        if not 0 < alpha < 1:
            break
        count, target = float(num_samples(family, 0.8, alpha)), float(np.log1p(-alpha))
        assert count * log_below <= target
        assert count == 1 or (count - 1) * log_below > target


def log_misses_by_numpy(log_below, log_weight, count):
    return np.logaddexp.reduce(log_weight + count * log_below, axis=0)


@pytest.mark.parametrize("rate", [1.0, 1e-2, 1e-4, 1e-6, 1e-8])
def test_a_posterior_is_counted_to_the_last_sample(rate):
    """From a few samples to hundreds of millions, where Newton's last step may pass the count by one."""
    rng = np.random.default_rng(0)
    log_below = -rate * rng.exponential(1, (5, 4000)) ** rng.uniform(0.1, 2, 4000)
    log_weight = np.log(rng.dirichlet(np.ones(5), 4000).T)
    for alpha in (0.3, 0.95, 0.9999):
        target = float(np.log1p(-alpha))
        count = fewest_samples(log_below, log_weight, target)
        assert np.all((count == np.floor(count)) & (count >= 1))
        rounding = 1e-13
        assert np.all(log_misses_by_numpy(log_below, log_weight, count) <= target + rounding)
        # Beyond a hundred million samples a count may be one part in a hundred million too high.
        fewer = np.where(count < 1e8, count - 1, np.floor(count * (1 - 1e-8)))
        assert np.all((count == 1) | (log_misses_by_numpy(log_below, log_weight, fewer) > target - rounding))


@pytest.mark.parametrize("number", [1, 2, 3, 7, 50, 999])
def test_a_posterior_of_one_member_is_counted_as_the_member_is(number):
    for log_below in (-1e-3, -0.1, -0.7):
        target = number * log_below
        member, certain = np.full((1, 1), log_below), np.zeros((1, 1))
        for near in (np.nextafter(target, -np.inf), target, np.nextafter(target, 0)):
            count = float(fewest_samples(member, certain, float(near))[0])
            assert count * log_below <= near and (count == 1 or (count - 1) * log_below > near)


def test_a_target_beyond_what_a_posterior_believes_possible_is_never_met():
    """A member that always misses keeps its weight: 0.2 of misses is what no number of samples goes below."""
    log_below = np.array([[0.0, 0.0, -900.0], [-0.5, -900.0, 0.0]])
    log_weight = np.log(np.array([[0.2, 0.2, 0.8], [0.8, 0.8, 0.2]]))
    assert fewest_samples(log_below, log_weight, float(np.log(0.19))).tolist() == [np.inf] * 3
    found = fewest_samples(log_below, log_weight, float(np.log(0.21)))
    # 0.2 + 0.8 exp(-N / 2) <= 0.21 from N = 2 log 80 on.
    assert found.tolist() == [np.ceil(2 * np.log(80)), 1, 1]


def test_a_posterior_is_clipped_and_asked_for_its_own_target():
    posterior = ParameterMixture(TruncatedNormal([[0.6], [0.4]], [[0.1], [0.3]]), np.log([[0.7], [0.3]]))
    for score_min, alpha in ((0.7, 0.9), (0.9, 0.99)):
        below = np.exp(
            np.array([TruncatedNormal(0.6, 0.1).logcdf(score_min), TruncatedNormal(0.4, 0.3).logcdf(score_min)])
        )
        number = next(n for n in range(1, 10_000) if 0.7 * below[0] ** n + 0.3 * below[1] ** n <= 1 - alpha)
        assert num_samples(posterior, score_min, alpha) == [number]
        assert num_samples(posterior, score_min, alpha, max_samples=number - 1) == [number - 1]
        chance = [1 - 0.7 * below[0] ** n - 0.3 * below[1] ** n for n in (0, 1, 3, number)]
        found = [float(reach_probability(posterior, score_min, n)[0]) for n in (0, 1, 3, number)]
        assert found == pytest.approx(chance, abs=1e-12)


def test_chances_of_a_known_family_are_those_of_independent_draws():
    """The uniform: 1 - score_min^count; none of no samples, all where every score reaches the target."""
    uniform = TruncatedNormal.from_natural(0.0, 0.0)
    counts = [0, 1, 2, 10, 500]
    assert reach_probability(uniform, 0.9, counts) == pytest.approx([1 - 0.9**count for count in counts], abs=1e-12)
    assert reach_probability(uniform, 0.0, [0, 1]).tolist() == [0, 1]
    assert reach_probability(uniform, 0.9, np.array([0, 3])).dtype == np.float64
    assert num_samples(uniform, 0.9, max_samples=1) == 1


def test_a_target_beyond_the_smallest_numbers_is_unreachable_and_says_nothing():
    """P(score >= 0.95) falls below the least float; warnings are errors here."""
    counts = [float(num_samples(TruncatedNormal(0.5, sigma), 0.95)) for sigma in np.linspace(0.0117, 0.0124, 60)]
    assert np.isinf(counts[0]) and np.isfinite(counts[-1]) and counts == sorted(counts, reverse=True)


def test_no_chance_is_less_than_none():
    """Where every member misses for certain, weights that sum to a hair above 1 are no chance below 0."""
    weights = np.random.default_rng(0).dirichlet(np.ones(9), 200).T
    members = TruncatedNormal(np.full(weights.shape, 0.1), np.full(weights.shape, 0.001))
    chance = reach_probability(ParameterMixture(members, np.log(weights)), 1.0, 5)
    assert np.all(chance >= 0) and chance == pytest.approx(0, abs=1e-12)


def test_the_expected_excess_of_uniform_scores():
    uniform = TruncatedNormal.from_natural(0.0, 0.0)
    assert uniform.expected_excess(0.0) == pytest.approx(0.5, abs=1e-6)
    assert uniform.expected_excess(0.4) == pytest.approx(0.18, abs=1e-6)


@pytest.mark.parametrize(("score_min", "alpha"), [(0.5, 0.0), (0.5, 1.0), (-0.01, 0.5), (1.01, 0.5)])
def test_targets_outside_of_their_range_are_refused(score_min, alpha):
    require_target(0.0, 0.5)
    require_target(1.0, 0.5)
    with pytest.raises(InputError, match="must lie in"):
        require_target(score_min, alpha)


def test_a_posterior_of_members_that_always_or_never_hit_is_counted_and_says_nothing():
    """Chances below the least float, beside members of log F = -inf and 0; warnings are errors here."""
    target = float(np.log(0.05))
    log_below = np.array([[-np.inf] * 3, [-0.5, -1e-310, -1e-310], [-0.25, -2.0, 0.0]])
    log_weight = np.log(np.full((3, 3), 1 / 3))
    found = fewest_samples(log_below, log_weight, target)
    by_hand = next(number for number in range(1, 99) if (np.exp(-0.5 * number) + np.exp(-0.25 * number)) / 3 <= 0.05)
    assert found[0] == by_hand and np.isinf(found[1:]).all()
    assert np.isinf(fewest_samples(np.full((2, 1), -1e-310), np.log([[0.5], [0.5]]), target)).all()


def test_what_always_misses_may_make_up_all_that_is_allowed_to_miss():
    """A fifth of the belief never hits and the rest always does: P(miss) is 0.2 of any number of samples."""
    log_below, log_weight = np.array([[0.0], [-np.inf]]), np.log([[0.2], [0.8]])
    allowed = float(log_weight[0, 0])
    assert fewest_samples(log_below, log_weight, allowed).tolist() == [1]
    assert fewest_samples(log_below, log_weight, float(np.nextafter(allowed, -np.inf))).tolist() == [np.inf]


def test_one_sample_is_the_fewest_whatever_is_asked_for():
    """Also where the weights sum to a hair less than 1 and the target is a hair above no chance at all."""
    log_weight = np.log([[0.5], [0.5 - 1e-15]])
    assert fewest_samples(np.full((2, 1), -1.0), log_weight, -1e-17).tolist() == [1]
    assert num_samples(TruncatedNormal(0.5, 0.1), 0.5, alpha=1e-17) == 1


def test_no_sample_misses_nothing_and_a_great_many_hit_for_certain():
    """Exponents beyond the greatest float; warnings are errors here."""
    log_below, log_weight = np.array([[-np.inf, -0.5], [-2.0, 0.0]]), np.log([[0.25, 0.5], [0.75, 0.5]])
    assert log_misses(log_below, log_weight, 0) == pytest.approx([0, 0], abs=1e-15)
    assert log_misses(log_below, log_weight, [3, 2]) == pytest.approx([np.log(0.75) - 6, np.log((1 + np.exp(-1)) / 2)])
    assert reach_probability(TruncatedNormal(0.9, 1e-6), 0.1, 1e300) == 1


def test_what_is_never_reached_takes_no_number_of_samples_whatever_the_sign_of_its_zero():
    """F = 1, a rounding error above it, and F = 0."""
    found = _whole(float(np.log(0.05)), np.array([0.0, -0.0, 1e-17, -np.inf]))
    assert found.tolist() == [np.inf, np.inf, np.inf, 1]
