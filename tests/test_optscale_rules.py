"""Rules that stop at a target score: each decides by the bound of its own belief or fit."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import PRIOR, decided, drawn, low

from optscale_predictor import fit_map, fit_mle, num_samples
from optscale_predictor.policies import CONTINUE, PrefixMemo, parse_policy
from optscale_predictor.policies.belief import belief, misses
from optscale_predictor.stats.bound import reach_probability
from optscale_predictor.stats.distributions.family_choice import FAMILIES
from optscale_predictor.stats.estimators import fit_map_gaussian, fit_posterior
from optscale_predictor.stats.estimators.prior import VAGUE


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
