"""The frontier: a policy's distance to Best-of-k at equal tokens, counted out by hand and covered as often as said."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from answering import graded_pool

from optscale_predictor.cli.main import main
from optscale_predictor.evaluation.report import markdown_table, write_replay
from optscale_predictor.evaluation.report.formatting import signed
from optscale_predictor.evaluation.report.pictures import draw_replay
from optscale_predictor.policies import BestOfN, SelfConsistency, parse_policy
from optscale_predictor.replays.frontier import (
    FixedCurve,
    Gain,
    curve_sizes,
    fixed_policies,
    gain_over_curve,
    gains_at_equal_tokens,
    verdict_of,
)
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, ReplayRow, measure_orders, replay
from optscale_predictor.stats.bootstrap import Estimate, Resampled, Resamples

FIXED = [BestOfN(1), BestOfN(2), BestOfN(4)]
# Of two questions, one that more samples help with and one that needs one.
FIXED_ACCURACY = np.array([[0.0, 1.0], [0.5, 1.0], [1.0, 1.0]])
FIXED_TOKENS = np.array([[10.0, 10.0], [20.0, 20.0], [40.0, 40.0]])


def gain(accuracy, tokens):
    one = np.array([accuracy], float), np.array([tokens], float)
    return gains_at_equal_tokens(*one, FIXED, FIXED_ACCURACY, FIXED_TOKENS)[0]


def draws_of(accuracy, tokens):
    """Of every resample the times that the first question was drawn, and the gain."""
    resamples = Resamples(2)
    means = [resamples.means(np.array([values], float).T) for values in (accuracy, tokens)]
    own = [Resampled(float(point[0]), draws[:, 0]) for point, draws in means]
    found = gain_over_curve(*own, resamples.means(FIXED_ACCURACY.T), resamples.means(FIXED_TOKENS.T))
    return np.rint(2 * resamples.weights[:, 0]).astype(int), found.draws


def recorded(questions=60, depth=16, seed=0, fidelity=0.5):
    """Questions of every ease; scores tell right answers from wrong ones, more so the greater the fidelity."""
    rng = np.random.default_rng(seed)
    correct = (rng.random((questions, depth)) < rng.random((questions, 1))).astype(float)
    scores = np.clip(0.3 + fidelity * correct + 0.1 * rng.standard_normal(correct.shape), 0, 1)
    answers = np.where(correct == 1, 0, rng.integers(1, 3, correct.shape))
    return RecordedSamples(scores, answers, rng.integers(50, 150, correct.shape).astype(float), correct)


def replayed(texts, samples, num_orders=4, **more):
    entries = [ReplayEntry(parse_policy(text), text) for text in texts]
    return replay(entries, samples, num_orders, frontier=True, **more)


@pytest.mark.parametrize(
    ("tokens", "reference"),
    [([30, 30], 0.875), ([10, 40], 0.8125), ([10, 10], 0.5), ([40, 40], 1.0), ([2, 4], 0.5), ([90, 90], 1.0)],
)
def test_the_reference_is_the_curve_at_the_policys_mean_tokens(tokens, reference):
    """Means of the curve are 0.5, 0.75 and 1 at 10, 20 and 40 tokens; it is level beyond its ends."""
    found = gain([1.0, 0.5], tokens)
    assert found.reference == pytest.approx(reference) and found.difference.mean == pytest.approx(0.75 - reference)
    assert found.curve == FixedCurve("best_of_n", (1, 2, 4), (10, 20, 40), (0.5, 0.75, 1))


def test_each_resample_has_its_own_curve_and_its_own_place_on_it():
    """Both questions once, or one of them twice: 3 resamples, whose gains are found by hand."""
    times, draws = draws_of([1.0, 0.5], [30, 30])
    assert set(times.tolist()) == {0, 1, 2}
    # Twice the second question: 0.5 against 1. Each once: 0.75 against 0.875. Twice the first: 1 against 0.75.
    assert draws == pytest.approx(np.array([-0.5, -0.125, 0.25])[times])
    times, draws = draws_of([1.0, 0.5], [10, 40])
    # At 40 tokens 0.5 against 1; at 25 tokens 0.75 against 0.8125; at 10 tokens 1 against 0.
    assert draws == pytest.approx(np.array([-0.5, -0.0625, 1.0])[times])
    found = gain([1.0, 0.5], [10, 40]).difference
    assert (found.low, found.high) == (-0.5, 1.0) and found.error == pytest.approx(draws.std())


def test_a_verdict_leaves_out_nothing_or_one_side():
    assert [verdict_of(Estimate(0.0, 0.1, *ends)) for ends in ((0.1, 0.2), (-0.1, 0.2), (-0.2, -0.1))] == [
        "above",
        "level",
        "dominated",
    ]
    assert verdict_of(Estimate(0.1, 0.1, 0.0, 0.2)) == verdict_of(Estimate(-0.1, 0.1, -0.2, 0.0)) == "level"


def test_sizes_of_the_curve():
    assert [curve_sizes(depth) for depth in (1, 2, 5)] == [[1], [1, 2], [1, 2, 3, 4, 5]]
    assert curve_sizes(24) == [1, 2, 3, 4, 6, 8, 12, 16, 24]
    assert curve_sizes(20, [5, 99]) == [1, 2, 3, 4, 5, 6, 8, 12, 16, 20]


@pytest.mark.parametrize("num_orders", [1, 3])
def test_a_point_of_the_curve_is_at_no_distance_from_it(num_orders):
    """Exactly: an interval that leaves out 0 by rounding would call Best-of-k dominated by itself."""
    rows = replayed([f"best_of_n:max_samples={number}" for number in (1, 2, 5, 7, 11, 16, 40)], recorded(), num_orders)
    for row in rows:
        assert row.gain.difference == Estimate(0.0, 0.0, 0.0, 0.0) and row.gain.verdict == "level"
        assert row.gain.reference == pytest.approx(row.accuracy.mean, abs=1e-6)
        index = row.gain.curve.sizes.index(round(row.samples.mean))
        assert row.gain.curve.accuracy[index] == pytest.approx(row.accuracy.mean, abs=1e-6)
        assert row.gain.curve.tokens[index] == pytest.approx(row.tokens.mean, rel=1e-6)


def test_what_is_measured_otherwise_does_not_change():
    texts = ["best_of_n:max_samples=4", "optscale:score_min=0.8"]
    plain = replay([ReplayEntry(parse_policy(text), text) for text in texts], recorded(), 4)
    found = replayed(texts, recorded())
    assert [row.gain for row in plain] == [None, None] and len(found) == 2
    assert [(row.accuracy, row.tokens, row.score) for row in plain] == [
        (row.accuracy, row.tokens, row.score) for row in found
    ]


def test_worse_and_better_rules_are_told_apart():
    """Votes do not look at good scores; a rule that knows every sample's score stops at the best one."""
    samples = recorded(questions=300, fidelity=0.9)
    votes, bound, first = replayed(
        ["self_consistency:max_samples=8", "clairvoyant:score_min=0.6,max_samples=16", "best_of_n:max_samples=1"],
        samples,
    )
    assert (votes.gain.verdict, bound.gain.verdict, first.gain.verdict) == ("dominated", "above", "level")
    assert votes.gain.difference.high < -0.05 and bound.gain.difference.low > 0.05


def test_intervals_cover_the_distance_of_all_questions():
    """200 small pools of one world whose distance is known: 95% intervals hold it in about 95% of them."""
    rng = np.random.default_rng(3)
    want = 0.62 - (0.5 + 0.1 * (300 - 200) / 200)  # accuracies 0.5 and 0.6 at 200 and 400 tokens; ours 0.62 at 300
    held = []
    for _ in range(200):
        ease, length = rng.normal(0, 0.2, 70), rng.gamma(4, 25, 70)  # length: 100 in the mean
        curve = np.array([0.4, 0.5, 0.6])[:, None] + ease + rng.normal(0, 0.1, (3, 70))
        own = 0.62 + ease + rng.normal(0, 0.1, 70)
        spent = 3 * length * rng.uniform(0.2, 1.8, 70)
        (found,) = gains_at_equal_tokens(own[None], spent[None], FIXED, curve, np.array([[1], [2], [4]]) * length)
        held.append(found.difference.low <= want <= found.difference.high)
        assert found.difference.error < own.std() / np.sqrt(70)  # what is common to both cancels
    assert 0.9 <= np.mean(held) <= 0.985


def test_without_a_verifier_the_curve_is_one_of_votes():
    samples = recorded(questions=200)
    answers = np.where(samples.correct == 1, 0, 1 + np.arange(16))  # no two wrong answers are equal: votes are good
    alike = RecordedSamples(np.zeros_like(samples.scores), answers, samples.tokens, samples.correct)
    assert fixed_policies(alike.scores[:, :3]) == [SelfConsistency(number) for number in (1, 2, 3)]
    kept = [SelfConsistency(2), SelfConsistency(13)]
    assert BestOfN(13) not in fixed_policies(samples.scores, kept) and SelfConsistency(13) in fixed_policies(
        alike.scores, kept
    )
    votes, scored = replayed(["self_consistency:max_samples=8", "best_of_n:max_samples=8"], alike)
    assert votes.gain.curve.policy == "self_consistency" and votes.gain.difference == Estimate(0.0, 0.0, 0.0, 0.0)
    assert scored.gain.verdict == "dominated"  # the first sample of eight, for the tokens of eight
    assert scored.as_dict()["at_equal_tokens"] == scored.gain.as_dict()
    assert "| against self-consistency of k at equal tokens |" in markdown_table([votes])


def test_unknown_labels_give_no_figures():
    samples = recorded()
    correct = samples.correct.copy()
    correct[3, 5] = np.nan
    rows = replayed(
        ["best_of_n:max_samples=8", "optscale"],
        RecordedSamples(samples.scores, samples.answers, samples.tokens, correct),
    )
    assert [row.gain for row in rows] == [None, None] and "equal tokens" not in markdown_table(rows)
    assert rows[0].as_dict()["at_equal_tokens"] is None
    known, unknown = gains_at_equal_tokens(
        np.array([[1.0, 1.0], [1.0, np.nan]]), np.full((2, 2), 10.0), FIXED, FIXED_ACCURACY, FIXED_TOKENS
    )
    assert known.difference.mean == 0.5 and unknown is None


def test_one_sample_a_question_is_a_curve_of_one_point():
    (row,) = replayed(["optscale"], recorded(depth=1))
    assert row.gain.difference == Estimate(0.0, 0.0, 0.0, 0.0) and row.gain.curve.sizes == (1,)


def row_with(label, policy, mean, low, high):
    curve = FixedCurve("best_of_n", (1, 2), (100.0, 200.0), (0.5, 0.6))
    one = Estimate(0.5, 0.01, 0.4, 0.6)
    found = Gain(Estimate(mean, 0.01, low, high), 0.5 - mean, curve)
    return ReplayRow(policy, label, one, one, one, one, Estimate(150.0, 1.0, 140.0, 160.0), found)


ROWS = [
    row_with("good", "good:x=1", 0.012, 0.003, 0.021),
    row_with("even", "even:x=1", 0.0, -0.0104, 0.0002),
    row_with("bad", "bad:x=1,y=2", -0.0381, -0.0662, -0.0101),
]


def test_the_table_says_the_distance_and_names_what_is_dominated():
    text = markdown_table(ROWS)
    header, _, good, even, bad, blank, sentence = text.splitlines()
    column = [cell.strip() for cell in header.split("|")].index("against Best-of-k at equal tokens")
    cells = [line.split("|")[column].strip() for line in (good, even, bad)]
    minus = "\N{MINUS SIGN}"
    assert cells == [
        "+0.012 [+0.003, +0.021] above",
        f"0.000 [{minus}0.010, 0.000] level",
        f"{minus}0.038 [{minus}0.066, {minus}0.010] dominated",
    ]
    assert not blank and sentence == (
        "- bad (x=1, y=2) is dominated: Best-of-k is more accurate by 0.038 (95% interval 0.010 to 0.066) "
        "for the same tokens."
    )
    assert len(markdown_table(ROWS[:2]).splitlines()) == 4  # nothing is dominated, nothing is said
    assert [signed(value, 1) for value in (0.04, 0.05001, -0.04, 12.0)] == ["0.0", "+0.1", "0.0", "+12.0"]


def test_the_diagram_has_the_curve_as_a_line_and_the_files_the_numbers(tmp_path):
    for metric, ticks in (("tokens", "tokens a question"), ("samples", "samples a question")):
        draw_replay(ROWS, tmp_path / f"{metric}.svg", "x", metric)
        texts = re.findall(r"<!-- (.*?) -->", (tmp_path / f"{metric}.svg").read_text())
        assert "Best-of-k" in texts and any(one.startswith(ticks) for one in texts)
    draw_replay([replace(ROWS[0], gain=None)], tmp_path / "without.svg", "x")
    assert "Best-of-k" not in (tmp_path / "without.svg").read_text()
    write_replay(ROWS, tmp_path / "out", "x", "tokens")
    assert json.loads((tmp_path / "out" / "table.json").read_text())[2]["at_equal_tokens"] == {
        "against": "best_of_n",
        "reference": pytest.approx(0.5381),
        "difference": -0.0381,
        "error": 0.01,
        "low": -0.0662,
        "high": -0.0101,
        "verdict": "dominated",
    }
    assert "is dominated" in (tmp_path / "out" / "table.md").read_text()


def test_the_command_compares_unless_it_is_told_not_to(tmp_path, capsys):
    graded_pool(tmp_path / "pool", questions=12, depth=8)
    policies = ["--policies", "best_of_n:max_samples=4 optscale:score_min=0.7", "--num_orders", "2"]
    command = ["replay", str(tmp_path / "pool"), *policies]
    main([*command, "--output", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "against Best-of-k at equal tokens" in printed and "0.000 [0.000, 0.000] level" in printed
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")
    fixed, ours = json.loads((tmp_path / "out" / "table.json").read_text())
    assert fixed["at_equal_tokens"]["difference"] == 0
    found = ours["at_equal_tokens"]
    assert found["reference"] + found["difference"] == pytest.approx(ours["accuracy"], abs=1e-6)
    main([*command, "--frontier", "false"])
    assert "equal tokens" not in capsys.readouterr().out


def test_a_gain_in_a_file():
    found = Gain(Estimate(0.03, 0.01, 0.01, 0.05), 0.7, FixedCurve("best_of_n", (1, 2), (10.0, 20.0), (0.5, 0.8)))
    assert found.as_dict() == {
        "against": "best_of_n",
        "reference": 0.7,
        "difference": 0.03,
        "error": 0.01,
        "low": 0.01,
        "high": 0.05,
        "verdict": "above",
    }


def test_the_seed_draws_other_resamples_and_the_same_ones_again():
    rng = np.random.default_rng(0)
    one = rng.random((1, 20)), rng.uniform(10, 40, (1, 20))
    fixed = np.sort(rng.random((3, 20)), axis=0), np.array([10.0, 20.0, 40.0])[:, None] * np.ones(20)
    low = [gains_at_equal_tokens(*one, FIXED, *fixed, seed)[0].difference.low for seed in (1, 1, 2)]
    assert low[0] == low[1] != low[2]


def test_a_replays_gain_is_of_each_questions_mean_over_orders():
    """By hand from every run's accuracy and tokens, with the seed that the replay was given."""
    samples = recorded(questions=12)
    row = replayed(["best_of_n:max_samples=3"], samples, num_orders=4, seed=3)[0]
    fixed = fixed_policies(samples.scores, [parse_policy(row.policy)])
    entries = [ReplayEntry(policy, "") for policy in [parse_policy(row.policy), *fixed]]
    measured = measure_orders(entries, samples, 4, seed=3).astype(float)
    accuracy, tokens = measured[:, 0].mean(axis=1), measured[:, 4].mean(axis=1)
    assert accuracy.shape == (1 + len(fixed), 12)
    by_hand = gains_at_equal_tokens(accuracy[:1], tokens[:1], fixed, accuracy[1:], tokens[1:], 3)[0]
    assert vars(row.gain) == vars(by_hand)
