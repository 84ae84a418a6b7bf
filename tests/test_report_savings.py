"""What is saved: Best-of-k, the reference, wall time, and the conclusion in words."""

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from recorded_runs import OURS, REFERENCE, VOTES, by_question, named, outcomes_of, record_run, sums_pool

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report import compare, read_record
from optscale_predictor.evaluation.report.fixed_curve import expected_best, expected_majority
from optscale_predictor.evaluation.report.formatting import (
    conclusion,
    conclusion_against_reference,
    conclusion_at_equal_accuracy,
    conclusion_at_equal_tokens,
)
from optscale_predictor.evaluation.report.report_charts import scores_against_answers
from optscale_predictor.evaluation.report.report_files import as_json
from optscale_predictor.evaluation.report.report_page import render_page
from optscale_predictor.evaluation.report.report_tables import policies_table, savings_table
from optscale_predictor.evaluation.report.run_summary import run_times, speed_ups
from optscale_predictor.policies import Draws, parse_policy
from optscale_predictor.policies.selection import select
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.manifest import register_scores
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, replay


@pytest.fixture(scope="module")
def comparison(folders):
    return compare([read_record(one) for one in folders[:3]])


@pytest.mark.parametrize("seed", range(3))
def test_best_of_k_is_the_mean_over_all_orders(seed):
    """Brute force over every order, ties included: equal scores go to the sample drawn first."""
    rng = np.random.default_rng(seed)
    scores, values = rng.integers(0, 3, 5) / 2, rng.integers(0, 2, 5).astype(float)
    found = expected_best(scores[None], values[None])[0]
    orders = np.array(list(permutations(range(5))))
    for number in range(1, 6):
        drawn = np.where(np.arange(5) < number, scores[orders], np.nan)
        chosen = select("best_score", Draws(drawn, np.full(drawn.shape, -1), drawn, np.full(len(drawn), number), None))
        assert found[number - 1] == pytest.approx(values[orders[np.arange(len(orders)), chosen]].mean())


def test_the_curve_is_what_a_replay_of_many_orders_approaches(pools, folders):
    curve = compare([read_record(folders[0])]).curve
    recorded = RecordedSamples.from_pool(pools[0])
    for number in (1, 3, 8):
        (row,) = replay([ReplayEntry(parse_policy(f"best_of_n:max_samples={number}"), "x")], recorded, num_orders=150)
        assert curve.correct[:, number - 1].mean() == pytest.approx(row.accuracy.mean, abs=0.015)
        assert curve.score[:, number - 1].mean() == pytest.approx(row.score.mean, abs=0.006)
        assert number * curve.tokens.mean() == pytest.approx(row.tokens.mean, rel=0.01)
    assert curve.depth == 8 and curve.runs == 1


def votes_pool(folder, seed=0):
    """Sums that no verifier has scored: what a live run without one keeps."""
    pool = sums_pool(folder / "scored", seed=seed)
    rows = pool.read().to_pylist()
    with PoolWriter(folder / "votes", pool.questions, pool.manifest["settings"], 512) as writer:
        writer.append_rows([{**row, "score": 0.0} for row in rows])
    register_scores(folder / "votes", {"score": {"adapter": "none"}})
    return Pool(folder / "votes")


def test_without_a_verifier_the_curve_is_that_of_votes(tmp_path):
    """It approaches a replay of self-consistency; its own policies lie on it, and the deepest is the reference."""
    pool = votes_pool(tmp_path)
    policies = (VOTES, "self_consistency:max_samples=3", "self_consistency:max_samples=8")
    found = compare([read_record(record_run(tmp_path / "run", pool, policies, verifier=None))])
    assert found.curve.policy == "self_consistency" and found.curve.depth == 8
    recorded = RecordedSamples.from_pool(pool)
    for number in (1, 3, 8):
        entry = ReplayEntry(parse_policy(f"self_consistency:max_samples={number}"), "x")
        (row,) = replay([entry], recorded, num_orders=150)
        assert found.curve.correct[:, number - 1].mean() == pytest.approx(row.accuracy.mean, abs=0.02)
        assert number * found.curve.tokens.mean() == pytest.approx(row.tokens.mean, rel=0.01)
    assert [found.on_curve(result) for result in found.results] == [False, True, True]
    assert found.reference.policy == str(parse_policy(policies[2])) and found.reference.live
    assert "self-consistency of k" in conclusion(found) and "Best-of" not in conclusion(found)
    table = policies_table(found)
    column = table.header.index("accuracy against self-consistency of k at equal tokens, points")
    assert table.rows[0][column] and table.rows[1][column] == table.rows[2][column] == ""
    assert as_json(found, "x", "y")["curve"]["policy"] == "self_consistency"
    assert "self-consistency of k" in render_page(found, "Votes") and scores_against_answers(found) is None


def test_votes_of_few_samples_are_counted_out():
    """By hand: of the answers a a b, where a is right, two samples agree on a or are tied, and the first one wins."""
    answers, usable = np.array([[0, 0, 1]]), np.ones((1, 3), bool)
    found = expected_majority(
        np.tile(answers, (3000, 1)), np.tile(usable, (3000, 1)), np.tile([[1.0, 1, 0]], (3000, 1))
    )
    assert found.mean(0) == pytest.approx([2 / 3, 2 / 3, 1.0], abs=0.02)


def test_an_answer_that_another_rule_chose_does_not_lie_on_the_curve(tmp_path, pools):
    run = record_run(tmp_path / "run", pools[0], (OURS, REFERENCE), selection="majority")
    found = compare([read_record(run)])
    assert found.curve.policy == "best_of_n" and not found.on_curve(named(found, REFERENCE))
    table = policies_table(found)
    column = table.header.index("accuracy against Best-of-k at equal tokens, points")
    assert all(row[column] for row in table.rows)


def test_large_pools_have_exact_chances():
    values = np.arange(600.0)[None] / 600
    found = expected_best(values, values)[0]
    ranks = (np.arange(1, 601) / 601) * 601  # the expected greatest rank of k of n is k (n + 1) / (k + 1)
    assert found == pytest.approx((ranks * 601 / (ranks + 1) - 1) / 600, rel=1e-9)


def test_savings_against_the_reference_are_paired(comparison, folders):
    ours, its = (outcomes_of(folders[:3], policy) for policy in (OURS, REFERENCE))
    saving = comparison.reference_saving(named(comparison, OURS))
    gap = by_question(ours, "correct") - by_question(its, "correct")
    assert saving.difference.point == pytest.approx(gap.mean())
    assert saving.difference.estimate.error == pytest.approx(gap.std(ddof=1) / np.sqrt(len(gap)), rel=0.1)
    tokens = by_question(ours, "tokens"), by_question(its, "tokens")
    assert saving.tokens.point == pytest.approx(1 - tokens[0].mean() / tokens[1].mean())
    # The delta method's error of a ratio of means.
    ratio = tokens[0].mean() / tokens[1].mean()
    rest = (tokens[0] - ratio * tokens[1]) / tokens[1].mean()
    assert saving.tokens.estimate.error == pytest.approx(rest.std(ddof=1) / np.sqrt(len(rest)), rel=0.15)


def test_savings_at_equal_accuracy_are_read_off_the_curve(comparison):
    result = named(comparison, OURS)
    found = comparison.equal_number(result)
    y, goal = comparison.curve.correct.mean(0), result.means["correct"].point
    assert (np.diff(y) > 0).all() and y[0] < goal < y[-1] and not found.beyond
    want = np.interp(goal, y, np.arange(1, 9))
    assert found.number.point == pytest.approx(want)
    assert found.saved_samples.point == pytest.approx(1 - result.means["samples"].point / want)
    tokens = want * comparison.curve.tokens.mean()
    assert found.saved_tokens.point == pytest.approx(1 - result.means["tokens"].point / tokens)
    draws = [
        np.interp(goal_, row, np.arange(1, 9))
        for goal_, row in zip(
            result.means["correct"].draws, comparison.resamples.weights @ comparison.curve.correct, strict=True
        )
    ]
    assert np.median(found.number.draws) == pytest.approx(np.median(draws), rel=0.05)


def test_gains_at_equal_tokens_are_read_off_the_curve(comparison):
    """Independently: numpy's interpolation of the curve's means, in the data and in every resample."""
    curve, weights = comparison.curve, comparison.resamples.weights
    sizes = np.arange(1, curve.depth + 1)
    for result in comparison.results:
        mine, tokens = result.means["correct"], result.means["tokens"]
        want = mine.point - np.interp(tokens.point, sizes * curve.tokens.mean(), curve.correct.mean(0))
        found = comparison.gain_at_equal_tokens(result).difference
        assert found.point == pytest.approx(want, abs=1e-9)
        rows = zip(tokens.draws, weights @ curve.tokens, weights @ curve.correct, strict=True)
        draws = mine.draws - [np.interp(spent, sizes * each, row) for spent, each, row in rows]
        assert found.draws == pytest.approx(draws, abs=1e-9)
    assert replace(comparison, curve=None).gain_at_equal_tokens(comparison.primary) is None


def moved(comparison, by):
    """The comparison with a curve that is ``by`` above that of its primary policy."""
    gain = comparison.gain_at_equal_tokens(comparison.primary).difference.point
    return replace(comparison, curve=replace(comparison.curve, correct=comparison.curve.correct + gain + by))


def test_what_is_dominated_is_said_in_words_and_in_the_table(comparison):
    level, above, below = (conclusion_at_equal_tokens(moved(comparison, by)) for by in (0.0, -0.5, 0.5))
    assert level.startswith("For the same tokens, optscale and Best-of-k cannot be told apart (0.0 points, 95% ")
    assert above.startswith("For the same tokens, optscale is 50.0 points (95% interval ")
    assert above.endswith(") more accurate than Best-of-k.") and "ominated" not in above
    assert below.startswith("optscale is dominated: for the same tokens, Best-of-k is 50.0 points (95% interval ")
    assert below.endswith(") more accurate. Also dominated: asc_beta.")
    assert conclusion_at_equal_tokens(replace(comparison, curve=None)) == ""
    for by, verdict in ((0.0, "level"), (-0.5, "above"), (0.5, "dominated")):
        table = policies_table(moved(comparison, by))
        column = table.header.index("accuracy against Best-of-k at equal tokens, points")
        cells = {row[0]: row[column] for row in table.rows}
        assert cells["optscale"].endswith(f", {verdict}") and cells["best_of_n (max_samples=8)"] == ""
        shown = as_json(moved(comparison, by), "x", "y")["policies"][0]["at_equal_tokens"]
        assert shown["verdict"] == verdict and shown["difference"]["mean"] == pytest.approx(-by)
    assert "at_equal_tokens" not in as_json(replace(comparison, curve=None), "x", "y")["policies"][0]


def test_a_policy_that_spends_more_than_the_curve_is_not_above_it(tmp_path, pools):
    """Best-of-2 is all that every question has: a policy of three times its tokens may only be found dominated."""
    run = record_run(
        tmp_path / "run", pools[0], ("optscale:score_min=1,max_samples=8,floor=0", "best_of_n:max_samples=2")
    )
    found = compare([read_record(run)])
    gain = found.gain_at_equal_tokens(found.primary)
    assert found.curve.depth == 2 and gain.beyond and gain.verdict == "beyond the curve"
    assert gain.difference.point > 0
    said = conclusion_at_equal_tokens(found)
    assert (
        said
        == "optscale spends more tokens than Best-of-2, the last that is known: nothing is said for the same tokens."
    )
    better = replace(found, curve=replace(found.curve, correct=np.ones_like(found.curve.correct)))
    assert better.gain_at_equal_tokens(found.primary).verdict == "dominated"


def test_many_dominated_policies_are_counted(comparison):
    votes = named(comparison, VOTES)
    many = [comparison.primary, *(replace(votes, label=f"votes {number}") for number in range(8))]
    said = conclusion_at_equal_tokens(replace(moved(comparison, 0.5), results=many))
    assert said.endswith("Also dominated: votes 0; votes 1; votes 2; votes 3; votes 4; 3 more.")


def test_a_policy_beyond_the_curve_saves_at_least_the_deepest(comparison):
    result = named(comparison, OURS)
    better = replace(comparison.curve, correct=np.minimum(comparison.curve.correct, 0.3))
    found = replace(comparison, curve=better).equal_number(result)
    assert found.beyond and found.beyond_share == 1 and found.number.point == 8
    easy = replace(comparison.curve, correct=np.ones_like(comparison.curve.correct))
    assert replace(comparison, curve=easy).equal_number(result).number.point == 1
    shown = savings_table(replace(comparison, curve=better))
    assert "No Best-of-k up to k = 8 is as accurate" in conclusion_at_equal_accuracy(replace(comparison, curve=better))
    assert shown.rows[0][4] == "> 8" and shown.rows[0][5].startswith("≥ ")


def test_only_evenly_drawn_samples_make_a_curve(folders, tmp_path, pools):
    assert read_record(folders[0]).depth([f"q{number}" for number in range(40)]) == 8
    assert read_record(folders[3]).depth([f"q{number}" for number in range(40)]) is None
    mixed = record_run(tmp_path / "mixed", pools[0], (OURS, "best_of_n:max_samples=2"))
    run = read_record(mixed)
    counts = {run.samples.count(f"q{number}") for number in range(40)}
    # Adaptive policies went on for some questions: only what everybody got counts.
    assert min(counts) == 2 and len(counts) > 1 and run.depth([f"q{number}" for number in range(40)]) == 2


def test_the_reference_may_be_a_point_of_the_curve(folders):
    runs = [read_record(folders[0])]
    found = compare(runs, "best_of_n:max_samples=3")
    assert not found.reference.live and found.reference.means["samples"].point == 3
    assert found.reference.means["correct"].point == pytest.approx(found.curve.correct[:, 2].mean())
    with pytest.raises(InputError, match=r"no run has the reference 'best_of_n:max_samples=9'"):
        compare(runs, "best_of_n:max_samples=9")
    assert compare(runs, VOTES).reference.label == "asc_beta"


def test_wall_time_is_against_the_reference_alone(folders):
    found = {one.run: one for one in run_times(compare([read_record(one) for one in folders]))}
    assert found["ours"].speed_up == pytest.approx(30 / 8)
    spent = {name: json.loads((folders[0].parent / name / "run.json").read_text()) for name in ("ours", "reference")}
    assert found["ours"].tokens_ratio == pytest.approx(spent["reference"]["tokens"] / spent["ours"]["tokens"])
    said = f"optscale: {30 / 8:.2f} times as fast, with {found['ours'].tokens_ratio:.2f} times fewer tokens"
    assert speed_ups(list(found.values()))[0].startswith(said)
    # A run that had the reference among its policies paid for it too.
    assert found["all0"].speed_up is None and found["reference"].speed_up is None
    assert found["all0"].samples / found["all0"].seconds == pytest.approx(40 * 8 / 40)


def test_the_answer_is_plain(comparison, folders):
    mine, its = (by_question(outcomes_of(folders[:3], policy), "tokens").mean() for policy in (OURS, REFERENCE))
    equal = comparison.equal_number(comparison.primary)
    first, second = conclusion_at_equal_accuracy(comparison), conclusion_against_reference(comparison)
    assert first.startswith(f"optscale spends {mine:,.0f} tokens and ")
    assert conclusion(comparison) == f"{first} {conclusion_at_equal_tokens(comparison)} {second}"
    assert f"Best-of-k needs k = {equal.number.point:.1f} and {equal.tokens.point:,.0f} tokens: " in first
    own = equal.saved_tokens.estimate
    assert (
        f"spends {100 * own.mean:.0f}% fewer tokens ({100 * own.low:.0f}% to {100 * own.high:.0f}%) and ".replace(
            "(-", "(\N{MINUS SIGN}"
        )
        in first
    )
    gap = by_question(outcomes_of(folders[:3], OURS), "correct") - by_question(
        outcomes_of(folders[:3], REFERENCE), "correct"
    )
    own = comparison.reference_saving(comparison.primary).difference.estimate
    ends = f"{-100 * own.high:.1f} to {-100 * own.low:.1f}"
    assert gap.mean() < 0 and second.startswith(
        f"optscale is {-100 * gap.mean():.1f} points (95% interval {ends}) less accurate than best_of_n "
    )
    assert f"{100 * (1 - mine / its):.0f}% fewer tokens (" in second
    better = conclusion_against_reference(compare([read_record(one) for one in folders[:3]], VOTES))
    assert better.startswith("optscale is ") and " asc_beta" in better
    assert all(len(sentence) < 200 for said in (first, second) for sentence in said.split(". "))
    alone = compare([read_record(folders[3])])
    assert conclusion(alone).startswith("optscale reaches accuracy ") and savings_table(alone) is None
    assert conclusion(alone).endswith("No run is there to compare it with.")


def test_what_cannot_be_told_apart_is_called_equal_as_far_as_one_can_tell(pools, tmp_path):
    """A target that nothing reaches draws every sample, and answers what Best-of-N does."""
    stubborn = "optscale:score_min=1.0,alpha=0.999999,max_samples=8,floor=0.0"
    said = conclusion_against_reference(
        compare([read_record(record_run(tmp_path / "run", pools[0], (stubborn, REFERENCE)))])
    )
    assert said.startswith("optscale is as accurate as best_of_n (max_samples=8), as far as 40 questions can tell: ")
