"""What an evaluation says when it ends: each policy's distance to Best-of-k, and what to add where it is unknown."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from recorded_runs import OURS, REFERENCE, VOTES, record_run, split_run
from synthetic_pool import write_pool

from optscale_predictor.evaluation.lm_eval.eval_command import _say_frontiers, _written
from optscale_predictor.evaluation.report import compare, read_record
from optscale_predictor.evaluation.report.run_frontier import frontier_figures, frontier_notes, frontier_table
from optscale_predictor.evaluation.run_record import RecordWriter, RunRecord


@pytest.fixture(scope="module")
def comparison(folders):
    return compare([read_record(folders[0])])


def moved(comparison, by):
    """The comparison with a curve that is higher by so much."""
    return replace(comparison, curve=replace(comparison.curve, correct=comparison.curve.correct + by))


def test_the_table_holds_the_distance_of_every_policy_to_the_curve(comparison):
    """Independently: numpy's interpolation of the curve at the policies' mean tokens."""
    table, curve = frontier_table(comparison), comparison.curve
    assert table.header == ["policy", "accuracy", "against Best-of-k at equal tokens", "samples", "tokens"]
    for row, result in zip(table.rows, comparison.results, strict=True):
        mine, tokens = result.means["correct"].point, result.means["tokens"].point
        at = np.interp(tokens, np.arange(1, 9) * curve.tokens.mean(), curve.correct.mean(0))
        assert row[0] == result.label and row[1].startswith(f"{mine:.3f} ± ") and row[4] == f"{tokens:,.0f}"
        if result.label.startswith("best_of_n"):
            assert row[2] == "the curve"
        else:
            assert float(row[2].split()[0].replace("\N{MINUS SIGN}", "-")) == pytest.approx(mine - at, abs=6e-4)
            assert row[2].split()[-1] in ("above", "level", "dominated")


def test_the_table_fits_into_a_terminal(comparison):
    assert max(map(len, frontier_table(moved(comparison, 0.5)).markdown().splitlines())) <= 100


def test_the_dominated_are_named_and_the_end_of_the_curve_is_said(comparison):
    (last,) = frontier_notes(moved(comparison, -0.5))
    assert (
        last.startswith("Best-of-k is known up to k = 8, the samples that every question has")
        and "40 questions" in last
    )
    first, second, _ = frontier_notes(moved(comparison, 0.5))
    assert first.startswith("- optscale is dominated: Best-of-k is more accurate by 0.") and "asc_beta" in second


def test_without_a_curve_it_says_what_to_add_for_one(folders, tmp_path, pools):
    alone = compare([read_record(folders[3])])
    assert frontier_table(alone).header == ["policy", "accuracy", "samples", "tokens"]
    (said,) = frontier_notes(alone)
    assert "add best_of_n:max_samples=16 to --policies, and it is known up to k = 16" in said
    votes = compare([read_record(record_run(tmp_path / "votes", pools[0], (VOTES,), verifier=None))])
    assert "add self_consistency:max_samples=16 to" in frontier_notes(votes)[0]
    shutil.copytree(folders[0], tmp_path / "bare", ignore=shutil.ignore_patterns("pool"))
    bare = compare([read_record(tmp_path / "bare")])
    assert frontier_notes(bare) == ["No samples were kept, so no distance to Best-of-k is known."]
    assert frontier_figures(bare)["curve"] is None


def test_without_right_answers_scores_are_compared(tmp_path):
    rng = np.random.default_rng(0)
    pool = write_pool(tmp_path / "pool", rng.random((20, 8)).round(2).tolist())
    found = compare([read_record(record_run(tmp_path / "run", pool, (OURS, REFERENCE)))])
    assert frontier_table(found).header[1] == "score" and frontier_table(found).rows[0][2]
    assert frontier_figures(found)["compared_by"] == "score"


def test_the_figures_are_those_of_the_table(comparison):
    figures = json.loads(json.dumps(frontier_figures(comparison)))
    assert figures["curve"] == {"policy": "best_of_n", "depth": 8} and figures["questions"] == 40
    own = figures["policies"][0]
    gain = comparison.gain_at_equal_tokens(comparison.primary)
    assert own["at_equal_tokens"]["verdict"] == gain.verdict
    assert own["at_equal_tokens"]["difference"]["mean"] == pytest.approx(gain.difference.point)
    assert own["tokens"]["mean"] == pytest.approx(comparison.primary.means["tokens"].point)


def test_it_is_written_into_the_record_and_gone_when_the_run_goes_on(folders, tmp_path, capsys):
    record = tmp_path / "records" / "sums"
    shutil.copytree(folders[0], record)
    _say_frontiers([record])
    printed = capsys.readouterr().out
    assert "against Best-of-k at equal tokens" in printed and printed.strip().startswith("sums\n")
    assert json.loads((record / "frontier.json").read_text())["questions"] == 40
    RecordWriter(record, RunRecord.open(record).facts).__exit__()
    assert not (record / "frontier.json").exists()


def test_parts_of_one_run_are_one_table(folders, tmp_path, capsys):
    """As several processes record them; what it says is what the whole run says."""
    shutil.copytree(folders[0], tmp_path / "sums")
    parts = split_run(tmp_path / "sums", 2)
    _say_frontiers(parts)
    told = capsys.readouterr().out
    _say_frontiers([tmp_path / "sums"])
    assert told == capsys.readouterr().out and told.count("against Best-of-k") == 1
    assert (parts[0] / "frontier.json").exists() and not (parts[1] / "frontier.json").exists()


def test_a_record_that_cannot_be_compared_is_said_and_fails_nothing(folders, tmp_path, capsys):
    shutil.copytree(folders[0], tmp_path / "sums")
    (tmp_path / "sums" / "outcomes.jsonl").write_text("")
    _say_frontiers([tmp_path / "sums"])
    assert "sums: no comparison with Best-of-k: " in capsys.readouterr().out


def test_only_what_this_run_wrote_is_spoken_of(folders, tmp_path):
    shutil.copytree(folders[0], tmp_path / "old")
    before = _written(str(tmp_path))
    facts = RunRecord.open(tmp_path / "old").facts
    assert _written(str(tmp_path)) == before and list(before) == [str(tmp_path / "old" / "run.json")]
    RecordWriter(tmp_path / "old", facts).__exit__()
    assert _written(str(tmp_path)) != before and _written(None) == {}
