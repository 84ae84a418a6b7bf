"""Savings: every swept setting is a run of the policy itself, and who knows more needs no more samples."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from synthetic_pool import write_pool

from optscale_predictor import Prior
from optscale_predictor.evaluation.assessment.accuracy import resampling_weights
from optscale_predictor.evaluation.assessment.assessment_settings import Settings
from optscale_predictor.evaluation.assessment.samples_saved import (
    CERTAIN,
    CLAIRVOYANT,
    LEARNED,
    NONE,
    ORACLE,
    TRUE,
    compare_strengths,
    measure_savings,
)
from optscale_predictor.evaluation.assessment.simulated_runs import BETA, TRUNCATED_NORMAL, Runs, replayed, simulate
from optscale_predictor.evaluation.assessment.stopping_grid import (
    TradeOff,
    clairvoyant_trade_off,
    fewest_samples_at,
    oracle_beliefs,
    policy_beliefs,
    sweep_settings,
)
from optscale_predictor.policies import parse_policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.estimators import ScoreStatistics, fit_moments

TARGETS = (0.7, 0.9)


def recorded(questions=40, cap=8, seed=0, cut_off=0.0):
    """Samples of which a share was cut off before they gave an answer, and is not usable."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(rng.uniform(0.5, 6, (questions, 1)), 2.0, (questions, cap))
    prior = Prior(rng.uniform(0.2, 0.9, questions), rng.uniform(0.05, 0.3, questions), rng.uniform(1, 20, questions))
    nothing = np.full(scores.shape, -1), np.ones(scores.shape), np.full(scores.shape, np.nan)
    usable = np.random.default_rng(1).random(scores.shape) >= cut_off
    return RecordedSamples(scores, *nothing, usable=usable), prior


def heterogeneous(questions=120, seed=0):
    """Questions of which some reach 0.9 at once, some late and some never."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.2, 0.9, questions)
    return ScoreStatistics(np.full(questions, 64.0), mean, (0.3 * np.sqrt(mean * (1 - mean))) ** 2)


@pytest.mark.parametrize("cut_off", [0.0, 0.4])
@pytest.mark.parametrize("informed", [True, False])
@pytest.mark.parametrize(("alpha", "floor"), [(0.95, 0.2), (0.5, 0.0), (0.8, 0.6), (0.99, 0.9), (0.999, 0.05)])
def test_swept_settings_stop_where_the_policy_does(alpha, floor, informed, cut_off):
    source, prior = recorded(cut_off=cut_off)
    known = prior if informed else None
    beliefs = policy_beliefs(source.scores, known, TARGETS, source.usable)
    for target, one in zip(TARGETS, beliefs, strict=True):
        policy = parse_policy(f"optscale:score_min={target},alpha={alpha},floor={floor},min_gain=1,max_samples=8")
        run = run_policy(policy, source, known, traced=False)
        found = sweep_settings(one, [(0.9, 0.5), (alpha, floor)])
        drawn = np.arange(8) < run.count[:, None]
        assert found.samples[1].tolist() == run.count.tolist()
        assert found.hits[1].tolist() == (drawn & source.usable & (source.scores >= target)).any(-1).tolist()


@pytest.mark.parametrize("cut_off", [0.0, 0.4])
@pytest.mark.parametrize(("alpha", "floor"), [(0.95, 0.1), (0.6, 0.0), (0.9, 0.8)])
def test_the_oracle_is_the_policy_of_that_name(alpha, floor, cut_off):
    source, prior = recorded(cut_off=cut_off)
    policy = parse_policy(f"oracle:score_min=0.9,alpha={alpha},floor={floor},max_samples=8")
    run = run_policy(policy, source, prior, traced=False)
    beliefs = oracle_beliefs(source.scores, prior, 0.9, source.usable)
    assert sweep_settings(beliefs, [(alpha, floor)]).samples[0].tolist() == run.count.tolist()


@pytest.mark.parametrize("cut_off", [0.0, 0.4])
def test_the_clairvoyant_is_the_policy_of_that_name(cut_off):
    source, prior = recorded(cut_off=cut_off)
    run = run_policy(parse_policy("clairvoyant:score_min=0.9,max_samples=8"), source, traced=False)
    found = clairvoyant_trade_off(oracle_beliefs(source.scores, prior, 0.9, source.usable))
    assert found.samples[-1].tolist() == run.count.tolist()
    assert found.hits[-1].tolist() == (source.usable & (source.scores >= 0.9)).any(-1).tolist()


def test_a_sample_that_was_cut_off_reaches_no_target(tmp_path):
    """It scores, and is nothing to return: the first sample of either question is no hit, the second of one is."""
    pool = write_pool(
        tmp_path / "pool",
        [[0.99, 0.99], [0.99, 0.2]],
        answer=[[None, "1"], [None, None]],
        finish_reason=[["length", "stop"], ["length", "length"]],
    )
    texts = tuple(question.text for question in pool.questions)
    known, runs = replayed(pool, texts, 2, seed=0, highest=0.9)
    assert known.tolist() == [0, 1] and runs.usable.sum(-1).tolist() == [[1, 0]] * runs.num_orders
    (found,) = measure_savings(runs, {NONE: None}, Settings((0.9,), max_samples=2, resamples=200), bounds=False)
    assert max(rate for rate, _ in found.curve) == pytest.approx(0.5)


@given(seed=st.integers(0, 200), share=st.floats(0.05, 0.95))
def test_fewest_samples_are_on_the_lower_hull_of_the_settings(seed, share):
    rng = np.random.default_rng(seed)
    hits, samples = rng.random((6, 1)), rng.uniform(1, 9, (6, 1))
    rate = hits.min() + share * (hits.max() - hits.min())
    # Settings may be mixed two at a time, and hitting more than asked for is no fault.
    best = samples[hits >= rate].min()
    for low in np.flatnonzero(hits[:, 0] < rate):
        for high in np.flatnonzero(hits[:, 0] >= rate):
            mix = (rate - hits[low, 0]) / (hits[high, 0] - hits[low, 0])
            best = min(best, (1 - mix) * samples[low, 0] + mix * samples[high, 0])
    assert fewest_samples_at(TradeOff(hits, samples), np.array([rate]), np.ones((1, 1)))[0] == pytest.approx(
        best, rel=1e-6
    )


def test_a_hit_rate_that_no_setting_has_takes_infinitely_many():
    curve = TradeOff(np.array([[0.5], [0.6]]), np.array([[1.0], [2.0]]))
    assert np.isinf(fewest_samples_at(curve, np.array([0.7]), np.ones((1, 1)))[0])


@pytest.mark.parametrize("kind", [TRUNCATED_NORMAL, BETA])
def test_simulated_scores_have_the_distribution_and_stop_at_the_target(kind):
    observed = ScoreStatistics(np.full(2, 9.0), np.array([0.6, 0.8]), np.array([0.2, 0.1]) ** 2)
    runs = simulate(kind, observed, 0.9, 6, seed=0, num_orders=600)
    first = runs.scores[:, 1, 0]
    a, b = 0.8 * (0.16 / 0.01 - 1), 0.2 * (0.16 / 0.01 - 1)
    cdf = scipy.stats.beta(a, b).cdf if kind == BETA else fit_moments(0.8, 0.01).cdf
    assert scipy.stats.kstest(first, cdf).pvalue > 0.01
    assert runs.truth.mean == pytest.approx([0.6, 0.8]) and runs.truth.std == pytest.approx([0.2, 0.1])
    drawn = ~np.isnan(runs.scores)
    reached = np.where(drawn, runs.scores, 0) >= 0.9
    assert (reached.sum(-1) <= 1).all()
    assert np.array_equal(drawn.sum(-1), np.where(reached.any(-1), reached.argmax(-1) + 1, 6))


def test_more_orders_are_drawn_where_runs_are_short():
    easy = simulate(BETA, heterogeneous(40), 0.1, 30, seed=0).num_orders
    hard = simulate(BETA, heterogeneous(4000), 0.999, 30, seed=0).num_orders
    assert easy > 4 and hard == 1


@pytest.fixture(scope="module", params=[TRUNCATED_NORMAL, BETA])
def savings(request):
    observed = heterogeneous()
    runs = simulate(request.param, observed, 0.9, 16, seed=1, num_orders=2)
    # A prior of another question: as sure as the truth, and wrong.
    wrong = Prior(np.roll(runs.truth.mean, 1), np.roll(runs.truth.std, 1), 50.0)
    priors = {NONE: None, TRUE: Prior(runs.truth.mean, runs.truth.std, CERTAIN), "wrong": wrong}
    found = measure_savings(runs, priors, Settings((0.8, 0.9), max_samples=16, shares=(0.9, 0.99), resamples=200))
    return {(one.prior, one.score_min): one for one in found}


@pytest.mark.parametrize("target", [0.8, 0.9])
@pytest.mark.parametrize("share", [0.9, 0.99])
def test_who_knows_the_truth_needs_no_more_samples(savings, target, share):
    at = {prior: savings[prior, target].at[share] for prior in (NONE, TRUE, "wrong", ORACLE, CLAIRVOYANT)}
    assert len({one.hit_rate for one in at.values()}) == 1
    assert at[CLAIRVOYANT].samples.mean <= at[TRUE].samples.mean <= at[NONE].samples.mean
    assert at[CLAIRVOYANT].samples.mean <= at[ORACLE].samples.mean <= at[NONE].samples.mean
    assert at[TRUE].fewer.better > 0.9 and at[NONE].fewer.of.mean == 0
    assert at["wrong"].samples.mean > at[TRUE].samples.mean
    assert at["wrong"].fewer.better < 0.5


def test_curves_rise_and_end_where_every_sample_is_drawn(savings):
    for one in savings.values():
        hits, samples = np.array(one.curve).T
        assert np.all(np.diff(hits) >= 0) and np.all(np.diff(samples) >= -1e-9)
        assert samples[0] >= 1 - 1e-9 and samples[-1] <= 16 + 1e-6
    assert savings[NONE, 0.8].curve[-1][0] == pytest.approx(savings[CLAIRVOYANT, 0.8].curve[-1][0])


def test_strengths_are_compared_at_one_hit_rate():
    observed = heterogeneous(60)
    runs = simulate(TRUNCATED_NORMAL, observed, 0.9, 10, seed=2, num_orders=2)
    prior = Prior(observed.mean, np.sqrt(observed.variance), 64.0)
    settings = Settings((0.9,), max_samples=10, shares=(0.95,), resamples=200, strengths=(1.0, 64.0))
    rows = {row.name: row for row in compare_strengths(runs, prior, observed, settings)}
    # True moments deserve trust: the more of it, the more evidence and the fewer samples.
    assert rows[LEARNED].log_evidence.mean == pytest.approx(rows["64"].log_evidence.mean)
    assert rows[LEARNED].samples == rows["64"].samples and rows["64"].learned_fewer[0.9].better == 0.5
    assert rows["1"].log_evidence.mean < rows["64"].log_evidence.mean
    assert rows["1"].learned_fewer[0.9].of.mean > 0 and rows["1"].learned_fewer[0.9].better > 0.5


def test_orders_of_one_question_count_as_one_question():
    """Twice the same runs are no more certain than once."""
    source, _ = recorded(30)
    truth = Prior(0.5, 0.2, 1.0)
    settings = Settings((0.9,), max_samples=8, shares=(0.9,), resamples=400)
    once, twice = (
        measure_savings(Runs("", np.repeat(source.scores[None], times, 0), truth), {NONE: None}, settings, bounds=False)
        for times in (1, 2)
    )
    assert once[0].at[0.9].samples == twice[0].at[0.9].samples
    assert len(resampling_weights(30, 400)) == 401
