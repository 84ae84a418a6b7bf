"""What each rule decides about draws that are put before it: caps, exact targets, mixed batches, settings."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from drawn_samples import PRIOR, decided, drawn, low
from fitted_policies import folder_of, made_up, text_of
from scipy.integrate import quad

from optscale_predictor import Prior, TruncatedNormal, fit_map, fit_mle, num_samples
from optscale_predictor.errors import InputError
from optscale_predictor.policies import CONTINUE, POLICIES, Draws, PrefixMemo, StopReason, parse_policy
from optscale_predictor.policies._policy import decide_by_need
from optscale_predictor.policies._registry import make_policy
from optscale_predictor.policies.belief import belief, expected_gain, misses
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.policies.selection import require_selection
from optscale_predictor.stats.bound import reach_probability
from optscale_predictor.stats.calibration import Calibration
from optscale_predictor.stats.distributions.family_choice import FAMILIES
from optscale_predictor.stats.estimators import fit_map_gaussian, fit_posterior
from optscale_predictor.stats.estimators.prior import VAGUE


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if not policy.joint])
def test_a_rule_says_itself_that_its_cap_is_reached(name):
    """The loop would say so too; but who asks a rule alone is not told to draw more than its cap."""
    hindsight = np.full((3, 8), 0.2)
    draws = drawn([], low(5), low(6), hindsight=hindsight)
    decision = decided(text_of(name, "max_samples=6"), draws)
    assert decision.reason[0] == CONTINUE and decision.reason[2] != CONTINUE
    assert set(decision.reason) <= {CONTINUE, *StopReason}
    assert 1 <= decision.total[0] <= 6
    full = drawn(low(6), [0.3] * 6, hindsight=hindsight[:2])
    assert set(decided(text_of(name, "max_samples=6"), full).reason) <= set(StopReason)
    none = decided(text_of(name, "max_samples=6"), drawn([], [], hindsight=hindsight[:2]))
    assert (none.reason == CONTINUE).all() and ((none.total >= 1) & (none.total <= 6)).all()


IN_RANGE = [
    *("optscale:score_min=0", "optscale:score_min=1", "optscale:floor=0", "optscale:max_samples=1"),
    *("optscale:min_gain=0", "optscale:min_gain=1"),
    *("optscale_0:peek=1", "optscale_t:form=sequential", "optscale_0:form=jump"),
    *("asc_beta:confidence=0.001", "asc_dirichlet:confidence=0.999", "dsc:easy=0", "dsc:easy=1", "dsc:window=1"),
    *(
        "dsc:confidence=0.001",
        "dsc:confidence=0.999",
        "esc:window=2",
        "cost_aware:price=0",
        "cost_aware:sample_price=0",
        "clairvoyant:score_min=1",
    ),
    *("oracle:floor=0", "instance_adaptive:q=0.001", "pandora:min_samples=5", "pandora:cost=1e-9"),
    *("pandora:delta=0.001", "pandora:delta=0.999", "shared_budget:share=1", "shared_budget:tokens=0.1"),
    *("beacon:nu0=0,alpha0=-0.5,beta0=0", "beacon:cost=1e-9", "beacon:mu0=-3"),
]
OUT_OF_RANGE = [
    *("optscale:min_gain=-0.001", "optscale:min_gain=1.001"),
    *("optscale:floor=-0.01", "optscale:floor=1", "optscale:score_min=1.01", "optscale:alpha=0", "optscale:alpha=1"),
    *("optscale:step=two", "optscale:estimate=", "optscale:max_samples=0", "optscale_0:peek=0", "optscale_t:form=Jump"),
    *("asc_beta:confidence=0", "asc_beta:confidence=1", "dsc:easy=-0.01", "dsc:easy=1.01", "dsc:window=0"),
    *("dsc:confidence=0", "dsc:confidence=1", "esc:window=1", "cost_aware:price=-0.01", "cost_aware:price=inf"),
    *("cost_aware:sample_price=-0.01", "cost_aware:sample_price=inf", "cost_aware:step=jump", "asc_beta:step=two"),
    *("clairvoyant:score_min=-0.1", "oracle:floor=1", "oracle:floor=-0.1", "instance_adaptive:q=0"),
    *("instance_adaptive:q=1", "pandora:min_samples=4", "pandora:cost=0", "pandora:cost=inf", "pandora:delta=0"),
    *("pandora:delta=1", "shared_budget:share=0", "shared_budget:share=1.01", "shared_budget:tokens=0"),
    *("shared_budget:tokens=inf", "beacon:nu0=-0.1", "beacon:alpha0=-0.6", "beacon:beta0=-0.1", "beacon:cost=0"),
    *(
        "beacon:cost=inf",
        "beacon:nu0=inf",
        "best_of_n:max_samples=0",
        "cost_aware:estimate=x",
        "shared_budget:estimate=x",
    ),
]


@pytest.mark.parametrize("text", IN_RANGE)
def test_settings_at_the_end_of_their_range_are_taken(text):
    parse_policy(text)


@pytest.mark.parametrize("text", OUT_OF_RANGE)
def test_settings_beyond_it_are_named(text):
    setting = text.partition(":")[2].partition("=")[0]
    with pytest.raises(InputError, match=rf"^{setting} must"):
        parse_policy(text)


@pytest.mark.parametrize("name", ["instance_adaptive", "cost_aware", "shared_budget"])
def test_a_calibration_is_read_when_the_rule_is_made(name, tmp_path):
    with pytest.raises(InputError, match="No such file"):
        parse_policy(f"{name}:calibration={tmp_path / 'none.json'}")


def test_a_score_that_is_the_target_reaches_it():
    for name in ("optscale", "oracle"):
        draws = drawn([0.2, 0.75], [0.2, np.nextafter(0.75, 0)])
        assert decided(f"{name}:score_min=0.75,floor=0", draws).reason.tolist() == ["reached", CONTINUE]
    hindsight = np.array([[0.5, 0.75, 0.9], [0.5, np.nextafter(0.75, 0), 0.2]])
    decision = decided("clairvoyant:score_min=0.75", drawn([], [], hindsight=hindsight))
    assert decision.total.tolist() == [2, 1] and decision.needed.tolist() == [2, 1]


def test_clairvoyance_of_a_mixed_batch_ends_at_the_cap():
    hindsight = np.array([[0.9, 0.1, 0.1], [0.1, 0.1, 0.9], [0.1, 0.9, 0.1], [0.1, 0.1, 0.1]])
    draws = drawn([0.9], [0.1], [0.1], [0.1], hindsight=hindsight)
    decision = decided("clairvoyant:score_min=0.8", draws)
    assert decision.total.tolist() == [1, 3, 2, 1]
    assert decision.reason.tolist() == ["reached", CONTINUE, CONTINUE, "unreachable"]
    capped = decided("clairvoyant:score_min=0.8,max_samples=2", draws)
    assert capped.total.tolist() == [1, 1, 2, 1]
    assert capped.reason.tolist() == ["reached", "unreachable", CONTINUE, "unreachable"]


def test_the_oracle_stops_at_the_true_count_and_where_there_is_no_hope():
    truth = Prior([0.7, 0.7, 0.2, 0.2], [0.2, 0.2, 0.05, 0.05], 1.0)
    needed = num_samples(truth.distribution(), 0.9, 0.8)
    count = int(needed[0])
    draws = drawn(low(count - 1), low(count), low(1), [], prior=None)
    draws = replace(draws, prior=truth)
    decision = decided("oracle:score_min=0.9,alpha=0.8,max_samples=64", draws)
    assert decision.reason.tolist() == [CONTINUE, "confident", "unreachable", CONTINUE]
    assert decision.needed == pytest.approx(needed) and decision.total.tolist() == [count, count + 1, 2, 1]
    hope = float(reach_probability(truth.distribution(), 0.9, 4)[0])
    one = replace(drawn(low(1)), prior=truth.take([0]))
    for floor, reason in ((hope, CONTINUE), (np.nextafter(hope, 1), "unreachable")):
        policy = replace(parse_policy("oracle:score_min=0.9,max_samples=4"), floor=float(floor))
        assert policy.decide(one).reason.tolist() == [reason]
    easy = replace(drawn([0.1]), prior=Prior(0.9, 0.05, 1.0).broadcast_to(1))
    assert decided("oracle:score_min=0.5,max_samples=9", easy).reason.tolist() == ["confident"]


def test_instance_adaptive_counts_exactly_and_through_a_calibration(tmp_path):
    """(1 - 1/2)^2 = 1 - 3/4 to the last digit: two samples, not three; a chance of 1 needs one."""
    draws = replace(drawn([], [], [], []), prior=Prior([0.5, 0.5, 0.9, 0.2], 0.1, 1.0))
    assert decided("instance_adaptive:q=0.75", draws).needed.tolist() == [2, 2, 1, 7]
    Calibration("isotonic", np.array([0.2, 0.5, 0.9]), np.array([0.0, 0.75, 1.0])).save(tmp_path / "map.json")
    decision = decided(f"instance_adaptive:q=0.9,max_samples=16,calibration={tmp_path / 'map.json'}", draws)
    assert decision.needed.tolist() == [2, 2, 1, np.inf] and decision.total.tolist() == [2, 2, 1, 16]


def test_votes_that_are_exactly_as_sure_as_asked_stop():
    """One vote alone leads with probability 3/4, and a tie with 1/2."""
    draws = drawn([0.5], [0.5, 0.5], [], answers=[[0], [0, 1], []])
    for name in ("asc_beta", "dsc"):
        extra = ",easy=1" if name == "dsc" else ""
        assert decided(f"{name}:confidence=0.75{extra}", draws).reason.tolist() == ["confident", CONTINUE, CONTINUE]
        assert decided(f"{name}:confidence=0.5{extra}", draws).reason.tolist() == ["confident", "confident", CONTINUE]
        assert decided(f"{name}:confidence=0.76{extra}", draws).reason.tolist() == [CONTINUE] * 3
    assert decided("asc_beta", draws).total.tolist() == [2, 3, 1]


def test_difficulty_decides_how_many_samples_are_drawn_at_once():
    prior = Prior([0.9, 0.89, 0.5, 0.5], 0.1, 1.0)
    draws = replace(
        drawn([], [], [0.5] * 3, [0.5] * 7, answers=[[], [], [0, 1, 2], [0, 1, 2, 3, 4, 5, 6]]), prior=prior
    )
    decision = decided("dsc:easy=0.9,window=4,max_samples=10", draws)
    assert decision.total.tolist() == [1, 4, 7, 10] and (decision.reason == CONTINUE).all()
    easy = replace(drawn([0.5]), prior=Prior(0.9, 0.1, 1.0).broadcast_to(1))
    assert decided("dsc:easy=0.9", easy).reason.tolist() == ["confident"]


def test_windows_of_equal_answers():
    answers = [[7, 7, 7], [7, 7, 8], [1, 2, 7, 7, 7], [1, 2, 3, 7, 7, 7], [-1, -1, -1], [], [5, 5], [3, 3, 3, 4, 4, 4]]
    draws = drawn(*[[0.5] * len(row) for row in answers], answers=answers)
    decision = decided("esc:window=3,max_samples=10", draws)
    stops = ["confident", CONTINUE, CONTINUE, "confident", CONTINUE, CONTINUE, CONTINUE, "confident"]
    assert decision.reason.tolist() == stops
    assert decision.total.tolist() == [6, 6, 6, 9, 6, 3, 3, 9]
    assert decided("esc:window=3,max_samples=7", draws).total.tolist() == [6, 6, 6, 7, 6, 3, 3, 7]
    one = drawn([0.5], answers=[[7]])
    assert decided("esc:window=2,max_samples=4", one).reason.tolist() == [CONTINUE]


def pandora_by_quadrature(scores, cap, delta):
    worth = np.sort(np.array(scores) / (1 - np.array(scores)))
    number = len(worth)
    median = worth[number // 2]
    spread = max(worth[number // 2 :].mean() - median, 1e-4)
    width = np.sqrt(np.log(number) * np.log(1 / delta) / number)
    maximum = median + np.log(max(cap / 3, 1)) * spread * max(1 - width, 0)
    own, mean = min(worth[-1] / (worth[-1] + maximum), 0.5), spread * (1 + width)

    def excess(x):
        return max(min((median + x) / (median + x + maximum), 0.5) - own, 0.0) * np.exp(-x / mean) / mean

    bends = sorted(
        {0.0, *(float(np.clip(end, 0, 60 * mean)) for end in (worth[-1] - median, maximum - median)), 60 * mean}
    )
    return sum(quad(excess, *ends)[0] for ends in pairwise(bends))


@pytest.mark.parametrize(("cap", "delta"), [(40, 0.5), (1000, 0.5), (300, 0.05)])
def test_pandora_decides_each_question_of_a_batch_by_its_own_formula(cap, delta):
    rng = np.random.default_rng(3)
    sizes = (5, 8, 13, 30, 31)
    rows = [[*rng.uniform(0.1, 0.5, size // 2), *rng.uniform(0.79, 0.81, size - size // 2)] for size in sizes]
    worth = np.array([pandora_by_quadrature(row, cap, delta) for row in rows])
    assert (worth > 1e-6).any()
    for question, value in enumerate(worth):
        if value < 1e-6:
            continue
        for factor, stopped in ((1.03, True), (0.97, False)):
            policy = replace(
                parse_policy(f"pandora:max_samples={cap},delta={delta},min_samples=5"), cost=factor * value
            )
            decision = policy.decide(drawn(*rows))
            assert (decision.reason[question] == "confident") == stopped
            assert decision.total.tolist() == [len(row) + 1 for row in rows]


def test_pandora_takes_scores_of_0_and_1_and_waits_for_its_first_samples():
    draws = drawn([0.0] * 5, [1.0] * 5, [0.0, 0.0, 0.5, 1.0, 1.0], [0.5] * 4, [])
    decision = decided("pandora:min_samples=5,max_samples=20,cost=0.01", draws)
    assert decision.reason.tolist()[3:] == [CONTINUE] * 2 and decision.reason[1] == "confident"
    assert decision.total.tolist() == [6, 6, 6, 5, 5]
    assert decided("pandora:min_samples=20,max_samples=8", drawn([])).total.tolist() == [8]


def test_pandora_stops_at_once_where_its_bound_of_the_mean_is_0():
    """The expected maximum is the median then, and the best of equal scores is as good, also of zeros."""
    draws = drawn([0.0] * 5, [0.3] * 5, [1.0] * 5)
    decision = decided("pandora:min_samples=5,max_samples=300,delta=0.001,cost=1e-9", draws)
    assert decision.reason.tolist() == ["confident"] * 3


def test_cost_aware_compares_the_gain_with_the_cost_of_this_question():
    """Of a known uniform the gain is (1 - best)^2 / 2; nothing is gained above a best of 1, not even for nothing."""
    known = Prior(0.5, np.sqrt(1 / 12), 1e9)
    draws = drawn([0.2, 0.5], [0.5], [1.0], [], tokens=np.array([[100.0], [300.0], [1.0], [1.0]]), prior=known)
    assert decided("cost_aware:price=1.24", draws).reason.tolist() == [CONTINUE, "price", "price", CONTINUE]
    assert decided("cost_aware:price=1.26", draws).reason.tolist() == ["price", "price", "price", CONTINUE]
    assert decided("cost_aware:price=0.41", draws).reason.tolist()[:2] == [CONTINUE, CONTINUE]
    # 0.125 for 100 tokens is worth it below a price of 1.25 for 1,000.
    assert decided("cost_aware:price=1.2499", draws).reason[0] == CONTINUE
    assert decided("cost_aware:price=1.2501", draws).reason[0] == "price"
    free = decided("cost_aware:sample_price=0", draws)
    assert free.reason.tolist() == [CONTINUE, CONTINUE, "price", CONTINUE] and free.total.tolist() == [3, 2, 2, 1]


def test_cost_aware_prices_a_sample_whatever_its_length_unless_tokens_have_a_price():
    """Of a known uniform the gain above a best of 0.5 is 0.125."""
    known = Prior(0.5, np.sqrt(1 / 12), 1e9)
    draws = drawn([0.5], [0.5], tokens=np.array([[10.0], [1000.0]]), prior=known)
    assert decided("cost_aware:sample_price=0.1249", draws).reason.tolist() == [CONTINUE, CONTINUE]
    assert decided("cost_aware:sample_price=0.1251", draws).reason.tolist() == ["price", "price"]
    assert decided("cost_aware:sample_price=0.01,price=0.2", draws).reason.tolist() == [CONTINUE, "price"]


def test_a_first_sample_is_drawn_even_where_nothing_can_be_gained(tmp_path):
    """By a map that calls every answer wrong no sample is worth anything; but there is no answer without one."""
    Calibration("isotonic", np.array([0.5]), np.array([0.0])).save(tmp_path / "map.json")
    decision = decided(f"cost_aware:sample_price=0,calibration={tmp_path / 'map.json'}", drawn([], [0.5]))
    assert decision.reason.tolist() == [CONTINUE, "price"]


def test_a_gain_in_probability_is_the_integral_over_the_calibrations_steps(tmp_path):
    path = str(tmp_path / "map.json")
    Calibration("isotonic", np.array([0.1, 0.4, 0.41, 0.8]), np.array([0.0, 0.2, 0.7, 0.9])).save(path)
    known = Prior(0.5, np.sqrt(1 / 12), 1e9)
    draws = drawn([0.05], [0.6], [0.9], prior=known)

    def value(score):
        return float(np.interp(score, [0.1, 0.4, 0.41, 0.8], [0.0, 0.2, 0.7, 0.9]))

    for best, gain in zip((0.05, 0.6, 0.9), expected_gain(draws, "posterior", path), strict=True):
        wanted = quad(
            lambda score, best=best: max(value(score) - value(best), 0), best, 1, points=[0.1, 0.4, 0.41, 0.8]
        )[0]
        assert gain == pytest.approx(wanted, abs=2e-3)
    unusable = replace(draws, usable=np.zeros((3, 1), np.bool_))
    assert expected_gain(unusable, "posterior", "") == pytest.approx([0.5] * 3, abs=1e-4)


@pytest.mark.parametrize("prior", [PRIOR, None])
def test_a_belief_is_the_posterior_or_the_fit_with_or_without_a_memo(prior):
    draws = drawn([0.4, 0.6], [0.9, 0.5, 0.7], prior=prior)
    believed = prior or VAGUE
    known = replace(draws, memo=PrefixMemo(2, 8), rows=np.arange(2))
    for seen in (draws, known, known):
        posterior, fit = belief(seen, "posterior"), belief(seen, "plugin")
        theirs = fit_posterior(seen.scores, believed)
        assert posterior.mean() == pytest.approx(theirs.mean()) and posterior.std() == pytest.approx(theirs.std())
        assert fit.mean() == pytest.approx(fit_map(seen.scores, believed).mean()) and len(fit.log_weight) == 1
        found = misses(seen, 0.8, "posterior")
        assert found.log_below == pytest.approx(posterior.members.log_below(0.8))
        assert found.log_weight == pytest.approx(posterior.log_weight)
    assert (float(VAGUE.mean), float(VAGUE.std), float(VAGUE.strength)) == pytest.approx((0.5, 12**-0.5, 1))


@pytest.mark.parametrize("alpha", [0.3, 0.9])
@pytest.mark.parametrize("estimate", ["posterior", "plugin"])
def test_optscale_decides_by_the_bound_of_its_belief(estimate, alpha):
    rows = [low(count) for count in (1, 4, 9, 12)]
    draws = drawn(*rows)
    found = belief(draws, estimate)
    needed = num_samples(found, 0.52, alpha)
    alone = [found.take(np.array([question])) for question in range(len(rows))]
    left = [reach_probability(one, 0.52, 15 - len(row))[0] for one, row in zip(alone, rows, strict=True)]
    sure = [reach_probability(one, 0.52, len(row))[0] >= alpha for one, row in zip(alone, rows, strict=True)]
    assert alpha == 0.9 or True in sure
    for floor in (0.0, *(end * factor for end in left for factor in (0.999, 1.001) if end * factor < 1)):
        hopeless = [hope < floor for hope in left]
        wanted = [
            "confident" if one else "unreachable" if two else CONTINUE for one, two in zip(sure, hopeless, strict=True)
        ]
        text = f"optscale:score_min=0.52,alpha={alpha},max_samples=15,floor={floor},min_gain=1,estimate={estimate}"
        decision = decided(text, draws)
        assert decision.reason.tolist() == wanted
        assert decision.needed == pytest.approx(needed) and decision.total.tolist() == [2, 5, 10, 13]
        quiet = decided(text, replace(draws, traced=False))
        assert quiet.reason.tolist() == wanted and np.isnan(quiet.needed).all()


def test_a_floor_of_0_gives_nothing_up_whatever_rounding_makes_of_a_certain_miss():
    rng = np.random.default_rng(0)
    draws = drawn(*[rng.uniform(0, 0.9, count).tolist() for count in rng.integers(1, 6, 400)])
    decision = decided("optscale:score_min=1,floor=0,max_samples=6", draws)
    assert set(decision.reason) == {CONTINUE}


@pytest.mark.parametrize("estimate", ["posterior", "plugin"])
def test_a_target_out_of_reach_leaves_the_decision_to_the_expected_gain(estimate):
    draws = drawn(low(2), low(8))
    text = f"optscale:score_min=0.99,floor=0.9,max_samples=12,estimate={estimate}"
    gains = belief(draws, estimate).expected_excess(draws.best_score())
    assert gains[0] > gains[1]
    for gain in gains:
        for bound in (0.999 * gain, 1.001 * gain):
            wanted = ["unreachable" if one < bound else CONTINUE for one in gains]
            assert decided(f"{text},min_gain={bound}", draws).reason.tolist() == wanted
    assert decided(f"{text},min_gain=0", draws).reason.tolist() == [CONTINUE] * 2
    assert decided(f"{text},min_gain=1", draws).reason.tolist() == ["unreachable"] * 2
    # A jump to N* would be one to the cap, past the point where the gain ends.
    assert decided(f"{text},min_gain=0,step=jump", draws).total.tolist() == [4, 12]
    assert decided(text.replace("floor=0.9", "floor=0") + ",min_gain=1", draws).reason.tolist() == [CONTINUE] * 2


def test_optscale_steps_by_one_doubled_or_to_the_bound():
    draws = drawn([], low(1), low(5), low(11))
    needed = num_samples(belief(draws, "posterior"), 0.55, 0.95)
    totals = {
        "one": [1, 2, 6, 12],
        "double": [1, 2, 10, 12],
        "jump": [int(np.clip(need, count + 1, 12)) for need, count in zip(needed, (0, 1, 5, 11), strict=True)],
    }
    assert len(set(totals["jump"])) > 1
    for step, total in totals.items():
        decision = decided(f"optscale:score_min=0.55,floor=0,max_samples=12,step={step}", draws)
        assert decision.total.tolist() == total and decision.needed == pytest.approx(needed)
    quiet = replace(draws, traced=False)
    assert np.isnan(decided("optscale:score_min=0.55,floor=0", quiet).needed).all()
    assert decided("optscale:score_min=0.55,floor=0,step=jump", quiet).needed == pytest.approx(needed)
    # Whatever the prior says of the target, nothing is given up before the first sample.
    assert decided("optscale:score_min=0.99,floor=0.999,min_gain=1", drawn([])).reason.tolist() == [CONTINUE]
    stopped = decided("optscale:score_min=0.8", drawn([0.9], [0.1] * 32))
    assert stopped.reason.tolist() == ["reached", "budget"] and np.isnan(stopped.needed).all()


@pytest.mark.parametrize("name", ["optscale_0", "optscale_t"])
def test_the_published_rules_decide_by_their_own_fit(name):
    rng = np.random.default_rng(1)
    rows = [rng.beta(3, 2, count).tolist() for count in (2, 5, 9, 14)]
    draws = drawn(*rows)
    fits = [fit_mle(row) if name == "optscale_0" else fit_map_gaussian([row], PRIOR) for row in rows]
    needed = np.array([float(np.ravel(num_samples(fit, 0.8, 0.9))[0]) for fit in fits])
    needed[0] = np.inf  # two samples are fewer than the peek
    decision = decided(f"{name}:score_min=0.8,alpha=0.9,peek=3,max_samples=20", draws)
    assert decision.needed == pytest.approx(needed)
    assert (decision.reason == "confident").tolist() == [
        len(row) >= need for row, need in zip(rows, needed, strict=True)
    ]
    assert decision.total.tolist() == [3, 6, 10, 15]
    peeks = [fit_mle(row[:3]) if name == "optscale_0" else fit_map_gaussian([row[:3]], PRIOR) for row in rows[1:]]
    jumps = [float(np.ravel(num_samples(fit, 0.8, 0.9))[0]) for fit in peeks]
    jump = decided(f"{name}:score_min=0.8,alpha=0.9,peek=3,max_samples=20,form=jump", draws)
    assert jump.needed == pytest.approx([np.inf, *jumps])
    wanted = [3, *(int(np.clip(need, len(row) + 1, 20)) for need, row in zip(jumps, rows[1:], strict=True))]
    assert jump.total.tolist() == wanted
    assert decided(f"{name}:peek=9,max_samples=4", drawn([])).total.tolist() == [4]


@pytest.mark.parametrize("family", FAMILIES)
def test_plug_in_needs_what_its_family_needs_of_each_target_though_they_share_a_memo(family):
    rng = np.random.default_rng(4)
    rows = [rng.beta(3, 2, count).tolist() for count in (3, 6)]
    draws = replace(drawn(*rows), memo=PrefixMemo(2, 8), rows=np.arange(2))
    for score_min, alpha in ((0.7, 0.9), (0.8, 0.9), (0.7, 0.6)):
        needed = [num_samples(FAMILIES[family](np.array([row])), score_min, alpha)[0] for row in rows]
        text = f"plug_in:family={family},score_min={score_min},alpha={alpha},max_samples=40"
        assert decided(text, draws).needed == pytest.approx(needed)


def test_enough_is_exactly_what_is_needed():
    draws = drawn(low(3), low(3), low(3), low(4))
    decision = decide_by_need(draws, np.array([9, 1, 3, 9]), np.array([3.0, 3.1, np.inf, np.inf]), 4)
    assert decision.reason.tolist() == ["confident", CONTINUE, CONTINUE, "budget"]
    assert decision.total.tolist() == [4, 4, 4, 4]


def test_a_memo_computes_each_prefix_once():
    memo, asked = PrefixMemo(3, 5), []
    scale = np.arange(3) * 100

    def value_of(rows, counts):
        def compute(missing):
            asked.append((rows[missing].tolist(), counts[missing].tolist()))
            return np.stack([scale[rows[missing]] + counts[missing], -counts[missing]], -1).astype(float)

        return memo.lookup("key", rows, counts, compute)

    def look(rows, counts):
        rows, counts = np.array(rows), np.array(counts)
        assert value_of(rows, counts).tolist() == np.stack([scale[rows] + counts, -counts], -1).tolist()

    look([0, 2], [1, 5])
    look([2, 1, 0], [5, 0, 1])
    look([0, 1, 2], [2, 5, 1])
    look([0, 1, 2, 0, 1], [1, 0, 5, 2, 5])
    for count in range(6):
        look([0, 1, 2], [count] * 3)
    pairs = [pair for rows, counts in asked for pair in zip(rows, counts, strict=True)]
    assert len(pairs) == len(set(pairs)) == 18 and asked[:3] == [([0, 2], [1, 5]), ([1], [0]), ([0, 1, 2], [2, 5, 1])]
    other = memo.lookup("other", np.array([1]), np.array([0]), lambda missing: np.array([7.0])[missing])
    assert other.tolist() == [7.0]


def test_best_of_n_needs_its_n_whatever_is_drawn():
    decision = decided("best_of_n:max_samples=6", drawn([], low(5), low(6)))
    assert decision.total.tolist() == decision.needed.tolist() == [6] * 3
    assert decision.reason.tolist() == [CONTINUE, CONTINUE, "budget"]


def test_a_memo_that_grows_by_one_holds_less_than_twice_what_it_knows():
    """Doubled, and only when full: so n values are copied about n times in all, and half the memory is used."""
    memo, sizes = PrefixMemo(1, 200), set()
    for count in range(200):
        memo.lookup("key", np.array([0]), np.array([count]), lambda missing: np.ones(missing.size))
        held = len(memo._values["key"])
        assert count + 1 <= held < 2 * (count + 1)
        sizes.add(held)
    assert len(sizes) == 9


def test_draws_of_some_questions_are_those_of_the_questions():
    hindsight, usable = np.arange(6.0).reshape(3, 2) / 10, np.array([[True, False], [True, True], [False, False]])
    draws = drawn([0.4, 0.9], [0.3], [0.7, 0.2], answers=[[1, 2], [3], [4, 4]], hindsight=hindsight, usable=usable)
    draws = replace(draws, rows=np.array([5, 6, 7]), memo=PrefixMemo(8, 4), prior=Prior([0.1, 0.2, 0.3], 0.05, 1.0))
    some = draws.take(np.array([2, 0]))
    assert some.scores.tolist() == [[0.7, 0.2], [0.4, 0.9]] and some.answers.tolist() == [[4, 4], [1, 2]]
    assert some.count.tolist() == [2, 2] and some.rows.tolist() == [7, 5] and some.prior.mean.tolist() == [0.3, 0.1]
    assert some.hindsight.tolist() == [[0.4, 0.5], [0.0, 0.1]] and some.usable.tolist() == [
        [False, False],
        [True, False],
    ]
    assert draws.best_score().tolist() == [0.4, 0.3, -np.inf]
    assert some.memo is draws.memo and some.remember("count", lambda new: new.count.astype(float)).tolist() == [2, 2]
    assert draws.remember("count", lambda new: pytest.fail("known") if 7 in new.rows else new.count * 1.0).tolist() == [
        2,
        1,
        2,
    ]
    alone = replace(drawn([0.5], [0.6]), rows=np.array([0, 1]))
    assert alone.remember("x", lambda new: new.count * 3.0).tolist() == [3, 3]


def test_mean_tokens_are_those_of_the_samples_that_were_drawn():
    draws = drawn([0.4, 0.9], [0.3], [], tokens=np.array([[10.0, 20.0], [6.0, 99.0], [1.0, 1.0]]))
    assert draws.mean_tokens().tolist() == [15, 6, 0]


@pytest.mark.parametrize("estimate", ["posterior", "plugin"])
def test_gains_are_those_of_the_belief_that_is_asked_for_and_are_remembered_apart(estimate, tmp_path):
    path = str(tmp_path / "map.json")
    Calibration("isotonic", np.array([0.0, 1.0]), np.array([0.0, 0.5])).save(path)
    draws = replace(drawn([0.4, 0.6], [0.9, 0.5, 0.7]), memo=PrefixMemo(2, 8), rows=np.arange(2))
    gain = belief(draws, estimate).expected_excess(np.array([0.6, 0.9]))
    for _ in range(2):
        for other in ("posterior", "plugin"):
            expected_gain(draws, other, "")
        assert expected_gain(draws, estimate, "") == pytest.approx(gain, rel=1e-6)
        assert expected_gain(draws, estimate, path) == pytest.approx(gain / 2, rel=0.01)
    decision = [
        decided(f"cost_aware:price={price},estimate={estimate}", drawn([0.4, 0.6], tokens=1000.0)).reason[0]
        for price in (0.999 * gain[0], 1.001 * gain[0])
    ]
    assert decision == [CONTINUE, "price"]
    halved = f"cost_aware:price={0.6 * gain[0]},estimate={estimate},calibration={path}"
    assert decided(halved, drawn([0.4, 0.6], tokens=1000.0)).reason[0] == "price"


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_written_as_it_is_read(name):
    policy = parse_policy(text_of(name, "max_samples=7"))
    assert parse_policy(str(policy)) == policy and str(policy).startswith(f"{name}:") and "max_samples=7" in str(policy)


def test_settings_are_read_whatever_stands_around_them():
    assert parse_policy(" optscale : score_min = 0.9 , alpha=0.8, ") == parse_policy("optscale:score_min=0.9,alpha=0.8")
    assert parse_policy("best_of_n", {"max_samples": 7}) == parse_policy("best_of_n:max_samples=7")
    assert parse_policy("best_of_n:", None) == make_policy("best_of_n", {})
    policy = make_policy("cost_aware", {"price": 1, "max_samples": "9"})
    assert policy.describe() == {
        "name": "cost_aware",
        "sample_price": 0.01,
        "price": 1.0,
        "max_samples": 9,
        "calibration": "",
        "estimate": "posterior",
        "step": "one",
    }
    for text, further, says in (
        (
            "best_of_n:max_samples=3",
            {"max_samples": 4},
            "max_samples is given twice: in policy .*, and as 4 of its own",
        ),
        ("best_of_n:max_samples", None, "expected key=value, got 'max_samples'"),
        ("best_of_n", {"other": 1}, "has no setting 'other'; it has: max_samples"),
        ("", None, "unknown policy ''"),
        ("cost_aware:calibration=a=b.json", None, "calibration a=b.json: No such file"),
        ("best_of_n:max_samples=x", None, "max_samples must be a whole number, got 'x'"),
        ("cost_aware:price=x", None, "price must be a number, got 'x'"),
    ):
        with pytest.raises(InputError, match=says):
            parse_policy(text, further)


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if policy.needs_prior is True])
def test_what_needs_a_prior_says_so(name):
    with pytest.raises(InputError, match=f"policy '{name}' needs a prior"):
        parse_policy(name).decide(drawn([0.5] * 5, prior=None))


def one_sample_each(best, tokens):
    scores, cost = np.array(best, float)[:, None], np.array(tokens, float)[:, None]
    shape = scores.shape
    return Draws(scores, np.zeros(shape, np.int64), cost, np.ones(shape[0], np.int64), KNOWN.broadcast_to(shape[0]))


KNOWN = Prior(0.5, np.sqrt(1 / 12), 1e9)  # scores are uniform for sure: a sample adds (1 - best)^2 / 2


def test_a_shared_budget_buys_what_adds_most_per_token():
    """0.125 for 100 tokens is less than 0.02 for 10; and a sample of no tokens is taken for one of a single token."""
    policy = parse_policy("shared_budget:tokens=1000,share=0.3")
    draws = one_sample_each([0.5, 0.8, 0.99], [100, 10, 100])
    assert policy.decide(draws).total.tolist() == [1, 2, 1]
    assert policy.decide(one_sample_each([0.5, 0.8, 0.99], [10, 10, 10])).total.tolist() == [2, 1, 1]
    assert policy.decide(one_sample_each([0.5, 0.8, 0.0], [0.5, 0.01, 1.0])).total.tolist() == [1, 1, 2]


def test_a_shared_budget_is_shared_out_in_rounds_of_its_share():
    draws = one_sample_each([0.1, 0.4, 0.2, 0.3], [10, 10, 10, 10])
    for share, total in ((0.01, [2, 1, 1, 1]), (0.5, [2, 1, 2, 1]), (0.75, [2, 1, 2, 2]), (1, [2, 2, 2, 2])):
        assert parse_policy(f"shared_budget:tokens=1000,share={share}").decide(draws).total.tolist() == total


def test_a_shared_budget_buys_to_the_last_token_and_no_more():
    """Four questions spent 40 tokens; 15 a question leave 20: two more samples, and of 12.5 a question one."""
    draws = one_sample_each([0.1, 0.4, 0.2, 0.3], [10, 10, 10, 10])
    for tokens, total in ((15, [2, 1, 2, 1]), (14.99, [2, 1, 1, 1]), (12.5, [2, 1, 1, 1]), (12.4, [1, 1, 1, 1])):
        decision = parse_policy(f"shared_budget:tokens={tokens},share=1").decide(draws)
        assert decision.total.tolist() == total
        assert (decision.reason == "budget").all() == (total == [1] * 4)
        assert np.isnan(decision.needed).all()


def test_a_shared_budget_first_looks_at_every_question_and_then_leaves_full_ones_alone():
    draws = one_sample_each([0.1, 0.4], [10, 10])
    fresh = Draws(draws.scores, draws.answers, draws.tokens, np.array([1, 0]), draws.prior)
    decision = parse_policy("shared_budget:tokens=1000").decide(fresh)
    assert decision.total.tolist() == [1, 1] and not (decision.reason == "budget").any()
    full = parse_policy("shared_budget:tokens=1000,max_samples=1").decide(draws)
    assert full.total.tolist() == [1, 1] and (full.reason == "budget").all()


def test_the_uniform_is_known():
    """What the tests above lean on: this prior's distribution is the uniform."""
    known = Prior(0.5, np.sqrt(1 / 12), 1e9).distribution()
    assert known.cdf(0.3) == pytest.approx(0.3, abs=1e-9) == TruncatedNormal.from_natural(0.0, 0.0).cdf(0.3)


def test_rules_that_share_a_memo_decide_as_if_alone():
    rng = np.random.default_rng(2)
    draws = drawn(*[rng.beta(3, 2, count).tolist() for count in (3, 5, 9)])
    shared = replace(draws, memo=PrefixMemo(3, 16), rows=np.arange(3))
    texts = [
        *(f"{name}:score_min=0.8{form}" for name in ("optscale_0", "optscale_t") for form in ("", ",form=jump,peek=3")),
        *(f"optscale:score_min={target},estimate={kind}" for target in (0.8, 0.9) for kind in ("posterior", "plugin")),
    ]
    for text in (*texts, *texts):
        mine, alone = parse_policy(text).decide(shared), parse_policy(text).decide(draws)
        assert mine.needed == pytest.approx(alone.needed, nan_ok=True) and mine.reason.tolist() == alone.reason.tolist()
        assert mine.total.tolist() == alone.total.tolist()


def test_a_published_rule_estimates_as_soon_as_it_has_peeked():
    row = [0.7, 0.75, 0.8]
    decision = decided("optscale_0:score_min=0.78,alpha=0.5,peek=3,max_samples=20", drawn(row))
    assert decision.needed == pytest.approx(np.ravel(num_samples(fit_mle(row), 0.78, 0.5)))
    assert np.isfinite(decision.needed[0])


def test_a_shared_budget_values_samples_as_it_is_told_to_and_takes_the_first_of_equals(tmp_path):
    """By scores the question at 0.2 gains more; by a map that is flat below 0.85 the one at 0.8 does."""
    path = tmp_path / "map.json"
    Calibration("isotonic", np.array([0.85, 0.86]), np.array([0.0, 1.0])).save(path)
    draws = one_sample_each([0.9, 0.2, 0.8], [10, 10, 10])
    assert parse_policy("shared_budget:tokens=1000,share=0.3").decide(draws).total.tolist() == [1, 2, 1]
    apart = one_sample_each([0.9, 0.2, 0.8], [10, 20, 10])
    mapped = parse_policy(f"shared_budget:tokens=1000,share=0.3,calibration={path}").decide(apart)
    assert mapped.total.tolist() == [1, 1, 2]
    equal = one_sample_each([0.5, 0.9] * 20, [10] * 40)
    assert parse_policy("shared_budget:tokens=1000,share=0.25").decide(equal).total.tolist() == [2, 1] * 10 + [1] * 20
    # 1.5 tokens are not taken for two.
    cheap = one_sample_each([0.5, 0.47], [1.5, 1.9])
    assert parse_policy("shared_budget:tokens=1000,share=0.5").decide(cheap).total.tolist() == [2, 1]


def test_a_shared_budget_estimates_as_it_is_told_to():
    """The estimates disagree on how much more the first question gains; its tokens cost a ratio between the two."""
    weak = replace(drawn([0.6, 0.7], [0.3]), prior=Prior([0.5, 0.5], 0.2, 1.0))
    more = {kind: np.divide(*expected_gain(weak, kind, "")) for kind in ("posterior", "plugin")}
    ratio = np.sqrt(more["posterior"] * more["plugin"])
    cost = np.where(np.isnan(weak.scores), np.nan, [[100 * ratio], [100.0]])
    for kind in more:
        policy = parse_policy(f"shared_budget:tokens=1000,share=0.5,estimate={kind}")
        chosen = policy.decide(replace(weak, tokens=cost)).total.tolist()
        assert chosen == ([3, 1] if more[kind] > ratio else [2, 2])
    assert max(more.values()) > 1.01 * ratio


def test_a_shared_budget_is_spent_in_the_order_of_a_fitted_policy_and_on_whole_steps():
    """Leaders of different sureness: the least sure one pays at the highest price, a sure one at none."""
    folder = folder_of()
    model = load_fitted(folder)
    draws = drawn([0.97] * 4, [0.8] * 4, [0.9] * 4, answers=[[0] * 4, [0, 1, 2, 3], [0, 0, 0, 1]], prior=None)
    worth = model.worth(model.features(draws), draws.count)
    assert worth[1] > worth[2] > worth[0] == 0
    for share, total in ((0.4, [4, 6, 4]), (1.0, [4, 6, 6])):
        decision = decided(f"shared_budget:path={folder},tokens=1000,share={share}", draws)
        assert decision.total.tolist() == total and set(decision.reason) == {CONTINUE}
    # 120 tokens are spent; two more samples of the first in order fit into a budget of 140, of 139 none.
    assert decided(f"shared_budget:path={folder},tokens={140 / 3 + 1e-9},share=1", draws).total.tolist() == [4, 6, 4]
    assert set(decided(f"shared_budget:path={folder},tokens={139 / 3},share=1", draws).reason) == {"budget"}


def test_a_shared_budget_selects_as_its_fitted_policy_does():
    folder = folder_of()
    assert parse_policy(f"shared_budget:path={folder}").selection == require_selection(f"confidence:{folder}")
    assert parse_policy("shared_budget").selection == "best_score"
    with pytest.raises(InputError, match="version names a fitted policy's and goes with path, got v0"):
        parse_policy("shared_budget:version=v0")
    with pytest.raises(InputError, match="max_samples must be at most 32, to which"):
        parse_policy(f"shared_budget:path={folder},max_samples=33")
    with pytest.raises(InputError, match="'shared_budget' needs a prior"):
        parse_policy(f"shared_budget:path={folder_of(made_up(uses_prior=True))}").decide(drawn([0.5], prior=None))
