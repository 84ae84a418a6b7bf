"""What a fitted policy computes: held against the same things done one answer, one node and one path at a time."""

import json
from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import drawn
from fitted_policies import folder_of, made_up, stump, text_of
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from scipy.special import expit, logit
from scipy.stats import beta

from optscale_predictor.errors import InputError
from optscale_predictor.policies import Draws, PrefixMemo
from optscale_predictor.policies.fitted.answer_features import (
    GROUP_FEATURES,
    QUESTION_FEATURES,
    ScoreEvidence,
    answer_table,
)
from optscale_predictor.policies.fitted.boosted_trees import BoostedTrees
from optscale_predictor.policies.fitted.confidence_model import ConfidenceModel
from optscale_predictor.policies.fitted.model_files import ARRAYS, SELECTIONS, SETTINGS, load_fitted, save_fitted
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES, lead_log_odds, stopping_features
from optscale_predictor.policies.fitted.stopping_model import (
    AccuracyTargets,
    HeldOutCurve,
    PriceModel,
    Recalibration,
)
from optscale_predictor.policies.selection import choose, needs_scores, require_selection, select
from optscale_predictor.stats.log_odds import log_odds

EVIDENCE = ScoreEvidence(0.7, -0.3)


def some_draws(seed, questions=5, width=9, unusable=0.2):
    """Questions with different numbers of samples, few distinct answers, some samples cut off."""
    rng = np.random.default_rng(seed)
    count = rng.integers(1, width + 1, questions)
    there = np.arange(width) < count[:, None]
    scores = np.where(there, rng.integers(0, 5, (questions, width)) / 4, np.nan)
    answers = np.where(there, rng.integers(-1, 4, (questions, width)), -1)
    tokens = np.where(there, rng.integers(1, 60, (questions, width)), np.nan)
    return Draws(scores, answers, tokens, count, None, usable=there & (rng.random((questions, width)) > unusable))


def by_hand(draws, question):
    """The distinct answers of one question as lists of its samples, in the order of first samples."""
    groups = {}
    for sample in range(draws.count[question]):
        if draws.usable[question, sample]:
            answer = draws.answers[question, sample]
            groups.setdefault(answer if answer >= 0 else ("none", sample), []).append(sample)
    return list(groups.values())


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_answers_are_described_as_one_would_by_hand(seed):
    draws = some_draws(seed)
    table = answer_table(draws, EVIDENCE)
    odds = EVIDENCE.intercept + EVIDENCE.slope * logit(np.clip(draws.scores, 1e-4, 1 - 1e-4))
    for question in range(len(draws.count)):
        mine = np.flatnonzero(table.question == question)
        groups = by_hand(draws, question)
        assert [np.flatnonzero(table.group[question] == group).tolist() for group in mine] == groups
        assert table.first[mine].tolist() == [group[0] for group in groups]
        samples = [sample for group in groups for sample in group]
        logs = np.log(draws.tokens[question])
        for group, members in zip(mine, groups, strict=True):
            found = dict(zip(GROUP_FEATURES, table.features[group], strict=True))
            chances = expit(odds[question, members])
            relative = logs[members].mean() - logs[samples].mean()
            wanted = {
                "log_votes": np.log(len(members)),
                "log_weighted_votes": np.log(chances.sum() + 1e-3),
                "log_fourth_power_votes": np.log((chances**4).sum() + 1e-6) / 4,
                "best_evidence": odds[question, members].max(),
                "mean_evidence": odds[question, members].mean(),
                "single_vote": float(len(members) == 1),
                "without_answer": float(draws.answers[question, members[0]] < 0),
                "relative_length": relative,
                "relative_length_by_log_samples": relative * np.log(len(samples)),
            }
            assert found == pytest.approx(wanted)
        if groups:
            found = dict(zip(QUESTION_FEATURES, table.question_features[question], strict=True))
            wanted = {
                "constant": 1,
                "log_samples": np.log(len(samples)),
                "mean_evidence": odds[question, samples].mean(),
                "leading_share": max(map(len, groups)) / len(samples),
                "log_distinct_share": np.log(len(groups) / len(samples)),
                "log_mean_tokens": np.log(draws.tokens[question, samples].mean()),
                "prior_mean": 0,
                "prior_std": 0,
            }
            assert found == pytest.approx(wanted)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_confidence_is_a_softmax_over_the_answers_and_none_of_them(seed):
    rng = np.random.default_rng(seed)
    draws = some_draws(seed)
    model = ConfidenceModel(EVIDENCE, rng.normal(size=len(GROUP_FEATURES)), rng.normal(size=len(QUESTION_FEATURES)))
    found = model(draws)
    utility = found.table.features @ model.answer_weights
    for question in range(len(draws.count)):
        mine = np.flatnonzero(found.table.question == question)
        rest = found.table.question_features[question] @ model.none_weights
        weights = np.exp(np.append(utility[mine], rest))
        assert np.append(found.right[mine], found.none[question]) == pytest.approx(weights / weights.sum())
        if not mine.size:
            assert found.leader[question] == -1 and found.of_leader[question] == 0
            continue
        assert found.leader[question] == mine[np.argmax(found.right[mine])]
        assert found.of_leader[question] == found.right[mine].max()
        assert found.of_runner_up[question] == (np.sort(found.right[mine])[-2] if mine.size > 1 else 0)
        members = np.flatnonzero(found.table.group[question] == found.leader[question])
        assert found.chosen[question] == members[np.argmax(draws.scores[question, members])]


def test_the_chosen_answer_does_not_depend_on_how_answers_are_numbered():
    draws = some_draws(3, questions=40)
    model = made_up().confidence
    renamed = np.where(draws.answers >= 0, 7 - draws.answers, -1)
    other = Draws(draws.scores, renamed, draws.tokens, draws.count, None, usable=draws.usable)
    assert np.array_equal(model(draws).chosen, model(other).chosen)


def test_confidence_selects_the_most_probable_answer_and_returns_something_where_all_were_cut_off():
    folder = folder_of()
    draws = drawn([0.9, 0.5, 0.6], [0.2, 0.1, 0.3], answers=[[0, 1, 1], [0, 0, 1]], prior=None)
    found = load_fitted(folder).confident(draws)
    assert select(f"confidence:{folder}", draws).tolist() == found.chosen.tolist()
    cut = Draws(draws.scores, draws.answers, draws.tokens, draws.count, None, usable=np.zeros((2, 3), np.bool_))
    assert select(f"confidence:{folder}", cut).tolist() == [0, 2]  # the best score, as under every rule
    assert load_fitted(folder).confident(cut).of_leader.tolist() == [0, 0]


def test_a_selection_needs_scores_where_its_confidence_looks_at_them():
    assert needs_scores("best_score") and needs_scores("weighted_majority") and not needs_scores("majority")
    assert needs_scores(f"confidence:{folder_of(made_up(slope=1.0))}")
    assert not needs_scores(f"confidence:{folder_of(made_up(slope=0.0))}")


def test_recalibration_is_a_logistic_line_that_changes_with_the_samples():
    lines = Recalibration(np.array([1, 4, 16]), np.array([0.1, 0.3, -0.5]), np.array([0.8, 1.0, 0.4]))
    found = lines(np.array([0.0, 0.9, 0.9, 0.9, 0.9]), np.array([3, 1, 8, 16, 99]))
    odds = np.log(9)  # 8 samples are half-way between 4 and 16 in logarithms
    wanted = [0.1 + 0.8 * odds, -0.1 + 0.7 * odds, -0.5 + 0.4 * odds, -0.5 + 0.4 * odds]
    assert found == pytest.approx([0.0, *expit(wanted)])


def test_only_a_fitted_selection_says_how_sure_it_is():
    draws, folder = some_draws(4), folder_of()
    assert np.isnan(choose("majority", draws).confidence).all()
    found = choose(f"confidence:{folder}", draws)
    assert found.confidence == pytest.approx(load_fitted(folder).confident(draws).of_leader)
    assert found.sample.tolist() == select(f"confidence:{folder}", draws).tolist()


def test_a_selection_keeps_the_version_that_it_names_when_another_policy_is_fitted_into_the_folder():
    folder, draws = folder_of(), some_draws(4)
    pinned = require_selection(f"confidence:{folder}")
    before = choose(pinned, draws).confidence
    save_fitted(made_up(slope=0.0), folder)
    assert choose(pinned, draws).confidence.tolist() == before.tolist()
    assert require_selection(pinned) == pinned != require_selection(f"confidence:{folder}")
    assert choose(f"confidence:{folder}", draws).confidence.tolist() != before.tolist()


def test_a_version_that_was_never_there_is_refused_and_a_copy_has_its_own_versions_name(tmp_path):
    folder = folder_of()
    version = load_fitted(folder).version
    with pytest.raises(InputError, match=f"holds version {version} of a fitted policy, and v0 is asked for"):
        require_selection(f"confidence:{folder},version=v0")
    save_fitted(made_up(), tmp_path / "copy")
    assert load_fitted(tmp_path / "copy").version == version != load_fitted(folder_of(made_up(slope=0.5))).version


@pytest.mark.parametrize(("leading", "second"), [(0, 0), (1, 0), (3, 1), (10, 9)])
def test_the_lead_is_that_of_two_shares_under_a_uniform_prior(leading, second):
    ahead = beta(leading + 1, second + 1).sf(0.5)
    found = lead_log_odds(np.array([float(leading)]), np.array([float(second)]))
    assert found == pytest.approx(np.log(ahead / (1 - ahead)))


def test_a_lead_beyond_doubt_counts_12():
    assert lead_log_odds(np.array([500.0]), np.array([0.0])) == [12.0]


def test_stopping_features_of_a_question_by_hand():
    draws = drawn([0.5, 0.25, 0.75, 0.5], answers=[[2, 5, 2, -1]], tokens=20.0, prior=None)
    model = ConfidenceModel(EVIDENCE, made_up().confidence.answer_weights, made_up().confidence.none_weights)
    found = model(draws)
    row = dict(zip(STOPPING_FEATURES, stopping_features(draws, found)[0], strict=True))
    wanted = {
        "log_samples": np.log(4),
        "leader": found.of_leader[0],
        "runner_up": found.of_runner_up[0],
        "none": found.none[0],
        "log_odds_of_lead": lead_log_odds(np.array([2.0]), np.array([1.0]))[0],
        "best_evidence": EVIDENCE(np.array([0.75]))[0],
        "log_mean_tokens": np.log(20),
        "prior_mean": 0.0,
        "prior_std": 0.0,
    }
    assert row == pytest.approx(wanted)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_stopping_features_of_any_questions_by_hand(seed):
    draws, model = some_draws(seed), made_up().confidence
    found = model(draws)
    rows = stopping_features(draws, found)
    odds = model.evidence(np.nan_to_num(draws.scores))
    for question in range(len(draws.count)):
        row = dict(zip(STOPPING_FEATURES, rows[question], strict=True))
        groups = by_hand(draws, question)
        # A sample without an answer votes for nothing, and nothing is not the runner-up of anything.
        answered = [len(group) for group in groups if draws.answers[question, group[0]] >= 0]
        leading, second, *_ = [*sorted(answered, reverse=True), 0, 0]
        assert row["log_samples"] == pytest.approx(np.log(draws.count[question]))
        assert row["log_odds_of_lead"] == pytest.approx(lead_log_odds(np.array([leading]), np.array([second]))[0])
        usable = [odds[question, sample] for group in groups for sample in group]
        assert row["best_evidence"] == pytest.approx(max(usable, default=-12))


@given(seed=st.integers(0, 1000), depth=st.integers(1, 4), trees=st.integers(0, 5))
@settings(max_examples=30)
def test_trees_are_walked_node_by_node(seed, depth, trees):
    rng = np.random.default_rng(seed)
    inner = 2**depth - 1
    feature = rng.integers(0, 3, (trees, inner)).astype(np.int32)
    threshold = np.where(rng.random((trees, inner)) < 0.2, np.inf, rng.integers(0, 4, (trees, inner)))
    found = BoostedTrees(feature, threshold, rng.normal(size=(trees, inner + 1)))
    rows = rng.integers(0, 5, (7, 3)).astype(np.float64)

    def walk(tree, row, node=0):
        if node >= inner:
            return found.leaf[tree, node - inner]
        goes_left = row[feature[tree, node]] <= threshold[tree, node]
        return walk(tree, row, 2 * node + (1 if goes_left else 2))

    wanted = [sum(walk(tree, row) for tree in range(trees)) for row in rows]
    assert found(rows) == pytest.approx(wanted)


def test_between_two_prices_both_have_a_say():
    model = made_up()
    row = np.zeros((1, len(STOPPING_FEATURES)))
    row[0, STOPPING_FEATURES.index("leader")] = 0.7  # stops at 1e-3, goes on at 1e-4
    at = [model.advantage(row, np.array([4]), price)[0] for price in (1e-2, 1e-3, np.sqrt(1e-7), 1e-4, 1e-9)]
    assert at == pytest.approx([-0.1, -0.1, 0.0, 0.1, 0.1])


def test_a_question_with_all_its_samples_stops():
    model = made_up()
    assert model.advantage(np.zeros((2, len(STOPPING_FEATURES))), np.array([31, 32]), 1e-4).tolist() == [0.1, 0.0]


def test_decision_points_follow_the_count():
    assert made_up().next_point(np.array([0, 1, 4, 5, 8, 31, 32, 40])).tolist() == [1, 2, 6, 6, 16, 32, 32, 32]


def test_a_budget_in_tokens_is_met_between_prices():
    model = made_up()
    assert [model.price_for_tokens(tokens) for tokens in (300, 120, 30)] == pytest.approx([1e-5, 1e-4, 1e-3])
    assert model.price_for_tokens(60) == pytest.approx(10**-3.5)  # half-way in both logarithms
    assert [model.price_for_tokens(tokens) for tokens in (5000, 1)] == pytest.approx([1e-5, 1e-3])


def test_an_accuracy_is_bought_at_the_highest_price_that_reaches_it():
    model = made_up()
    assert [model.price_for_accuracy(accuracy) for accuracy in (0.5, 0.6, 0.61, 0.85, 0.95)] == [
        1e-3,
        1e-3,
        1e-4,
        1e-5,
        1e-5,
    ]


def test_what_is_saved_is_what_is_read(tmp_path):
    model = made_up(uses_prior=True, source={"name": "default", "generator": "org/generator"})
    save_fitted(model, tmp_path / "policy")
    found = load_fitted(tmp_path / "policy")
    rows = np.random.default_rng(0).random((20, len(STOPPING_FEATURES)))
    for price in (1e-5, 3e-4):
        count = np.arange(20) + 1
        assert np.array_equal(found.advantage(rows, count, price), model.advantage(rows, count, price))
    draws = some_draws(1)
    assert np.array_equal(found.confidence(draws).right, model.confidence(draws).right)
    assert (found.uses_prior, found.source, found.facts) == (True, model.source, model.facts)
    assert found.targets.cheapest(0.6) == model.targets.cheapest(0.6) == (0, 0.5)


def test_evidence_that_bends_is_read_as_it_was_saved(tmp_path):
    evidence = ScoreEvidence(0.5, -1.0, (-1.0, 2.0), (1.5, -2.0))
    save_fitted(replace(made_up(), confidence=replace(made_up().confidence, evidence=evidence)), tmp_path)
    assert load_fitted(tmp_path).confidence.evidence == evidence


def test_a_fit_of_two_points_and_one_price_is_read(tmp_path):
    small = replace(
        made_up(),
        recalibration=Recalibration(np.array([1, 2]), np.zeros(2), np.ones(2)),
        points=np.array([1, 2]),
        prices=np.array([1e-4]),
        models=(PriceModel(np.zeros(1), stump("leader", 0.5, 0.1, -0.1)),),
        held_out=HeldOutCurve(*np.ones((4, 1))),
        fixed={name: np.array([0.5, 0.6]) for name in SELECTIONS},
        fixed_tokens=np.array([10.0, 20.0]),
        targets=AccuracyTargets(np.array([0.2, 0.5]), np.array([[0.4, 0.4]]), np.array([[1.0, 0.8]])),
        shapes=("agreement",),
    )
    save_fitted(small, tmp_path / "a" / "policy")  # whose folder is not there either
    assert load_fitted(tmp_path / "a" / "policy").depth == 2


def refusal_of(folder, name, change):
    """What is said of a folder in whose file one array was changed."""
    save_fitted(made_up(), folder)
    arrays = load_file(folder / ARRAYS)
    arrays[name] = np.ascontiguousarray(change(arrays[name]))
    save_file(arrays, folder / ARRAYS)
    with pytest.raises(InputError) as refusal:
        load_fitted(folder)
    assert str(folder) in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ("answer_weights", "answer_weights"),
        ("none_weights", "none_weights"),
        ("recalibration.intercept", "recalibration.intercept"),
        ("recalibration.slope", "recalibration.slope"),
        ("fixed_tokens", "fixed_tokens"),
        ("fixed.majority", "fixed.majority"),
        ("held_out.tokens", "held_out.tokens"),
        ("targets.coverage", "targets.coverage"),
        ("price1.base", "price1.base"),
        ("price1.leaf", "trees"),
        ("price1.threshold", "trees"),
        ("prices", "shapes"),
        ("points", "must hold"),  # nothing else is as long as it says
    ],
)
def test_an_array_that_does_not_fit_the_others_is_named(part, named, tmp_path):
    assert named in refusal_of(tmp_path / "short", part, lambda found: found[:-1])
    if part != "points":
        for change in (lambda found: found.astype(np.float32), lambda found: found * np.nan):
            said = refusal_of(tmp_path / "other", part, change)
            assert named in said or (part == "prices" and "prices" in said)


def with_first(value):
    return lambda found: np.concatenate([[value], found.ravel()[1:]]).reshape(found.shape).astype(found.dtype)


@pytest.mark.parametrize(
    ("part", "change", "named"),
    [
        ("points", with_first(2), "points"),
        ("points", lambda found: found[::-1], "points"),
        ("points", lambda found: found.astype(np.float64), "points"),
        ("points", lambda found: np.concatenate([[1, 1], found[2:]]), "points"),
        ("prices", with_first(0.0), "prices"),
        ("prices", lambda found: found[::-1], "prices"),
        ("held_out.price", with_first(0.0), "held-out figures"),
        ("held_out.price", lambda found: found[::-1], "held-out figures"),
        ("targets.threshold", lambda found: found[::-1], "targets"),
        ("targets.accuracy", lambda found: found[:, ::-1], "targets"),
        ("targets.coverage", lambda found: 0 * found, "targets"),
        ("price0.feature", with_first(len(STOPPING_FEATURES)), "trees"),
        ("price0.feature", with_first(-1), "trees"),
        ("price0.feature", lambda found: found.astype(np.float64), "trees"),
        ("price0.feature", lambda found: found[:, :-1], "trees"),
        ("price0.leaf", lambda found: found[:, :-1], "trees"),
        ("price0.leaf", lambda found: found[0], "trees"),
        ("price0.threshold", lambda found: found * np.nan, "trees"),
    ],
)
def test_what_an_array_may_not_hold_is_refused_by_its_name(part, change, named, tmp_path):
    assert f"{named} of this fitted policy are broken" in refusal_of(tmp_path, part, change)


@pytest.mark.parametrize("curve", ["held_out", "targets"])
def test_a_curve_without_points_is_refused(curve, tmp_path):
    empty = {name: part[..., :0] for name, part in vars(getattr(made_up(), curve)).items()}
    save_fitted(replace(made_up(), **{curve: type(getattr(made_up(), curve))(**empty)}), tmp_path)
    with pytest.raises(InputError, match="targets"):
        load_fitted(tmp_path)


def test_trees_must_have_a_power_of_two_of_leaves(tmp_path):
    save_fitted(made_up(), tmp_path)
    arrays = load_file(tmp_path / ARRAYS)
    for name, width in (("feature", 4), ("threshold", 4), ("leaf", 5)):
        part = arrays[f"price0.{name}"]
        arrays[f"price0.{name}"] = np.zeros((1, width), part.dtype)
    save_file(arrays, tmp_path / ARRAYS)
    with pytest.raises(InputError, match="trees of this fitted policy are broken"):
        load_fitted(tmp_path)


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("version", 0, "its version or its features differ"),
        ("features", {}, "its version or its features differ"),
        ("shapes", ["all"], "shapes of this fitted policy are broken"),
        *(
            (
                "evidence",
                dict(zip(("slope", "intercept", "knots", "bends"), one, strict=True)),
                "evidence of this fitted",
            )
            for one in (
                (-1.0, 0.0, [], []),
                (1.0, float("nan"), [], []),
                (float("inf"), 0.0, [], []),
                (1.0, 0.0, [0.0, 1.0], [0.5]),
                (1.0, 0.0, [1.0, 1.0], [0.5, 0.5]),
                (1.0, 0.0, [0.0, 1.0], [0.5, -1.6]),
                (1.0, 0.0, [float("nan")], [0.5]),
            )
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting, value, says, tmp_path):
    save_fitted(made_up(), tmp_path)
    content = json.loads((tmp_path / SETTINGS).read_text())
    (tmp_path / SETTINGS).write_text(json.dumps({**content, setting: value}))
    with pytest.raises(InputError, match=says):
        load_fitted(tmp_path)


def test_a_version_does_not_depend_on_how_settings_are_ordered(tmp_path):
    save_fitted(made_up(), tmp_path / "one")
    save_fitted(made_up(), tmp_path / "other")
    content = json.loads((tmp_path / "other" / SETTINGS).read_text())
    (tmp_path / "other" / SETTINGS).write_text(json.dumps(dict(reversed(content.items()))))
    assert load_fitted(tmp_path / "one").version == load_fitted(tmp_path / "other").version


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=str(tmp_path / "taken")):
        save_fitted(made_up(), tmp_path / "taken")


def test_a_folder_without_a_fitted_policy_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match=rf"{SETTINGS}: No such file.*optscale fit-policy"):
        load_fitted(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 99}', "{" * 100_000])
def test_settings_that_are_none_are_refused(content, tmp_path):
    save_fitted(made_up(), tmp_path)
    (tmp_path / SETTINGS).write_text(content)
    with pytest.raises(InputError, match=str(tmp_path)):
        load_fitted(tmp_path)


def test_arrays_that_are_none_are_refused(tmp_path):
    save_fitted(made_up(), tmp_path)
    (tmp_path / ARRAYS).write_bytes(b"no arrays")
    with pytest.raises(InputError, match=ARRAYS):
        load_fitted(tmp_path)


def test_a_stump_is_one_question():
    rows = np.zeros((2, len(STOPPING_FEATURES)))
    rows[1, STOPPING_FEATURES.index("none")] = 1
    assert stump("none", 0.5, 3.0, 4.0)(rows).tolist() == [3.0, 4.0]
    assert text_of("fitted", "price=1") != text_of("optscale", "price=1")


def test_the_worth_of_going_on_is_the_price_at_which_it_breaks_even():
    """Leaders of 0.5, 0.7, 0.9 and 0.99: going on pays at all prices, below 1e-3, below 1e-4, at none."""
    model = made_up()
    rows = np.zeros((4, len(STOPPING_FEATURES)))
    rows[:, STOPPING_FEATURES.index("leader")] = [0.5, 0.7, 0.9, 0.99]
    worth = model.worth(rows, np.full(4, 4))
    assert worth == pytest.approx([1e-3, 10**-3.5, 10**-4.5, 0.0])
    for row, price in enumerate(worth[1:3], 1):  # on either side of it the decision turns
        at = [model.advantage(rows[[row]], np.array([4]), price * factor)[0] for factor in (0.99, 1.01)]
        assert at[0] > 0 > at[1]
    assert model.worth(rows[:1], np.array([32])).tolist() == [0.0]  # nothing further to be had


@given(seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_worth_is_the_highest_price_at_which_any_rules_go_on(seed):
    """Rules that pay at any prices, whatever their order: just below the worth going on pays, and nowhere above."""
    rng = np.random.default_rng(seed)
    base, trees = rng.normal(0, 1, (3, 7)), stump("leader", 2.0, 0.0, 0.0)
    model = replace(made_up(), models=tuple(PriceModel(row, trees) for row in base))
    rows, count = np.zeros((7, len(STOPPING_FEATURES))), np.array([1, 2, 3, 4, 6, 8, 16])
    worth = model.worth(rows, count)
    for question in range(7):
        one, price = (rows[[question]], count[[question]]), worth[question]
        above = [p for p in np.geomspace(1e-5, 1e-3, 41) if p > price * 1.001]
        assert all(model.advantage(*one, p)[0] <= 1e-9 for p in above)
        if price:
            assert model.advantage(*one, price * 0.9999)[0] > -1e-9


def test_without_the_prior_a_model_that_looks_at_none_sees_the_same():
    weights = np.zeros(len(QUESTION_FEATURES))
    weights[QUESTION_FEATURES.index("prior_mean")] = 2.0
    draws = drawn([0.8, 0.3], [0.9])
    for uses in (True, False):
        model = made_up(uses_prior=uses)
        model = replace(model, confidence=replace(model.confidence, none_weights=weights))
        bare = draws.without_prior()
        assert np.array_equal(model.confident(draws).none, model.confident(bare).none) != uses
        assert np.array_equal(model.features(draws), model.features(bare)) != uses
        assert (model.features(draws)[:, STOPPING_FEATURES.index("prior_mean")] != 0).all() == uses


def test_two_fitted_policies_do_not_share_what_they_remember():
    draws = replace(drawn([0.8, 0.3], [0.9], prior=None), memo=PrefixMemo(2, 2), rows=np.arange(2))
    one, other = made_up(), made_up(slope=0.0)
    first = one.features(draws)
    assert np.array_equal(first, one.features(draws)) and not np.allclose(first, other.features(draws))


def test_probabilities_are_kept_off_0_and_1():
    odds = log_odds(np.array([0.0, 1e-4, 0.5, 1 - 1e-4, 1.0]))
    assert odds == pytest.approx([-9.21024, -9.21024, 0, 9.21024, 9.21024], abs=1e-5)


def test_a_target_of_certainty_or_of_nothing_is_none():
    targets = AccuracyTargets(np.array([0.2, 0.9]), np.array([[0.0, 1.0]]), np.array([[1.0, 0.5]]))
    for accuracy in (0.0, 1.0):
        with pytest.raises(InputError, match=r"accuracy must lie in \(0, 1\)"):
            targets.cheapest(accuracy)
    assert targets.cheapest(0.999) == (0, 0.9)


@pytest.mark.parametrize(
    ("accuracy", "found"),
    [
        (0.4, (2, 0.2)),  # all answers are that often right at any price
        (0.5, (0, 0.5)),  # 0.8 of them at the lowest price, fewer than 0.95 of that at the others
        (0.7, (0, 0.5)),
        (0.71, (0, 0.9)),
        (0.95, (0, 0.9)),
    ],
)
def test_a_stated_accuracy_takes_the_highest_price_that_covers_nearly_as_many(accuracy, found):
    targets = made_up().targets
    assert targets.cheapest(accuracy) == found
    alike = replace(targets, coverage=np.array([[1.0, 0.8, 0.6], [1.0, 0.77, 0.58], [1.0, 0.3, 0.0]]))
    assert alike.cheapest(accuracy) == (max(found[0], 1), found[1])
    with pytest.raises(InputError, match=r"accuracy=0.96 is out of reach: .* were right 0.950 of the time"):
        targets.cheapest(0.96)  # reached at the highest price by nobody


def test_a_budget_of_hardly_a_token_is_met_between_prices_too():
    model = made_up()
    model = replace(model, held_out=replace(model.held_out, tokens=np.array([300.0, 120.0, 1.2])))
    assert model.price_for_tokens(12) == pytest.approx(10**-3.5)  # half-way between 1.2 and 120
