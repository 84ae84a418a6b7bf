"""A budget that all questions share: to whom it goes, in which rounds, and to the last token."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import decided, drawn
from fitted_policies import folder_of, made_up

from optscale_predictor import Prior, TruncatedNormal
from optscale_predictor.errors import InputError
from optscale_predictor.policies import CONTINUE, Draws, parse_policy
from optscale_predictor.policies.belief import expected_gain
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.policies.selection import require_selection
from optscale_predictor.stats.calibration import Calibration


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
