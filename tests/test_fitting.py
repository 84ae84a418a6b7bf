"""Fitting a policy: in worlds whose best rule is known, on few questions, and from the command line."""

import re
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from fitted_policies import made_up
from small_pools import refused
from synthetic_pool import write_pool

from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.policies import Draws, parse_policy
from optscale_predictor.policies.fitted.model_files import load_fitted, save_fitted
from optscale_predictor.replays.fitting import fit_policy as fitting
from optscale_predictor.replays.fitting.fit_policy import fit_policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.reliability import reliability

DEPTH = 16


def telling_world(questions, seed, chance=0.4, hopeless=0.3):
    """A score tells right from wrong; a share of the questions is hopeless. Every sample costs 10 tokens.

    A question is worth another sample exactly while nothing right was found and hope is not lost.
    """
    rng = np.random.default_rng(seed)
    hope = rng.random(questions) >= hopeless
    correct = (rng.random((questions, DEPTH)) < chance) & hope[:, None]
    scores = np.where(correct, 0.9, 0.1)
    answers = np.where(correct, 0, rng.integers(1, 50, correct.shape))
    return RecordedSamples(scores, answers, np.full(correct.shape, 10.0), correct.astype(float))


def best_worth(price, chance=0.4, hopeless=0.3):
    """Of the best rule of that world: stop once right, else after the number of misses that is best."""
    worth = []
    for misses in range(1, DEPTH + 1):
        found = (1 - hopeless) * (1 - (1 - chance) ** misses)
        drawn = hopeless * misses + (1 - hopeless) * (1 - (1 - chance) ** misses) / chance
        worth.append(found - 10 * price * drawn)
    return max(worth)


@pytest.fixture(scope="module")
def telling(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted") / "policy"
    save_fitted(fit_policy(telling_world(300, 1), num_paths=300), folder)
    return folder


@pytest.mark.parametrize("price", [3e-4, 3e-3, 1e-2])
def test_in_a_world_whose_best_rule_is_known_the_fitted_one_is_nearly_as_good(telling, price):
    test = telling_world(4000, 2)
    outcomes = run_policy(parse_policy(f"fitted:path={telling},price={1000 * price}"), test, traced=False)
    right = test.correct[np.arange(4000), outcomes.chosen]
    worth = right - price * outcomes.tokens
    best, error = best_worth(price), worth.std() / np.sqrt(4000)
    assert best - 0.01 - 3 * error < worth.mean() < best + 3 * error
    at_once = outcomes.count == 1
    assert at_once.any() and right[at_once].all()  # nobody gives up after one sample, and who has found it stops


def test_a_higher_price_buys_fewer_samples(telling):
    test = telling_world(1000, 3)
    counts = [
        run_policy(parse_policy(f"fitted:path={telling},price={price}"), test, traced=False).count.mean()
        for price in (0.1, 1.0, 4.0, 10.0)
    ]
    assert all(cheap >= dear for cheap, dear in pairwise(counts)) and counts[0] > counts[-1]


def noisy_world(questions, seed, depth=DEPTH):
    """Scores and agreement both tell a little; answers and difficulty differ between questions."""
    rng = np.random.default_rng(seed)
    ability = rng.beta(0.8, 1.2, questions)
    correct = rng.random((questions, depth)) < ability[:, None]
    answers = np.where(correct, 0, rng.integers(1, 5, correct.shape))
    scores = 1 / (1 + np.exp(-(rng.normal(1.2 * correct - 0.6, 1.0) + rng.normal(0, 0.7, (questions, 1)))))
    tokens = np.exp(rng.normal(4, 0.3, correct.shape)).round()
    return RecordedSamples(scores, answers, tokens, correct.astype(float))


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted") / "policy"
    save_fitted(fit_policy(noisy_world(500, 1), num_paths=1000), folder)
    return folder


@pytest.mark.parametrize("tokens", [70, 120, 250, 500])
def test_a_budget_in_tokens_is_kept_on_new_questions(noisy, tokens):
    test = noisy_world(6000, 4)
    outcomes = run_policy(parse_policy(f"fitted:path={noisy},tokens={tokens}"), test, traced=False)
    assert outcomes.tokens.mean() == pytest.approx(tokens, rel=0.15)  # of what 500 questions say of others


def accuracy_of(text, recorded, selection=None):
    outcomes = run_policy(parse_policy(text), recorded, selection=selection, traced=False)
    return recorded.correct[np.arange(recorded.num_questions), outcomes.chosen]


@pytest.mark.parametrize("number", [1, 2, 4, 8, 16])
def test_the_most_probable_answer_is_right_as_often_as_under_any_other_selection(noisy, number):
    test = noisy_world(6000, 5)
    mine = accuracy_of(f"best_of_n:max_samples={number}", test, f"confidence:{noisy}")
    for rule in ("best_score", "majority", "weighted_majority"):
        other = accuracy_of(f"best_of_n:max_samples={number}", test, rule)
        gain = mine - other
        assert gain.mean() > -2 * gain.std() / np.sqrt(len(gain)) - 0.002, rule


def test_confidence_is_as_often_right_as_it_says_on_new_questions(noisy):
    test, model = noisy_world(6000, 6), load_fitted(noisy)
    for number in (1, 4, 16):
        outcomes = run_policy(parse_policy(f"best_of_n:max_samples={number}"), test, selection=f"confidence:{noisy}")
        draws = Draws(test.scores[:, :number], test.answers[:, :number], test.tokens[:, :number], outcomes.count, None)
        right = test.correct[np.arange(len(outcomes.chosen)), outcomes.chosen]
        assert reliability(model.probability_right(model.confident(draws), draws.count), right).calibration_error < 0.03


@pytest.mark.parametrize("target", [0.6, 0.75, 0.9])
def test_a_stated_accuracy_is_kept_on_new_questions(noisy, target):
    test = noisy_world(6000, 7)
    outcomes = run_policy(parse_policy(f"fitted:path={noisy},accuracy={target}"), test, traced=False)
    sure = outcomes.reason == "confident"
    right = test.correct[np.arange(len(sure)), outcomes.chosen][sure]
    assert sure.mean() > 0.2 and right.mean() > target - 0.03


def test_it_is_no_worse_than_best_of_k_at_its_own_tokens(noisy):
    """At each of several prices, against the curve of Best-of-k by the same and by the usual selection."""
    test = noisy_world(6000, 8)
    numbers = np.arange(1, DEPTH + 1)
    for selection in ("best_score", f"confidence:{noisy}"):
        plain = [accuracy_of(f"best_of_n:max_samples={number}", test, selection) for number in numbers]
        cost = [test.tokens[:, :number].sum(-1).mean() for number in numbers]
        for price in (0.03, 0.3, 1.0):
            outcomes = run_policy(parse_policy(f"fitted:path={noisy},price={price}"), test, traced=False)
            mine = test.correct[np.arange(6000), outcomes.chosen]
            at = np.array([np.interp(outcomes.tokens.mean(), cost, row) for row in np.array(plain).T])
            gain = mine - at
            assert gain.mean() >= -2 * gain.std() / np.sqrt(6000), (selection, price)  # 0 where it is that number


def test_with_few_questions_and_nothing_to_learn_it_is_a_fixed_number_of_samples():
    rng = np.random.default_rng(0)
    correct = (rng.random((20, 8)) < 0.5).astype(float)
    recorded = RecordedSamples(rng.random((20, 8)), rng.integers(0, 9, (20, 8)), np.full((20, 8), 10.0), correct)
    model = fit_policy(recorded, num_paths=200)
    fixed = [shape == "fixed" for shape in model.shapes]
    assert np.mean(fixed) > 0.7
    assert [len(one.trees.leaf) == 0 for one in model.models] == fixed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: one.take(np.arange(9)), "10 labelled questions at least .near-duplicates count once., got 9"),
        (lambda one: one.first(1), "2 samples a question at least, got 1"),
        (lambda one: replace(one, correct=np.zeros_like(one.correct)), "all samples are wrong"),
        (lambda one: replace(one, correct=np.ones_like(one.correct)), "all samples are right"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(change, says):
    with pytest.raises(InputError, match=says):
        fit_policy(change(telling_world(20, 0)))


def labelled_pool(folder, questions=24, seed=0):
    world = telling_world(questions, seed)
    return write_pool(
        folder,
        world.scores[:, :8].tolist(),
        correct=world.correct[:, :8].astype(bool).tolist(),
        answer=world.answers[:, :8].astype(str).tolist(),
    )


def test_the_command_fits_a_policy_that_a_replay_uses(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fitting, "_MOST_ORDERS", 4)  # forty of each question teach no more here, and take longer
    labelled_pool(tmp_path / "a"), labelled_pool(tmp_path / "b", questions=30, seed=1)
    policy = tmp_path / "policy"
    main(["fit-policy", str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(policy)])
    printed, shown = capsys.readouterr()
    assert "54 labelled questions x 8 samples" in shown and f"use it as fitted:path={policy}" in printed
    done, total = re.findall(r"^fit: (\d+) of (\d+) fits", shown, re.MULTILINE)[-1]  # counts the fits to the last one
    assert int(done) == int(total) > 4 * 4
    assert load_fitted(policy).depth == 8
    main(["replay", str(tmp_path / "a"), "--policies", f"fitted:path={policy},price=1", "--num_orders", "2"])
    assert f"path={policy}, price=1.0" in capsys.readouterr().out


def test_the_command_refuses_what_it_cannot_do_in_one_line(tmp_path, capsys):
    labelled_pool(tmp_path / "few", questions=5)
    assert "10 labelled questions at least" in refused(capsys, "fit-policy", str(tmp_path / "few"))
    (tmp_path / "taken").write_text("a file")
    said = refused(capsys, "fit-policy", str(tmp_path / "few"), "--output", str(tmp_path / "taken"))
    assert str(tmp_path / "taken") in said and "cannot write" in said  # before what the pool lacks
    assert "seed must lie in [0, 2^63)" in refused(capsys, "fit-policy", str(tmp_path / "few"), "--seed", "-1")


@pytest.mark.parametrize("there", [False, True])
def test_ctrl_c_ends_a_fit_with_one_line_and_leaves_what_was_there(tmp_path, monkeypatch, capsys, there):
    labelled_pool(tmp_path / "pool")
    policy = tmp_path / "policy"
    if there:
        save_fitted(made_up(), policy)
    before = {one.name: one.read_bytes() for one in policy.iterdir()} if there else None

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit_confidence", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main(["fit-policy", str(tmp_path / "pool"), "--output", str(policy)])
    assert stopped.value.code == 130
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last == "optscale: interrupted; nothing was fitted, and nothing was written"
    assert (before is None) == (not policy.exists())
    assert before is None or {one.name: one.read_bytes() for one in policy.iterdir()} == before


def test_a_refused_fit_leaves_no_folder(tmp_path, capsys):
    labelled_pool(tmp_path / "few", questions=5)
    refused(capsys, "fit-policy", str(tmp_path / "few"), "--output", str(tmp_path / "policy"))
    assert not (tmp_path / "policy").exists()


def test_a_missing_lightgbm_is_said_before_anything_is_fitted(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(InputError, match=r"needs LightGBM: pip install 'optscale-predictor\[fit\]'"):
        fit_policy(telling_world(5, 0))  # too few questions as well, which is found later
