"""Choosing settings: at par is within one standard error, and the split that reports is not looked at."""

import re

import numpy as np
import pytest
from fitted_policies import folder_of, made_up
from hypothesis import given
from hypothesis import strategies as st
from small_pools import refused
from synthetic_pool import write_pool

from optscale_predictor import Prior
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.policies import POLICIES, parse_policy
from optscale_predictor.predictor.model.config import ScoreSource
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayRow
from optscale_predictor.replays.setting_grids import label_settings, make_entries, score_targets
from optscale_predictor.replays.tuning import (
    cheapest_at_par,
    frontier,
    short_form,
    split_questions,
    tune_frontiers,
    tune_settings,
)
from optscale_predictor.stats.bootstrap import Estimate
from optscale_predictor.stats.calibration import fit_isotonic


def row(label, policy, accuracy, tokens):
    one = Estimate(0.0, 0.0, 0.0, 0.0)
    exact = [Estimate(value, 0.01, value, value) for value in (accuracy, tokens)]
    return ReplayRow(policy, label, exact[0], one, one, one, exact[1])


def test_settings_are_chosen_on_one_split_and_reported_on_the_other():
    train = [
        row("a", "a:1", 0.80, 10),
        row("a", "a:2", 0.70, 5),
        row("b", "b:1", 0.60, 1),
        row("b", "b:2", 0.65, 9),
        row("r", "r", 0.805, 50),
    ]
    test = [
        row("a", "a:1", 0.50, 11),
        row("a", "a:2", 0.90, 5),
        row("b", "b:1", 0.9, 1),
        row("b", "b:2", 0.4, 9),
        row("r", "r", 0.8, 50),
    ]
    choices = {choice.reported.label: choice for choice in tune_settings(train, test, "r")}
    assert all(
        (one.chosen_on.label, one.chosen_on.policy) == (label, one.reported.policy) for label, one in choices.items()
    )
    assert all(one.chosen_on in train and one.reported in test for one in choices.values())
    # The better row of the test split is not looked at; where none is at par the most accurate is taken.
    assert choices["a"].reported.policy == "a:1" and choices["a"].reported.accuracy.mean == 0.50
    assert choices["b"].reported.policy == "b:2"
    with pytest.raises(InputError, match="missing from the split that reports"):
        tune_settings(train, test[:1], "r")
    with pytest.raises(InputError, match="no row of"):
        tune_settings(train, test, "other")


def with_error(policy, accuracy, error, tokens):
    one = Estimate(0.0, 0.0, 0.0, 0.0)
    return ReplayRow(policy, "x", Estimate(accuracy, error, 0, 1), one, one, one, Estimate(tokens, 99.0, 0, 1))


def test_at_par_is_within_one_standard_error_of_the_reference():
    """The reference's own error, and exactly one of it: 0.75 is at par with 0.8125 +- 0.0625, a hair less is not."""
    reference = with_error("r", 0.8125, 0.0625, 50)
    within, beyond = with_error("within", 0.75, 9.0, 10), with_error("beyond", 0.7499, 9.0, 1)
    assert cheapest_at_par([beyond, within, reference], reference) is within
    assert cheapest_at_par([beyond, with_error("two", 0.8125 - 0.125, 9.0, 2), reference], reference) is reference


def test_of_those_at_par_the_cheapest_is_taken_however_accurate():
    reference = with_error("r", 0.5, 0.1, 50)
    rows = [with_error("a", 0.9, 0.0, 20), with_error("b", 0.45, 0.0, 10), with_error("c", 0.6, 0.0, 15)]
    assert cheapest_at_par(rows, reference) is rows[1]


def test_where_none_is_at_par_the_most_accurate_is_taken_and_of_those_the_cheapest():
    reference = with_error("r", 0.9, 0.01, 50)
    rows = [with_error("a", 0.6, 0.0, 1), with_error("b", 0.7, 0.0, 20), with_error("c", 0.7, 0.0, 10)]
    assert cheapest_at_par(rows, reference) is rows[2]
    with pytest.raises(InputError, match="no settings to choose from"):
        cheapest_at_par([], reference)


def test_labels_keep_their_order_and_a_policy_is_looked_up_under_its_own_label():
    rows = [row("b", "p", 0.8, 5), row("a", "p", 0.8, 7), row("r", "r", 0.8, 50)]
    choices = tune_settings(rows, rows[::-1], "r")
    assert [choice.chosen_on.label for choice in choices] == ["b", "a", "r"]
    assert [(choice.reported.label, choice.reported.tokens.mean) for choice in choices] == [
        ("b", 5),
        ("a", 7),
        ("r", 50),
    ]


def test_a_frontier_holds_what_no_cheaper_row_reaches():
    rows = [
        row("x", f"p:{accuracy}", accuracy, tokens) for accuracy, tokens in ((0.5, 9), (0.7, 5), (0.6, 3), (0.8, 7))
    ]
    rows += [row("x", "as cheap", 0.65, 5), row("x", "no better", 0.8, 8)]
    assert [one.policy for one in frontier(rows)] == ["p:0.6", "p:0.7", "p:0.8"]
    reported = [row("x", one.policy, 0.1, 1) for one in rows]
    tuned = tune_frontiers(rows, reported)
    assert [choice.reported.policy for choice in tuned] == ["p:0.6", "p:0.7", "p:0.8"]
    assert all(choice.reported in reported and choice.chosen_on in rows for choice in tuned)


def test_a_frontier_is_reported_under_its_own_label():
    rows = [row("b", "p", 0.8, 5), row("a", "p", 0.8, 7)]
    reported = [choice.reported for choice in tune_frontiers(rows, rows)]
    assert [(one.label, one.tokens.mean) for one in reported] == [("b", 5), ("a", 7)]


@given(
    group=st.lists(st.integers(0, 9), min_size=2, max_size=60).filter(lambda found: len(set(found)) > 1),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 5),
)
def test_both_sides_of_a_split_have_questions_and_no_group_is_on_both(group, share, seed):
    group = np.array(group)
    chosen_on, reported = split_questions(group, share, seed)
    assert sorted([*chosen_on, *reported]) == list(range(len(group))) and chosen_on.size and reported.size
    assert not set(group[chosen_on]) & set(group[reported])


def test_a_split_keeps_its_share_and_says_what_it_cannot_split():
    chosen_on, reported = split_questions(np.arange(100), 0.3, 0)
    assert (len(chosen_on), len(reported)) == (30, 70)
    assert not np.array_equal(chosen_on, split_questions(np.arange(100), 0.3, 1)[0])
    assert np.array_equal(chosen_on, split_questions(np.arange(100), 0.3, 0)[0])
    with pytest.raises(InputError, match="near-duplicates of one another"):
        split_questions(np.zeros(5, np.int64), 0.5, 0)
    for share in (0, 1):
        with pytest.raises(InputError, match=r"share must lie in \(0, 1\)"):
            split_questions(np.arange(5), share, 0)


@pytest.mark.parametrize("text", ["optscale", "best_of_n:max_samples=8", "cost_aware:price=0.5,step=double", "esc"])
def test_a_short_form_names_only_what_is_not_the_default(text):
    assert short_form(parse_policy(text)) == text


def made_pool(scale=1.0, tokens=50.0):
    rng = np.random.default_rng(0)
    scores = scale * rng.random((12, 8))
    return RecordedSamples(scores, rng.integers(0, 3, (12, 8)), np.full((12, 8), tokens), np.ones((12, 8)))


def alike(scores):
    """Samples that differ in their scores only."""
    one = np.ones(scores.shape)
    return RecordedSamples(scores, np.zeros(scores.shape, np.int64), one, one)


def test_grids_follow_the_pools_scores_and_tokens():
    """Scores a tenth as high: targets a tenth as high. Answers ten times as long: a tenth of the price a token."""
    for target, tenth in zip(score_targets(made_pool()), score_targets(made_pool(0.1)), strict=True):
        assert tenth == pytest.approx(target / 10, abs=2e-4)

    def prices(tokens):
        entries = make_entries(made_pool(tokens=tokens), None, 8)
        return [entry.policy.price for entry in entries if entry.policy.name == "cost_aware" and entry.policy.price]

    assert prices(500.0) == pytest.approx([price / 10 for price in prices(50.0)], rel=0.01)
    assert prices(1.0) == pytest.approx([50 * price for price in prices(50.0)])
    assert score_targets(alike(np.full((2, 3), 0.5))) == [0.5]


def test_targets_stand_between_the_modes_of_scores_too_and_never_above_a_score_that_many_share():
    scores = np.where(np.arange(40) < 18, 0.00004, 0.91396).reshape(2, 20)
    targets = score_targets(alike(scores))
    assert targets[0] == 0 and targets[-1] == 0.9139 and len([one for one in targets if 0.1 < one < 0.9]) == 4


def test_every_policy_but_bounds_and_what_has_to_be_fitted_has_a_grid():
    prior = Prior(0.5, 0.2, 2.0)
    entries = make_entries(made_pool(), prior, 8)
    tried = {entry.policy.name for entry in entries}
    assert tried == POLICIES.keys() - {"oracle", "clairvoyant", "fitted"}
    without = {entry.policy.name for entry in make_entries(made_pool(), None, 8)}
    assert without == tried - {entry.policy.name for entry in entries if entry.policy.needs_prior}
    assert all(entry.policy.max_samples <= 8 for entry in make_entries(made_pool(), prior, 8))


#: What is tried of each label on samples of 50 tokens whose scores give these targets, at a cap of 8.
TARGETS = [0.1, 0.2, 0.3]
SAMPLE_PRICES = [0.0003, 0.001, 0.003, 0.01, 0.02, 0.05]
TRIED = {
    "best_of_n": {"max_samples": [1, 2, 4, 8]},
    "self_consistency": {"max_samples": [1, 2, 4, 8]},
    "asc_beta": {"confidence": [0.8, 0.9, 0.95, 0.99]},
    "asc_dirichlet": {"confidence": [0.8, 0.9, 0.95, 0.99]},
    "esc": {"window": [2, 3, 4, 5, 8]},
    "dsc": {"easy": [0.1, 0.1, 0.3, 0.3, 1, 1], "confidence": [0.9, 0.95] * 3},
    "optscale_0 (paper)": {"score_min": TARGETS, "peek": [3] * 3, "form": ["sequential"] * 3},
    "optscale_0 (code)": {"score_min": TARGETS, "peek": [5] * 3, "form": ["jump"] * 3},
    "optscale_t (code)": {"score_min": TARGETS, "peek": [5] * 3, "form": ["jump"] * 3},
    **{
        f"plug_in ({family})": {"score_min": TARGETS, "peek": [5] * 3, "form": ["jump"] * 3, "family": [family] * 3}
        for family in ("beta", "point_masses", "empirical_tail")
    },
    "beacon": {"cost": [0.001, 0.003, 0.01, 0.03, 0.1]},
    "pandora": {"cost": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2], "min_samples": [5] * 5},
    "instance_adaptive": {"q": [0.5, 0.8, 0.9, 0.99]},
    "cost_aware, score": {
        "sample_price": SAMPLE_PRICES + [0.01] * 6,
        "price": [0.0] * 6 + [20 * price for price in SAMPLE_PRICES],
    },
    "cost_aware, right": {
        "sample_price": SAMPLE_PRICES + [0.01] * 6,
        "price": [0.0] * 6 + [20 * price for price in SAMPLE_PRICES],
    },
    "shared_budget": {"tokens": [100.0, 200.0, 400.0, 800.0]},
    "optscale, no prior": {"score_min": TARGETS},
    "optscale": {"score_min": TARGETS},
}
WITH_PRIOR = {"dsc", "optscale_t (code)", "instance_adaptive", "cost_aware, score", "cost_aware, right"}
WITH_PRIOR |= {"shared_budget", "optscale"}


@pytest.mark.parametrize("given_prior", [True, False])
@pytest.mark.parametrize("calibrated", [True, False])
def test_what_is_tried_of_each_policy(given_prior, calibrated, tmp_path, monkeypatch):
    monkeypatch.setattr("optscale_predictor.replays.setting_grids.score_targets", lambda recorded: TARGETS)
    calibration = ""
    if calibrated:
        calibration = str(tmp_path / "calibration.json")
        rng = np.random.default_rng(0)
        fit_isotonic(rng.random(50), rng.random(50) < 0.5).save(calibration)
    prior = Prior(0.5, 0.2, 2.0) if given_prior else None
    found = {}
    for entry in make_entries(made_pool(), prior, 8, calibration):
        found.setdefault(entry.label, []).append(entry)
    wanted = TRIED.keys() - (set() if calibrated else {"cost_aware, right"})
    wanted -= set() if given_prior else {"optscale, no prior", "dsc", "optscale_t (code)", "instance_adaptive"}
    assert found.keys() == wanted
    for label, entries in found.items():
        for setting, values in TRIED[label].items():
            tried = [getattr(entry.policy, setting) for entry in entries]
            assert tried == (values if isinstance(values[0], str) else pytest.approx(values)), (
                label,
                setting,
            )
        assert all(entry.prior is (prior if label in WITH_PRIOR else None) for entry in entries)
        assert all(entry.selection is None for entry in entries)
        assert all(entry.policy.max_samples == 8 for entry in entries if label not in ("best_of_n", "self_consistency"))
        reads = label in ("cost_aware, right", "instance_adaptive")
        assert {getattr(entry.policy, "calibration", "") for entry in entries} == {calibration if reads else ""}


def test_a_fitted_policy_is_tried_at_the_prices_of_the_pools_samples_and_no_deeper_than_it_knows():
    folder = folder_of()  # fitted to 32 samples
    for cap, most in ((8, 8), (64, 32)):
        found = [one for one in make_entries(made_pool(), None, cap, "", folder) if one.label == "fitted"]
        assert [one.policy.price for one in found] == pytest.approx([20 * price for price in SAMPLE_PRICES], rel=0.01)
        assert {(one.policy.path, one.policy.max_samples) for one in found} == {(folder, most)}
    needy = folder_of(made_up(uses_prior=True))
    assert "fitted" not in {one.label for one in make_entries(made_pool(), None, 8, "", needy)}
    prior = Prior(0.5, 0.2, 2.0)
    given = [one.prior for one in make_entries(made_pool(), prior, 8, "", needy) if one.label == "fitted"]
    assert len(given) == 6 and all(one is prior for one in given)


def test_a_selection_is_that_of_every_entry():
    assert {one.selection for one in make_entries(made_pool(), None, 8, selection="majority")} == {"majority"}


def test_a_label_keeps_what_its_texts_are_given():
    prior = Prior(0.5, 0.2, 2.0)
    found = list(label_settings("mine", ["optscale:max_samples=3", "cost_aware"], prior, 8, "majority"))
    assert [(one.label, one.prior, one.selection) for one in found] == [("mine", prior, "majority")] * 2
    assert [one.policy.max_samples for one in found] == [3, 8]


def test_targets_are_quantiles_of_the_scores_and_points_evenly_between_the_outermost():
    scores = np.random.default_rng(0).random((30, 30)) ** 3
    quantiles = np.quantile(scores, [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98])
    between = quantiles[0] + (quantiles[-1] - quantiles[0]) * np.array([0.2, 0.4, 0.6, 0.8])
    assert score_targets(alike(scores)) == pytest.approx(sorted([*quantiles, *between]), abs=1e-4)
    assert (np.array(score_targets(alike(scores))) <= sorted([*quantiles, *between])).all()


def labelled_pool(folder, right=True):
    rng = np.random.default_rng(0)
    correct = rng.random((16, 4)) < 0.5
    scores = np.clip(0.5 * correct + 0.4 * rng.random((16, 4)), 0, 1)
    known = correct.tolist() if right else [[None] * 4] * 16
    return write_pool(folder, scores.tolist(), correct=known, answer=correct.astype(str).tolist())


def test_the_command_prints_policies_that_replay_reads(tmp_path, capsys):
    labelled_pool(tmp_path / "pool")
    main(["tune", str(tmp_path / "pool"), "--num_orders", "1", "--output", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "settings chosen on 8 questions, figures of the other 8" in printed
    assert printed.count("against Best-of-k at equal tokens") == 2
    at_par, texts = (found.split() for found in re.findall(r'^--policies "(.*)"$', printed, re.MULTILINE))
    for found in (at_par, texts):
        assert {"best_of_n", "optscale", "cost_aware", "asc_beta"} <= {parse_policy(text).name for text in found}
        assert len(found) == len(set(found))
    assert len(at_par) < len(texts) and (tmp_path / "out" / "table.json").exists()
    main(["replay", str(tmp_path / "pool"), "--num_orders", "1", "--policies", " ".join(texts[:2])])


def test_the_command_tries_a_fitted_policy_and_chooses_answers_as_it_is_told(tmp_path, capsys):
    labelled_pool(tmp_path / "pool")
    folder = folder_of()
    given = ["tune", str(tmp_path / "pool"), "--num_orders", "1", "--fitted", folder]
    main([*given, "--selection", f"confidence:{folder}"])
    printed = capsys.readouterr().out
    found = re.findall(r'^--policies "(.*)" --selection (.*)$', printed, re.MULTILINE)
    assert len(found) == 2 and all(f"fitted:path={folder},price=" in texts for texts, _ in found)
    main(["replay", str(tmp_path / "pool"), "--num_orders", "1", "--policies", found[0][0], "--selection", found[0][1]])
    other = folder_of(made_up(source=ScoreSource(generator="org/other").as_dict()))
    pool = str(tmp_path / "pool")
    for flags in (("--fitted", other), ("--selection", f"confidence:{other}")):
        assert "fitted to other samples than these: generator" in refused(capsys, "tune", pool, *flags)
    assert "unknown selection 'best'" in refused(capsys, "tune", pool, "--selection", "best")
    assert "no fitted policy" in refused(capsys, "tune", pool, "--fitted", str(tmp_path))


def test_the_command_refuses_what_it_cannot_do(tmp_path, capsys):
    labelled_pool(tmp_path / "pool"), labelled_pool(tmp_path / "bare", right=False)
    assert "not every sample is known to be right" in refused(capsys, "tune", str(tmp_path / "bare"))
    for flag, value in (("num_orders", "0"), ("seed", "-1"), ("share", "1")):
        assert f"{flag} must" in refused(capsys, "tune", str(tmp_path / "pool"), f"--{flag}", value)
