"""The policy ``fitted``: what its settings mean, when it stops, and whose samples it may judge."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import drawn
from fitted_policies import POINTS, folder_of, made_up, stump, text_of

from optscale_predictor.errors import InputError
from optscale_predictor.policies import CONTINUE, StopReason, parse_policy
from optscale_predictor.policies.fitted.stopping_model import PriceModel
from optscale_predictor.predictor.model.config import ScoreSource
from optscale_predictor.predictor.provenance import require_policy_source
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy


def reasons(settings, *rows, answers=None):
    return parse_policy(text_of("fitted", settings)).decide(drawn(*rows, answers=answers, prior=None)).reason.tolist()


def test_it_goes_on_while_the_leader_is_not_sure_enough_for_the_price():
    draws = drawn([0.8], [0.9], [0.96], prior=None)
    leader = made_up().confidence(draws).of_leader
    assert leader[0] < 0.6 < leader[1] < 0.8 < leader[2]
    for price, sure in ((0.01, 0.95), (0.1, 0.8), (1.0, 0.6)):
        wanted = np.where(leader > sure, "price", CONTINUE).tolist()
        assert reasons(f"price={price}", [0.8], [0.9], [0.96]) == wanted


def test_it_goes_on_to_the_next_decision_point_and_no_further_than_its_cap():
    policy = parse_policy(text_of("fitted", "price=0.01,max_samples=7"))
    decision = policy.decide(drawn([], [0.3], [0.3] * 5, [0.3] * 6, [0.3] * 7, answers=None, prior=None))
    assert decision.total.tolist()[:4] == [1, 2, 6, 7]
    assert decision.reason.tolist() == [CONTINUE] * 4 + ["budget"]


@pytest.mark.parametrize(
    "settings", ["price=0.01", "tokens=200", "accuracy=0.7", "match=self_consistency:max_samples=8"]
)
def test_it_says_why_it_stops(settings):
    rng = np.random.default_rng(0)
    scores, answers = rng.random((60, 32)), rng.integers(0, 12, (60, 32))
    recorded = RecordedSamples(scores, answers, np.full(scores.shape, 10.0), (answers == 0).astype(float))
    outcomes = run_policy(parse_policy(text_of("fitted", settings)), recorded)
    assert set(outcomes.count.tolist()) <= set(POINTS.tolist())
    early = StopReason.CONFIDENT if "accuracy" in settings else StopReason.PRICE
    assert set(outcomes.reason.tolist()) <= {early.value, "budget", "unreachable"}
    assert (outcomes.count[outcomes.reason == "budget"] == 32).all()


def test_an_answer_that_is_sure_enough_says_so_when_it_stops():
    """A target of 0.4 is met from a confidence of 0.2 on at the highest price, whose rule stops from 0.6 on."""
    found = parse_policy(text_of("fitted", "accuracy=0.4,max_samples=4"))
    answers = [[0], [0], [0, 1, 2, 2], [0, 1, 2, 3]]
    draws = drawn([0.8], [0.9], [0.8] * 4, [0.5] * 4, answers=answers, prior=None)
    leader = made_up().confidence(draws).of_leader
    assert 0.2 < leader[0] < 0.6 < leader[1] and leader[3] < 0.2 < leader[2] < 0.6
    # The first is sure enough already, but another sample is worth its price; the last two have all they may get.
    assert found.decide(draws).reason.tolist() == [CONTINUE, "confident", "confident", "budget"]


def test_matching_best_of_n_takes_the_price_whose_held_out_accuracy_is_enough():
    """A fixed 8 samples were right 0.786 of the time, held-out rules 0.6, 0.8 and 0.9 from the highest price on."""
    matched = parse_policy(text_of("fitted", "match=best_of_n:max_samples=8"))
    same = parse_policy(text_of("fitted", "price=0.1"))
    draws = drawn([0.8], [0.9], [0.96], prior=None)
    assert matched.decide(draws).reason.tolist() == same.decide(draws).reason.tolist()
    everything = parse_policy(text_of("fitted"))  # as accurate as Best-of-32
    assert everything.decide(draws).reason.tolist() == reasons("price=0.01", [0.8], [0.9], [0.96])


def policy_of(model, settings):
    return parse_policy(f"fitted:path={folder_of(model)},{settings}")


def test_matching_one_sample_is_possible():
    """One sample was right 0.5 of the time, which the highest price reaches."""
    draws = drawn([0.8], [0.9], [0.96], prior=None)
    assert parse_policy(text_of("fitted", "match=best_of_n:max_samples=1")).decide(draws).reason.tolist() == reasons(
        "price=1", [0.8], [0.9], [0.96]
    )


def test_who_is_not_sure_enough_where_nothing_further_pays_is_out_of_reach():
    """A target of 0.95 buys at the lowest price, whose rule stops above 0.95; only the last is sure enough."""
    draws = drawn([0.8], [0.985], [0.999], prior=None)
    leader = made_up().confidence(draws).of_leader
    assert leader[0] < 0.95 < leader[1] < leader[2]
    targets = replace(made_up().targets, threshold=np.array([0.2, 0.5, leader[2]]))
    found = policy_of(replace(made_up(), targets=targets), "accuracy=0.95").decide(draws)
    assert found.reason.tolist() == [CONTINUE, "unreachable", "confident"]  # as sure as it must be, to the last digit


def test_who_never_goes_on_has_one_sample():
    never = replace(made_up(), models=tuple(replace(one, base=one.base - 9) for one in made_up().models))
    decision = policy_of(never, "price=1").decide(drawn([], [0.5], prior=None))
    assert decision.reason.tolist() == [CONTINUE, "price"] and decision.total[0] == 1


def test_what_is_worth_exactly_nothing_is_not_bought():
    bare = np.zeros(len(POINTS) - 1)
    level = replace(made_up(), models=tuple(PriceModel(bare, stump("leader", 2.0, 0.0, 0.0)) for _ in range(3)))
    assert policy_of(level, "price=1").decide(drawn([0.5], prior=None)).reason.tolist() == ["price"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("price=1,tokens=5", "takes one of price, tokens, match and accuracy, got price and tokens"),
        ("price=-1", "price must be > 0 and finite, got -1.0"),
        ("tokens=inf", "tokens must be > 0 and finite, got inf"),
        ("accuracy=1.5", r"accuracy must lie in \(0, 1\), got 1.5"),
        ("accuracy=0.99", "accuracy=0.99 is out of reach: .* right 0.950 of the time"),
        ("max_samples=33", "max_samples must be at most 32"),
        ("max_samples=-1", "max_samples must be >= 1"),
        ("match=best_of_n:max_samples=0", "match must be best_of_n"),
        ("match=optscale", "match must be best_of_n or self_consistency with max_samples of at most 32"),
        ("match=best_of_n:max_samples=64", "match must be best_of_n or self_consistency"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(InputError, match=says):
        parse_policy(text_of("fitted", settings))


def test_without_a_folder_it_says_how_to_name_one():
    with pytest.raises(InputError, match="fitted:path=FOLDER"):
        parse_policy("fitted")


def test_it_needs_the_prior_that_it_was_fitted_with_and_looks_at_no_other():
    with_prior = parse_policy(f"fitted:path={folder_of(made_up(uses_prior=True))}")
    assert with_prior.needs_prior and not parse_policy(text_of("fitted")).needs_prior
    with pytest.raises(InputError, match="policy 'fitted' needs a prior"):
        with_prior.decide(drawn([0.5], prior=None))
    plain = parse_policy(text_of("fitted", "price=0.1"))
    for row in ([0.8], [0.9], [0.96]):
        assert plain.decide(drawn(row)).reason == plain.decide(drawn(row, prior=None)).reason


def test_another_source_is_refused_unless_it_is_allowed():
    learnt = ScoreSource(generator="org/one", verifier="org/verifier")
    policy = parse_policy(f"fitted:path={folder_of(made_up(source=learnt.as_dict()))}")
    require_policy_source(policy, learnt)
    other = ScoreSource(generator="org/two", verifier="org/verifier")
    with pytest.raises(InputError, match="fitted to other samples than these: generator 'org/two', where it was"):
        require_policy_source(policy, other)
    require_policy_source(policy, other, allow_source_mismatch=True)
    require_policy_source(parse_policy("optscale"), other)
    shared = parse_policy(f"shared_budget:path={policy.path}")
    with pytest.raises(InputError, match="fitted to other samples than these"):
        require_policy_source(shared, other)


def test_a_policy_made_anew_in_the_same_folder_is_read_anew():
    folder = folder_of()
    before = parse_policy(f"fitted:path={folder}")
    shared = parse_policy(f"shared_budget:path={folder}")
    from optscale_predictor.policies.fitted.model_files import save_fitted

    save_fitted(made_up(slope=0.0), folder)
    after = parse_policy(f"fitted:path={folder}")
    assert str(parse_policy(f"shared_budget:path={folder}")) != str(shared) == str(parse_policy(str(shared)))
    assert (before.model.confidence.evidence.slope, after.model.confidence.evidence.slope) == (1.0, 0.0)
    assert before != after and str(before) != str(after) and before.selection != after.selection
    again = parse_policy(str(before))  # what a process has begun with it keeps
    assert again == before and again.model.confidence.evidence.slope == 1.0
    assert replace(before, max_samples=4).model.confidence.evidence.slope == 1.0
    with pytest.raises(InputError, match=r"holds version v\w+ of a fitted policy, and v0 is asked for"):
        parse_policy(f"fitted:path={folder},version=v0")
