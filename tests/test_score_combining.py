"""Coefficients of several verifiers' scores: against a known truth, held out, and refused where none can be learnt."""

import numpy as np
import pytest
from scipy.special import expit, logit
from two_scores import two_scores

from optscale_predictor.errors import InputError
from optscale_predictor.replays.fitting.combine_scores import combine_scores
from optscale_predictor.stats.reliability import reliability


def test_the_coefficients_are_those_behind_the_labels():
    scores, correct = two_scores(3000)
    found = combine_scores(scores, correct, np.arange(3000))
    assert found.slopes == pytest.approx((0.8, 1.5), abs=0.06) and found.intercept == pytest.approx(-0.4, abs=0.06)
    truth = expit(-0.4 + logit(scores) @ np.array([0.8, 1.5]))
    assert np.abs(found.held_out - truth).max() < 0.03


def test_a_score_that_says_nothing_gets_no_weight_and_two_say_more_than_one():
    scores, correct = two_scores(2000, slopes=(1.0, 0.0))
    assert combine_scores(scores, correct, np.arange(2000)).slopes[1] < 0.05
    scores, correct = two_scores(2000, slopes=(1.0, 1.0))
    held_out = combine_scores(scores, correct, np.arange(2000)).held_out
    alone = [reliability(scores[..., part], correct).auc for part in range(2)]
    assert reliability(held_out, correct).auc > max(alone) + 0.05
    assert reliability(held_out, correct).calibration_error < 0.02


def test_no_question_is_scored_by_what_its_own_labels_taught():
    """Whatever a group's labels are, its held-out scores stay; those of others follow them."""
    scores, correct = two_scores(40)
    group = np.arange(40) // 2
    before = combine_scores(scores, correct, group).held_out
    changed = correct.copy()
    changed[6:8] = 1 - changed[6:8]  # one group
    after = combine_scores(scores, changed, group).held_out
    same = (before == after).all(-1)
    assert same[6:8].all() and not same.all()


def test_unlabelled_samples_teach_nothing_and_are_scored():
    scores, correct = two_scores(60)
    holes = correct.copy()
    holes[:20] = np.nan
    found = combine_scores(scores, holes, np.arange(60))
    assert not np.isnan(found.held_out).any()
    kept = combine_scores(scores[20:], correct[20:], np.arange(40))
    assert found.slopes == pytest.approx(kept.slopes, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda labels: labels[:9], "10 labelled questions at least .*, got 9"),
        (lambda labels: np.zeros_like(labels), "all samples are wrong"),
        (lambda labels: np.ones_like(labels), "all samples are right"),
        (lambda labels: np.full_like(labels, np.nan), "got 0"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(change, says):
    scores, correct = two_scores(20)
    labels = change(correct)
    with pytest.raises(InputError, match=says):
        combine_scores(scores[: len(labels)], labels, np.arange(len(labels)))
