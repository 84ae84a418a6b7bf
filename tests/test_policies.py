"""Policies: guarantees kept on simulated scores, the published rules step by step, and what may never change."""

from itertools import pairwise

import numpy as np
import pytest
from fitted_policies import text_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from optscale_predictor import Prior, TruncatedNormal, fit_mle, num_samples
from optscale_predictor.errors import InputError
from optscale_predictor.policies import POLICIES, Draws, PrefixMemo, StopReason, parse_policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.calibration import Calibration
from optscale_predictor.stats.distributions.beta import fit_beta
from optscale_predictor.stats.distributions.point_masses import fit_point_masses
from optscale_predictor.stats.estimators import ScoreStatistics


def simulated(num_questions=60, depth=32, seed=0):
    """Scores of questions from easy to hopeless, truncated normals all."""
    rng = np.random.default_rng(seed)
    scores = TruncatedNormal(rng.uniform(0.1, 1.1, num_questions), rng.uniform(0.05, 0.4, num_questions)).sample(
        depth, rng
    )
    answers = rng.integers(0, 3, scores.shape)
    return RecordedSamples(scores, answers, np.full(scores.shape, 10.0), (answers == 0).astype(float))


PRIOR = Prior(0.6, 0.2, 3.0)


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_stops_within_its_cap_and_counts_what_it_drew(name):
    recorded = simulated(20)
    outcomes = run_policy(parse_policy(text_of(name, "max_samples=16")), recorded, PRIOR)
    assert np.all((outcomes.count >= 1) & (outcomes.count <= 16))
    assert np.array_equal((~np.isnan(outcomes.scores)).sum(-1), outcomes.count)
    assert np.allclose(outcomes.tokens, 10.0 * outcomes.count)
    assert np.all(outcomes.chosen < outcomes.count)
    assert set(outcomes.reason) <= set(StopReason)


@pytest.mark.parametrize("name", [name for name in POLICIES if parse_policy(text_of(name)).widens])
def test_those_that_say_so_ask_for_one_sample_at_a_time_and_those_that_do_not_for_more(name):
    policy = parse_policy(text_of(name, "max_samples=16"))
    traces = run_policy(policy, simulated(20), PRIOR).trace
    steps = {after - before for trace in traces for (before, _), (after, _) in pairwise(trace)}
    assert policy.single_steps == (steps == {1})


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if not policy.joint])
def test_a_question_is_decided_alike_alone_and_in_company(name):
    recorded = simulated(12)
    policy = parse_policy(text_of(name, "max_samples=16"))
    together = run_policy(policy, recorded, PRIOR)
    for question in range(0, 12, 4):
        alone = run_policy(policy, recorded.take(np.array([question])), PRIOR)
        assert alone.count[0] == together.count[question]
        assert alone.reason[0] == together.reason[question]


def test_best_of_n_returns_the_best_and_self_consistency_the_majority():
    scores = np.array([[0.2, 0.9, 0.3, 0.4]])
    recorded = RecordedSamples(scores, np.array([[1, 0, 1, 2]]), np.ones((1, 4)), np.zeros((1, 4)))
    assert run_policy(parse_policy("best_of_n:max_samples=4"), recorded).chosen == [1]
    assert run_policy(parse_policy("self_consistency:max_samples=4"), recorded).chosen == [2]


def test_optscale_stops_as_soon_as_the_target_is_reached():
    recorded = simulated(200)
    outcomes = run_policy(parse_policy("optscale:score_min=0.8,floor=0,max_samples=32"), recorded)
    reached = outcomes.reason == "reached"
    assert reached.any()
    for question in np.flatnonzero(reached):
        row = outcomes.scores[question, : outcomes.count[question]]
        assert row[-1] >= 0.8 and np.all(row[:-1] < 0.8)
    first = np.where((recorded.scores >= 0.8).any(-1), (recorded.scores >= 0.8).argmax(-1) + 1, 32)
    assert np.all(outcomes.count <= first)


def test_optscale_gives_up_where_the_cap_cannot_help():
    hopeless = np.full((1, 32), 0.1) + np.linspace(0, 0.02, 32)
    recorded = RecordedSamples(hopeless, np.zeros((1, 32), np.int64), np.ones((1, 32)), np.zeros((1, 32)))
    outcomes = run_policy(parse_policy("optscale:score_min=0.95,floor=0.1,min_gain=1"), recorded)
    assert outcomes.reason == ["unreachable"] and outcomes.count[0] < 16
    assert run_policy(parse_policy("optscale:score_min=0.95,floor=0"), recorded).count == [32]


@settings(max_examples=5)
@given(target=st.sampled_from([0.7, 0.9, 0.98]), seed=st.integers(0, 50))
def test_what_goes_on_for_its_gain_draws_no_fewer_samples_and_misses_no_target_more(target, seed):
    recorded, rule = simulated(20, seed=seed), f"optscale:score_min={target},floor=0.3"
    at_once, usual, never = (run_policy(parse_policy(f"{rule},min_gain={gain}"), recorded) for gain in (1, 0.005, 0))
    assert (at_once.count <= usual.count).all() and (usual.count <= never.count).all()
    assert ((at_once.best >= target) <= (usual.best >= target)).all() and not set(never.reason) & {"unreachable"}


def distance_to_best_of_n(text, recorded):
    """Accuracy above that of Best-of-N at as many samples, N interpolated between whole numbers."""
    outcomes = run_policy(parse_policy(text), recorded)
    row = np.arange(recorded.num_questions)
    best = np.array([recorded.scores[:, :count].argmax(1) for count in range(1, recorded.depth + 1)])
    curve = recorded.correct[row, best].mean(1)
    at_equal_samples = np.interp(outcomes.count.mean(), np.arange(1, recorded.depth + 1), curve)
    return recorded.correct[row, outcomes.chosen].mean() - at_equal_samples


@pytest.mark.parametrize("target", [0.9, 0.95, 0.98])
def test_a_target_beyond_hard_questions_costs_no_accuracy_at_equal_samples(target):
    """Right answers are rare and score higher, but few reach the target: giving up at once is where accuracy went."""
    rng = np.random.default_rng(0)
    correct = rng.random((400, 32)) < rng.beta(0.5, 1.5, (400, 1))
    logits = rng.normal(0, 0.7, (400, 1)) + 1.2 * correct + rng.normal(0, 1, correct.shape) - 0.5
    shape = correct.shape
    recorded = RecordedSamples(1 / (1 + np.exp(-logits)), np.zeros(shape, np.int64), np.ones(shape), correct * 1.0)
    usual = f"optscale:score_min={target}"
    assert distance_to_best_of_n(f"{usual},min_gain=1", recorded) < -0.03
    assert distance_to_best_of_n(usual, recorded) > -0.02


def test_a_floor_of_0_gives_up_nothing_not_even_what_is_impossible():
    """Where every sample misses for certain, rounding must not make the chance a hair less than nothing."""
    outcomes = run_policy(parse_policy("optscale:score_min=1,floor=0,max_samples=6"), simulated(500, 6))
    assert set(outcomes.reason) == {"budget"}


def test_sequential_published_rule_step_by_step():
    """Alg. 1: after every sample fit, stop once n >= N*; redone here one sample at a time."""
    recorded = simulated(20, seed=4)
    outcomes = run_policy(parse_policy("optscale_0:score_min=0.8,alpha=0.9,max_samples=32,peek=3"), recorded)
    for question in range(20):
        number = 3
        while number < 32 and number < num_samples(fit_mle(recorded.scores[question, :number]), 0.8, 0.9):
            number += 1
        assert outcomes.count[question] == number


def test_published_code_jumps_once_from_its_peek():
    recorded = simulated(20, seed=5)
    outcomes = run_policy(parse_policy("optscale_0:score_min=0.8,form=jump,peek=5,max_samples=16"), recorded)
    needed = num_samples(fit_mle(recorded.scores[:, :5]), 0.8, 0.95)
    assert np.array_equal(outcomes.count, np.clip(needed, 5, 16))


@settings(max_examples=8)
@given(step=st.sampled_from(["double", "jump"]), seed=st.integers(0, 50))
def test_larger_steps_never_draw_fewer_samples_to_reach(step, seed):
    recorded = simulated(10, seed=seed)
    one = run_policy(parse_policy("optscale:score_min=0.8,floor=0,alpha=0.999"), recorded, traced=False)
    larger = run_policy(parse_policy(f"optscale:score_min=0.8,floor=0,alpha=0.999,step={step}"), recorded, traced=False)
    reached = (one.reason == "reached") & (larger.reason == "reached")
    assert np.all(larger.count[reached] >= one.count[reached])


@settings(max_examples=8)
@given(price=st.sampled_from([0.0, 0.005, 0.02, 0.1]), cap=st.sampled_from([5, 32]), seed=st.integers(0, 50))
def test_doubling_never_buys_fewer_samples(price, cap, seed):
    recorded, rule = simulated(10, seed=seed), f"cost_aware:sample_price={price},max_samples={cap}"
    one, double = (run_policy(parse_policy(f"{rule},step={step}"), recorded) for step in ("one", "double"))
    assert np.all(double.count >= one.count) and double.count.max() <= cap
    assert all(count in (0, 1, 2, 4, 8, 16, cap) for trace in double.trace for count, _ in trace)


def test_the_predictor_rule_wants_a_prior():
    with pytest.raises(InputError, match="needs a prior"):
        run_policy(parse_policy("optscale_t"), simulated(2))


def test_best_score_of_nothing_drawn():
    empty = np.full((1, 1), np.nan)
    draws = Draws(empty, np.full((1, 1), -1), empty, np.zeros(1, np.int64), None)
    assert draws.best_score() == [-np.inf]


def test_a_memo_changes_nothing():
    recorded, memo = simulated(12), PrefixMemo(12, 32)
    for text in (
        "optscale:score_min=0.8",
        "optscale:score_min=0.9,floor=0",
        "cost_aware:price=1",
        "optscale_0:form=jump",
    ):
        policy = parse_policy(text)
        for _ in range(2):
            assert np.array_equal(
                run_policy(policy, recorded, memo=memo, traced=False).count, run_policy(policy, recorded).count
            )


def test_clairvoyant_draws_up_to_the_first_sample_that_reaches_the_target():
    recorded = simulated(50)
    outcomes = run_policy(parse_policy("clairvoyant:score_min=0.8"), recorded)
    for question, count in enumerate(outcomes.count):
        hits = np.flatnonzero(recorded.scores[question] >= 0.8)
        assert count == (hits[0] + 1 if hits.size else 1)
    with pytest.raises(InputError, match="can only be replayed"):
        draws = Draws(
            np.full((1, 1), np.nan), np.full((1, 1), -1), np.full((1, 1), np.nan), np.zeros(1, np.int64), None
        )
        parse_policy("clairvoyant").decide(draws)


def test_no_policy_beats_the_clairvoyant_at_its_hit_rate():
    recorded = simulated(100)
    bound = run_policy(parse_policy("clairvoyant:score_min=0.8"), recorded)
    ours = run_policy(parse_policy("optscale:score_min=0.8,floor=0,alpha=0.9999"), recorded)
    same = (ours.reason == "reached") & (bound.reason == "reached")
    assert same.any() and np.all(ours.count[same] >= bound.count[same])


def test_oracle_knows_the_hopeless():
    truth = Prior([0.3, 0.9], [0.05, 0.1], 1.0)
    scores = truth.distribution().sample(32, np.random.default_rng(0))
    shape = scores.shape
    recorded = RecordedSamples(scores, np.zeros(shape, np.int64), np.ones(shape), np.zeros(shape))
    outcomes = run_policy(parse_policy("oracle:score_min=0.9"), recorded, truth)
    assert outcomes.reason.tolist() == ["unreachable", "reached"] and outcomes.count[0] == 1


def test_cost_aware_stops_where_the_next_sample_is_not_worth_its_tokens():
    """Its gain is E[(X - best)+], here of a posterior that has collapsed to the known uniform: (1 - best)^2 / 2."""
    known = Prior(0.5, np.sqrt(1 / 12), 1e9)
    scores = np.array([[0.2, 0.6, 0.8, 0.85, 0.95, 0.99]])
    recorded = RecordedSamples(scores, np.zeros((1, 6), np.int64), np.full((1, 6), 100.0), np.zeros((1, 6)))
    # 100 tokens at 0.1 per 1,000 cost 0.01: worth it while (1 - best)^2 / 2 > 0.01, that is best < 0.8586.
    outcomes = run_policy(parse_policy("cost_aware:price=0.1"), recorded, known)
    assert outcomes.count == [5] and outcomes.reason == ["price"]


def test_cost_aware_in_probability_of_a_right_answer(tmp_path):
    """With a step from 0 to 1 at 0.7 the gain is P(X > 0.7) until a score passes it, and nothing after."""
    path = tmp_path / "calibration.json"
    Calibration("isotonic", np.array([0.7, 0.7001]), np.array([0.0, 1.0])).save(path)
    scores = np.array([[0.2, 0.6, 0.8, 0.85]])
    recorded = RecordedSamples(scores, np.zeros((1, 4), np.int64), np.full((1, 4), 100.0), np.zeros((1, 4)))
    known = Prior(0.5, np.sqrt(1 / 12), 1e9)
    assert run_policy(parse_policy(f"cost_aware:price=2.9,calibration={path}"), recorded, known).count == [3]
    assert run_policy(parse_policy(f"cost_aware:price=3.1,calibration={path}"), recorded, known).count == [1]


def test_a_shared_budget_is_kept_and_goes_where_the_gain_is():
    rng = np.random.default_rng(0)
    sure, open_ = np.full((20, 32), 0.99) + 1e-4 * rng.random((20, 32)), rng.random((20, 32)) * 0.8
    scores = np.concatenate([sure, open_])
    recorded = RecordedSamples(
        scores, np.zeros(scores.shape, np.int64), np.full(scores.shape, 10.0), np.zeros(scores.shape)
    )
    outcomes = run_policy(parse_policy("shared_budget:tokens=40,share=0.1"), recorded, Prior(0.6, 0.3, 2.0))
    assert outcomes.tokens.sum() <= 40 * 40 + 1e-9
    assert outcomes.tokens.sum() > 0.95 * 40 * 40
    assert outcomes.count[20:].mean() > 2 * outcomes.count[:20].mean() and outcomes.count.min() >= 1


def test_instance_adaptive_rule():
    """N = ceil(log(1 - q) / log(1 - p)): q = 0.95 takes 2 samples at p = 0.9, 5 at 0.5, 29 at 0.1."""
    prior = Prior([0.9, 0.5, 0.1], 0.1, 1.0)
    outcomes = run_policy(parse_policy("instance_adaptive:q=0.95"), simulated(3), prior)
    assert outcomes.count.tolist() == [2, 5, 29]


def test_beacon_predicts_with_the_jeffreys_posterior():
    """After x1..x3: Student's t at their mean, scale s sqrt(1 + 1/3), s the sample standard deviation."""
    scores = np.array([0.2, 0.5, 0.8])
    location, scale = parse_policy("beacon").predictive(ScoreStatistics.from_scores(scores))
    assert float(location) == pytest.approx(0.5) and float(scale) == pytest.approx(0.3 * np.sqrt(4 / 3))


def test_beacon_spends_less_the_more_a_sample_costs():
    recorded = simulated(60)
    spent = [run_policy(parse_policy(f"beacon:cost={cost}"), recorded).count.mean() for cost in (1e-4, 1e-2, 0.1, 10)]
    assert spent == sorted(spent, reverse=True) and spent[0] > 15 and spent[-1] == 3


def test_pandora_against_its_formula():
    """E[(v - v_best)+] by SciPy's quadrature, for one question after 24 samples with a cap of 600."""
    scores = np.concatenate([np.linspace(0.1, 0.4, 12), [0.5], np.linspace(0.79, 0.82, 11)])
    worth = scores / (1 - scores)
    median, spread = worth[12], worth[12:].mean() - worth[12]
    width = np.sqrt(np.log(24) * np.log(20) / 24)
    maximum, mean = median + np.log(200) * spread * (1 - width), spread * (1 + width)
    own = worth[-1] / (worth[-1] + maximum)

    def excess(x):
        rate = min((median + x) / (median + x + maximum), 0.5)
        return max(rate - own, 0.0) * np.exp(-x / mean) / mean

    bends = (0, worth[-1] - median, maximum - median, 60 * mean)
    at_cap = sum(quad(excess, *ends)[0] for ends in pairwise(bends))
    assert at_cap > 1e-3
    row = np.concatenate([scores, np.full(576, 0.1)])[None]
    recorded = RecordedSamples(row, np.zeros(row.shape, np.int64), np.ones(row.shape), np.zeros(row.shape))
    rule = "pandora:max_samples=600,min_samples=24,cost="
    assert run_policy(parse_policy(f"{rule}{1.02 * at_cap}"), recorded).count == [24]
    assert run_policy(parse_policy(f"{rule}{0.98 * at_cap}"), recorded).count > [24]


@pytest.mark.parametrize("form", ["sequential", "jump"])
def test_plug_in_of_the_papers_family_is_the_papers_rule(form):
    recorded = simulated()
    settings = f"score_min=0.8,max_samples=24,form={form},peek=4"
    paper, ours = (
        run_policy(parse_policy(f"{name},{settings}"), recorded)
        for name in ("optscale_0:alpha=0.95", "plug_in:alpha=0.95,family=truncated_normal")
    )
    assert np.array_equal(paper.count, ours.count) and np.array_equal(paper.reason, ours.reason)


@pytest.mark.parametrize(("family", "fit"), [("beta", fit_beta), ("point_masses", fit_point_masses)])
@pytest.mark.parametrize("memo", [False, True])
def test_plug_in_stops_at_the_first_count_that_its_family_asks_for(family, fit, memo):
    recorded = simulated(10)
    policy = parse_policy(f"plug_in:family={family},score_min=0.7,alpha=0.9,max_samples=20,peek=3")
    known = PrefixMemo(recorded.num_questions, recorded.depth) if memo else None
    outcomes = run_policy(policy, recorded, memo=known)
    for question, (count, reason) in enumerate(zip(outcomes.count, outcomes.reason, strict=True)):
        needed = [float(num_samples(fit(recorded.scores[question, :seen]), 0.7, 0.9)) for seen in range(3, 21)]
        first = next((seen for seen, need in enumerate(needed, 3) if seen >= need), 20)
        assert count == first
        assert (reason == "confident") == (count >= needed[count - 3])
