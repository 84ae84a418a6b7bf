"""Decisions from the posterior in standard units, against the direct quadrature of the same posterior."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import drawn
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from optscale_predictor import Prior
from optscale_predictor.policies import PrefixMemo, against_bound, belief, parse_policy
from optscale_predictor.policies.step import take_step
from optscale_predictor.stats.bound import log_misses
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics, natural_parameters
from optscale_predictor.stats.estimators.mode_shape import locate, read_shape, shape_of
from optscale_predictor.stats.estimators.posterior import posterior_of
from optscale_predictor.stats.estimators.standard_posterior import StandardPosteriors

COUNTS = np.array([1.0, 3.0, 12.0, 31.0, 500.0])


def statistics(number, seed, odds=6.0, shares=(-10.0, 4.5)):
    """Counts, means and variances all over the table, its edges and what is not known of it included."""
    rng = np.random.default_rng(seed)
    mean, count = expit(rng.uniform(-odds, odds, number)), np.exp(rng.uniform(0, 4, number))
    return ScoreStatistics(count, mean, mean * (1 - mean) * expit(rng.uniform(*shares, number)))


def directly(some, score):
    """By the closed forms of each member: E[F^count] of all counts, and the expected excess."""
    posterior = posterior_of(some)
    below = posterior.members.log_below(score)
    missed = [np.exp(log_misses(below, posterior.log_weight, count)) for count in COUNTS]
    return np.array(missed), posterior.expected_excess(score)


@pytest.mark.parametrize(
    ("odds", "error", "error_of_gain"), [(2.0, 6e-6, 1e-6), (4.0, 4e-5, 3e-6), (6.0, 1.5e-4, 5e-6)]
)
def test_probabilities_and_gains_are_those_of_the_direct_quadrature(odds, error, error_of_gain):
    """What ``policies.against_bound`` allows for, by the distance of the mean from 0 and 1, is twice as much."""
    allowed = next(close for least, close in against_bound.CLOSE if least <= expit(-odds) + 1e-3)
    some, score = statistics(700, int(odds), odds), np.random.default_rng(9).uniform(0.02, 1, 700)
    wanted, wanted_gain = directly(some, score)
    posteriors = StandardPosteriors(some)
    gain = posteriors.excess(score)
    known = np.isfinite(gain)
    assert known.mean() > 0.95
    assert np.abs(gain - wanted_gain)[known].max() < error_of_gain < against_bound.CLOSE_GAIN / 1.9
    for level in (0.05, 0.6, 0.93):
        wanted, _ = directly(some, np.full(700, level))
        found = posteriors.misses(level, np.broadcast_to(COUNTS[:, None], wanted.shape))
        known = np.isfinite(found)
        assert known.mean() > 0.95 and (known == known[0]).all()
        assert np.abs(found - wanted)[known].max() < error < allowed / 1.9


def test_one_question_alone_is_as_in_a_batch():
    some = statistics(300, 4)
    score = np.random.default_rng(5).uniform(0.1, 0.95, 300)
    further = np.broadcast_to(COUNTS[:, None], (5, 300))
    together = StandardPosteriors(some)
    missed, gain = together.misses(0.8, further), together.excess(score)
    for number in range(0, 300, 7):
        row = (some.count[number], some.mean[number], some.variance[number])
        alone = StandardPosteriors(ScoreStatistics(*row))
        assert alone.misses(0.8, COUNTS) == pytest.approx(missed[:, number], abs=1e-12, nan_ok=True)
        assert alone.excess(score[number]) == pytest.approx(gain[number], abs=1e-12, nan_ok=True)


def test_shapes_are_those_that_newtons_method_finds():
    some = statistics(3000, 1)
    point = locate(some.mean, some.variance)
    known = point.known
    mean, variance = some.mean[known], some.variance[known]
    found = read_shape(locate(mean, variance), mean)
    _, _, wanted = shape_of(*natural_parameters(mean, variance))
    assert 0.95 < known.mean() < 1
    for mine, theirs, name in zip(found, wanted, found._fields, strict=True):
        off = np.abs(mine - theirs) / (1 + np.abs(theirs))
        assert np.quantile(off, 0.9) < 2e-5 and off.max() < (0.02 if name in ("skew", "information") else 1e-4), name


@given(
    rows=st.lists(st.lists(st.floats(0, 0.9), min_size=1, max_size=12), min_size=1, max_size=6),
    centre=st.floats(0.03, 0.97),
    spread=st.floats(0.02, 0.98),
    strength=st.sampled_from([0.0, 1.0, 3.5, 40.0]),
    target=st.floats(0.05, 1),
    alpha=st.floats(0.02, 0.999),
    floor=st.sampled_from([0.0, 0.2, 0.9]),
    price=st.floats(0, 0.2),
)
def test_policies_decide_as_by_the_direct_quadrature(rows, centre, spread, strength, target, alpha, floor, price):
    """Where a memo keeps the members, decisions are taken from these, directly; else from the standard posterior."""
    prior = Prior(centre, spread * np.sqrt(centre * (1 - centre)), strength)
    draws = replace(drawn(*rows, prior=prior), traced=False)
    remembered = replace(draws, memo=PrefixMemo(len(rows), 12), rows=np.arange(len(rows)))
    texts = (
        f"optscale:score_min={target},alpha={alpha},floor={floor},min_gain={price},max_samples=20",
        f"cost_aware:sample_price={price},max_samples=20",
    )
    for policy in map(parse_policy, texts):
        now, direct = take_step(policy, draws), take_step(policy, remembered)
        assert now.reason.tolist() == direct.reason.tolist() and now.total.tolist() == direct.total.tolist()
        for number in range(len(rows)):
            alone = take_step(policy, draws, np.array([number]))
            assert alone.reason[0] == direct.reason[number] and alone.total[0] == direct.total[number]


@pytest.mark.parametrize("side", [-1, 1])
def test_next_to_a_bound_the_direct_quadrature_decides(side):
    """Bounds a billionth off what the direct quadrature gives: the standard posterior alone is not right to that."""
    rows = [np.random.default_rng(seed).uniform(0, 0.6, 1 + seed % 6).tolist() for seed in range(40)]
    for row in rows:
        draws = replace(drawn(row), traced=False)
        below, weight = belief.misses(draws, 0.7, "posterior")
        chance, left = (1 - float(np.exp(log_misses(below, weight, count)[0])) for count in (len(row), 20 - len(row)))
        near = f"optscale:score_min=0.7,max_samples=20,min_gain=1,alpha={chance + side * 1e-9},floor=0"
        assert take_step(parse_policy(near), draws).reason[0] == ("" if side > 0 else "confident")
        near = f"optscale:score_min=0.7,max_samples=20,min_gain=1,alpha=0.9999,floor={left + side * 1e-9}"
        assert take_step(parse_policy(near), draws).reason[0] == ("unreachable" if side > 0 else "")
        gain = float(belief.expected_gain(draws, "posterior", "")[0])
        near = f"cost_aware:sample_price={gain + side * 1e-10},max_samples=20"
        assert take_step(parse_policy(near), draws).reason[0] == ("price" if side > 0 else "")


def test_what_is_not_known_is_decided_directly():
    rows = [[0.0] * 3, [1e-9, 0.0], [0.5] * 12, [0.02, 0.0, 0.0], [0.0, 0.89] * 4]
    prior = Prior(1e-4, 1e-4, 2.0)
    draws = replace(drawn(*rows, prior=prior), traced=False)
    assert np.isnan(draws.standard_posteriors.misses(0.9, np.ones((1, 5)))).any()
    remembered = replace(draws, memo=PrefixMemo(5, 12), rows=np.arange(5))
    for text in ("optscale:score_min=0.9", "optscale:score_min=0.9,min_gain=1", "cost_aware:sample_price=1e-6"):
        now, direct = (take_step(parse_policy(text), one) for one in (draws, remembered))
        assert now.reason.tolist() == direct.reason.tolist() and now.total.tolist() == direct.total.tolist()
