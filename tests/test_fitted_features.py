"""What a fitted policy sees of a question and how sure it is: held against the same done one answer at a time."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import drawn, some_draws
from fitted_policies import made_up
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import beta

from optscale_predictor.policies import Draws, PrefixMemo
from optscale_predictor.policies.fitted.answer_features import (
    GROUP_FEATURES,
    QUESTION_FEATURES,
    ScoreEvidence,
    answer_table,
)
from optscale_predictor.policies.fitted.confidence_model import ConfidenceModel
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES, lead_log_odds, stopping_features
from optscale_predictor.stats.log_odds import log_odds

EVIDENCE = ScoreEvidence(0.7, -0.3)


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
