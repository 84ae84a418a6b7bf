"""Parts of training a verifier, against brute force and what defines them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from labelled_sums import made_up_samples, samples_of
from sklearn.metrics import roc_auc_score
from small_pools import questions_of, write_pool

from optscale_predictor.backends.verifiers import LogisticMap
from optscale_predictor.backends.verifiers.sample_reader import SampleTokens
from optscale_predictor.backends.verifiers.trained_config import TrainedVerifierConfig
from optscale_predictor.backends.verifiers.training.held_out_figures import calibration_figures, probability_map
from optscale_predictor.backends.verifiers.training.question_batches import QuestionBatches
from optscale_predictor.backends.verifiers.training.verifier_loss import verifier_losses
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.labelled_pools import read_labelled
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.ranking import auc, auc_within

worlds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@given(worlds)
def test_areas_under_the_curve_are_those_of_scikit_learn(rng):
    question = rng.integers(0, 5, 40)
    scores, correct = rng.integers(0, 8, 40) / 8, rng.random(40) < 0.5
    correct[:2] = True, False
    assert auc(scores, correct) == pytest.approx(roc_auc_score(correct, scores))
    mixed = [one for one in range(5) if 0 < correct[question == one].sum() < (question == one).sum()]
    each = [roc_auc_score(correct[question == one], scores[question == one]) for one in mixed]
    found = auc_within(scores, correct, question)
    assert found.questions == len(mixed)
    if mixed:
        assert found.auc == pytest.approx(np.mean(each))


def test_knowing_which_questions_are_hard_is_no_choice_among_samples():
    question = np.repeat(np.arange(4), 10)
    correct = np.arange(40) % 10 < np.repeat([1, 3, 7, 9], 10)
    easy = np.repeat([0.1, 0.3, 0.7, 0.9], 10)
    assert auc(easy, correct) > 0.75 and auc_within(easy, correct, question).auc == 0.5
    assert np.isnan(auc_within(easy, np.ones(40, bool), question).auc)


@given(worlds)
def test_the_loss_is_what_it_says(rng):
    rewards = torch.from_numpy(rng.normal(size=12))
    question = torch.from_numpy(rng.permutation(np.repeat([4, 7, 9], 4)))
    correct = torch.from_numpy(rng.random(12) < 0.5)
    expected = []
    for one in (4, 7, 9):
        mine = [index for index in range(12) if question[index] == one]
        right = [rewards[index].item() for index in mine if correct[index]]
        wrong = [rewards[index].item() for index in mine if not correct[index]]
        entropy = np.mean([np.log1p(np.exp(-r)) for r in right] + [np.log1p(np.exp(r)) for r in wrong])
        pairs = [np.log1p(np.exp(bad - good)) for good in right for bad in wrong]
        expected.append(entropy + 0.5 * (np.mean(pairs) if pairs else 0.0))
    assert verifier_losses(rewards, correct, question, 0.5).tolist() == pytest.approx(expected)


def batches_of(correct, samples, seed=0):
    """Four questions of 16 samples each."""
    read = [SampleTokens([1] * (3 + index % 5), 1) for index in range(64)]
    return QuestionBatches(read, correct, np.split(np.arange(64), 4), samples, 40, 0, seed)


@given(worlds, st.integers(2, 20))
def test_every_epoch_draws_samples_of_its_own_with_pairs_wherever_there_are_any(rng, samples):
    correct = rng.random(64) < rng.random()
    batches = batches_of(correct, samples)
    for question, rows in enumerate(np.split(np.arange(64), 4)):
        drawn = batches.draw(question, 2)
        assert len(set(drawn.tolist())) == min(samples, 16) and set(drawn.tolist()) <= set(rows.tolist())
        assert len(np.unique(correct[drawn])) == len(np.unique(correct[rows]))
        assert batches.draw(question, 2).tolist() == drawn.tolist()
    others = [batches_of(correct, 8).draw(0, epoch).tolist() for epoch in range(4)]
    assert len({tuple(sorted(one)) for one in others}) > 1


def test_a_batch_holds_whole_questions_within_its_budget():
    batches = batches_of(np.arange(64) % 2 == 0, 2)
    seen = []
    for batch in batches.loader():
        assert batch["tokens"].numel() <= 40 and batch["tokens"].shape == batch["mask"].shape
        for one in set(batch["question"].tolist()):
            assert sorted(batch["correct"][batch["question"] == one].tolist()) == [False, True]
        seen.append(len(batch["correct"]))
    assert sum(seen) == 8


def test_near_duplicates_stand_on_one_side_of_the_split():
    questions = [Question(f"q{n}", f"{n}+1=", str(n + 1)) for n in range(40)]
    samples = samples_of([[f"#### {n + 1}", "#### 0"] for n in range(40)], questions)
    samples = replace(samples, group=np.arange(40) // 4)
    train, held_out = samples.split(0.3, 0)
    sides = [{int(samples.group[samples.question[one]]) for one in side} for side in (train, held_out)]
    assert not sides[0] & sides[1] and sides[0] | sides[1] == set(range(10)) and len(sides[1]) == 3
    assert len(train) + len(held_out) == 80
    assert samples.split(0.3, 0)[1].tolist() == held_out.tolist() != samples.split(0.3, 1)[1].tolist()
    one_each = samples.some_of_each(held_out, 1, 0)
    assert set(one_each.tolist()) <= set(held_out.tolist())
    assert np.bincount(samples.question[one_each]).max() == 1 and len(one_each) == len(held_out) / 2


@given(worlds)
def test_the_score_map_makes_rewards_probabilities(rng):
    log_odds = rng.normal(size=2000)
    correct = rng.random(2000) < 1 / (1 + np.exp(-log_odds))
    found = probability_map(3 * log_odds + 5, correct)
    assert found.fitted == "labels" and found.location == pytest.approx(5, abs=0.6)
    assert calibration_figures(3 * log_odds + 5, correct, np.arange(2000) // 4)["calibration_error"] < 0.06
    assert probability_map(-log_odds, correct) == LogisticMap()  # worse than nothing: the rewards as they are
    assert probability_map(np.zeros(9), np.ones(9, bool)) == LogisticMap()


def test_samples_of_pools_come_with_labels_prompt_and_groups(tmp_path):
    write_pool(tmp_path / "one", samples=7, shard=3, chat=True)
    write_pool(tmp_path / "two", questions_of(3, first=2), samples=2, seed=1, chat=True)
    read = read_labelled([Pool(tmp_path / "one"), Pool(tmp_path / "two")], 3)
    assert np.bincount(read.question).tolist() == [3, 3, 3, 3, 2, 2, 2]
    assert (read.prompt, read.chat) == ("{question}", True)
    for item, right in zip(read.items, read.correct, strict=True):
        assert item.written.endswith(f"#### {item.question.gold}") == right
    assert read.group[2] == read.group[4] and len(set(read.group.tolist())) == 5  # q2 and q3 are in both pools
    again = read_labelled([Pool(tmp_path / "one"), Pool(tmp_path / "two")], 3)
    assert again.fingerprint == read.fingerprint
    assert read_labelled([Pool(tmp_path / "one")], 3, seed=1).fingerprint != read.fingerprint
    write_pool(tmp_path / "other", questions_of(3), samples=2, chat=False)
    with pytest.raises(InputError, match=r"other: its chat is 'False', that of .*one 'True'"):
        read_labelled([Pool(tmp_path / "one"), Pool(tmp_path / "other")], 3)


def test_a_config_comes_back_and_a_bad_one_is_refused():
    config = TrainedVerifierConfig("org/base", "0" * 16, score_map=LogisticMap(1.0, 2.0, "labels", 40))
    assert TrainedVerifierConfig.from_json(json.loads(json.dumps(config.as_json()))) == config
    for change, says in (
        ({"kind": "both"}, "kind must be one of decoder, encoder"),
        ({"prompt": "none"}, "has no {question}"),
        ({"max_length": 0}, "max_length"),
        ({"score_map": {"location": 0.0, "scale": -1.0}}, "scale > 0"),
        ({"score_map": {"slope": 1.0}}, "score_map"),
        ({"format": 9}, "format '9'"),
        ({"further": 1}, "'further'"),
        ({"base_source": {"license": ["mit"]}}, "a model's license"),
    ):
        with pytest.raises(InputError, match=says):
            TrainedVerifierConfig.from_json({**config.as_json(), **change})


def test_made_up_wrong_solutions_are_wrong():
    samples = made_up_samples(10)
    assert samples.correct.mean() == 0.5 and all(samples.is_mixed(rows) for rows in samples.rows().values())
