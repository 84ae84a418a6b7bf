"""The table that settles most decisions, against the posterior in standard units, from which it is made."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import drawn
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, ndtri

from optscale_predictor import InputError, Prior
from optscale_predictor.policies import PrefixMemo, parse_policy
from optscale_predictor.policies.against_bound import Target, gain_beside
from optscale_predictor.policies.alone_against_bound import GainAlone, TargetAlone
from optscale_predictor.policies.belief import expected_gain, misses, short_by
from optscale_predictor.policies.step import take_step
from optscale_predictor.stats.distributions.truncated_normal_fit import (
    ScoreStatistics,
    fitted_moments,
    pooled_moments,
)
from optscale_predictor.stats.estimators.posterior import believed_statistics
from optscale_predictor.stats.estimators.screening import COUNT, FURTHER, LOG_GAIN, ODDS, QUANTILE, Screening
from optscale_predictor.stats.estimators.standard_posterior import StandardPosteriors

QUESTIONS = 4000


def statistics(rng, number=QUESTIONS):
    """All over the table and beyond its ends: very narrow, of thousands of samples, next to 0 and 1."""
    mean = expit(rng.uniform(-8, 8, number))
    variance = mean * (1 - mean) * expit(rng.uniform(-14, 8, number))
    count = np.exp(rng.uniform(0, 8, number))
    return ScoreStatistics(count, *fitted_moments(ScoreStatistics(count, mean, variance)))


def scores(rng, some):
    """Anywhere in [0, 1], its ends included, and about the mean."""
    about = expit(logit(some.mean) + rng.standard_t(2, some.mean.size) * np.sqrt(some.variance) / some.mean)
    anywhere = rng.choice([0.0, 1.0, 0.5, 0.95], some.mean.size)
    return np.where(rng.random(some.mean.size) < 0.8, about, anywhere)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_looked_up_lies_between_the_bounds(seed):
    rng = np.random.default_rng(seed)
    some = statistics(rng)
    score, further = scores(rng, some), np.exp(rng.uniform(0, 8, (3, QUESTIONS)))
    further[0, :50] = 0
    posteriors, screening = StandardPosteriors(some), Screening(some.count, some.mean, some.variance, score)
    missed = np.full(further.shape, np.nan)
    for part, posterior in posteriors._parts:
        missed[:, part] = posterior.misses(score[part], further[:, part])
    with np.errstate(divide="ignore"):
        gain = np.log(np.maximum(posteriors.excess(score), 0) / np.sqrt(some.variance))
    truths = [*ndtri(np.clip(missed, 0, 1)), gain]
    for truth, (low, high) in zip(truths, [*screening.misses(list(further)), screening.log_gain()], strict=True):
        known = ~np.isnan(truth)
        assert (low <= truth)[known].all() and (truth <= high)[known].all()
        assert (low < high).all()


def test_most_bounds_are_settled_where_questions_are():
    rng = np.random.default_rng(5)
    count, mean = rng.uniform(2, 30, QUESTIONS), expit(rng.uniform(-3, 3, QUESTIONS))
    variance = mean * (1 - mean) * rng.uniform(0.05, 0.6, QUESTIONS)
    screening = Screening(count, mean, variance, 0.9)
    (low, high), gain = screening.misses([np.full(QUESTIONS, 8.0)])[0], screening.log_gain()
    for bound in ndtri([0.05, 0.5, 0.8]):
        assert np.mean((low > bound) | (high <= bound)) > 0.85
    bound = np.log(0.01 / np.sqrt(variance))
    assert np.mean((gain.low > bound) | (gain.high < bound)) > 0.85


def test_points_of_the_table_are_what_they_are_named():
    """At a point nothing is interpolated: the value is the posterior's, rounded."""
    count, mean = np.exp(COUNT.at(2)), expit(ODDS.at(8))
    variance = mean * (1 - mean) * expit(-1.0 + ODDS.at(8))  # at distance -1
    some = ScoreStatistics(*(np.array([part]) for part in (count, mean, variance)))
    score = expit(logit(mean) + np.sinh(1.0) * np.sqrt(some.variance[0]) / (mean * (1 - mean)))
    screening, posterior = Screening(count, mean, some.variance.item(), score), StandardPosteriors(some)
    further = np.exp(FURTHER.at(np.arange(3.0)))
    for bracket, one in zip(screening.misses(further), posterior.misses(score, further[:, None]), strict=True):
        assert (bracket.low + bracket.high) / 2 == pytest.approx(ndtri(one.item()), abs=0.51 * QUANTILE.unit)
    low, high = screening.log_gain()
    gain = np.log(posterior.excess(np.array([score])).item() / np.sqrt(some.variance.item()))
    assert (low + high) / 2 == pytest.approx(gain, abs=0.51 * LOG_GAIN.unit)


def test_one_question_alone_reads_what_many_do():
    rng = np.random.default_rng(3)
    some = statistics(rng, 600)
    score, further = scores(rng, some), np.floor(np.exp(rng.uniform(0, 8, (2, 600))))
    many = Screening(some.count, some.mean, some.variance, score)
    together = [*many.misses(list(further)), many.log_gain()]
    for row in range(600):
        numbers = (part[row].item() for part in (some.count, some.mean, some.variance, score))
        one = Screening(*numbers)
        for alone, all_ in zip([*one.misses(further[:, row].tolist()), one.log_gain()], together, strict=True):
            assert alone == pytest.approx([all_.low[row], all_.high[row]], abs=1e-9)


@given(
    row=st.lists(st.floats(0, 1) | st.just(np.nan), max_size=12),
    strength=st.sampled_from([0.0, 1.0, 3.5, 1e6]),
    centre=st.floats(1e-9, 1 - 1e-9),
    spread=st.floats(1e-6, 1),
)
@example(row=[], strength=0.0, centre=0.5, spread=0.5)
@example(row=[0.0] * 5, strength=0.0, centre=0.5, spread=0.5)
@example(row=[0.0, 1.0] * 6, strength=1e-9, centre=0.5, spread=1.0)
def test_moments_of_one_question_are_those_of_many(row, strength, centre, spread):
    variance = (spread**2) * centre * (1 - centre)
    prior = Prior(centre, np.sqrt(variance), strength)
    wanted = believed_statistics(np.array([row or [np.nan]]), prior.broadcast_to(1))
    found = pooled_moments(row, (strength, centre, prior.std.item() ** 2))
    assert found[0] == wanted.count
    assert found[1:] == pytest.approx([part.item() for part in fitted_moments(wanted)], rel=1e-9, abs=1e-15)


def test_a_score_that_is_none_is_refused():
    with pytest.raises(InputError, match=r"scores must lie in \[0, 1\].*got 1.5"):
        pooled_moments([0.3, 1.5], (1.0, 0.5, 0.1))


@settings(max_examples=25)
@given(
    rows=st.lists(
        st.lists(st.sampled_from([0.0, 1e-9, 0.2, 0.5, 0.9, 1 - 1e-9, 1.0]), min_size=1, max_size=40), min_size=2
    ),
    centre=st.sampled_from([1e-6, 0.01, 0.5, 0.99, 1 - 1e-6]),
    spread=st.sampled_from([1e-4, 0.3, 1.0]),
    strength=st.sampled_from([0.0, 0.5, 20.0, 1e5]),
    target=st.sampled_from([0.0, 0.01, 0.9, 1.0]),
    probability=st.tuples(*[st.sampled_from([0.0, 1e-4, 0.2, 0.95, 0.9999])] * 2),
    bound=st.sampled_from([0.0, 1e-6, 0.01, 0.3]),
)
def test_far_from_what_is_usual_the_answer_is_the_direct_quadratures(
    rows, centre, spread, strength, target, probability, bound
):
    prior = Prior(centre, spread * np.sqrt(centre * (1 - centre)), strength)
    draws = replace(drawn(*rows, prior=prior), traced=False)
    further = np.array([draws.count, np.maximum(2000 - draws.count, 1)], np.float64)
    wanted = short_by(misses(draws, target, "posterior"), further, np.array(probability))
    gain = expected_gain(draws, "posterior", "")
    many = Target(draws, target, "posterior")
    for count, one, short in zip(further, probability, wanted, strict=True):
        assert (many.falls_short(count, one) == short).all()
        assert (many.is_lost(count, one, bound) == short & (gain < bound)).all()
        assert (many.is_lost(count, one, 1.0) == short).all()
    assert ((gain_beside(draws, np.array([bound]), "posterior", "") <= bound) == (gain <= bound)).all()
    for row, best in enumerate(draws.best_score().tolist()):
        some = draws.take(np.array([row]))
        alone, single = TargetAlone(some, target, "posterior"), Target(some, target, "posterior")
        for count, one, short in zip(further[:, row], probability, wanted[:, row], strict=True):
            assert alone.falls_short(int(count), one) == single.falls_short(count[None], one).item() == short
            lost = alone.is_lost(best, int(count), one, bound), single.is_lost(count[None], one, bound).item()
            assert lost == (short and gain[row] < bound,) * 2
            assert alone.is_lost(best, int(count), one, 1.0) == short
        beside = GainAlone(some, best, bound, "posterior")
        assert (not beside.above and (beside.above is False or beside.closely() <= bound)) == (gain[row] <= bound)
        assert (gain_beside(some, np.array([bound]), "posterior", "") <= bound) == (gain[row] <= bound)


@pytest.mark.parametrize(
    "policy",
    ["optscale:score_min=0.9,floor=0.6,max_samples=14", "optscale:score_min=0.8,alpha=0.5,floor=0", "cost_aware"],
)
def test_decisions_are_the_same_alone_together_and_directly(policy):
    rng = np.random.default_rng(8)
    rows = [(0.79 * rng.beta(*rng.uniform(0.3, 8, 2), rng.integers(1, 12))).tolist() for _ in range(300)]
    draws = replace(drawn(*rows), traced=False)
    rule = parse_policy(policy)
    together = take_step(rule, draws).reason.tolist()
    remembered = replace(draws, memo=PrefixMemo(300, 12), rows=np.arange(300))
    assert together == take_step(rule, remembered).reason.tolist()
    assert together == [take_step(rule, draws, np.array([row])).reason.item() for row in range(300)]
    assert len(set(together)) > 1
