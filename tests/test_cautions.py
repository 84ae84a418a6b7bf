"""What results do not show is said beside them: caps, samples left out, scores and targets that say nothing."""

import json
import math

import numpy as np
import pytest
from recorded_runs import record_run, sums_pool
from synthetic_pool import write_pool

from optscale_predictor.cli.main import main
from optscale_predictor.evaluation.report import compare, read_record
from optscale_predictor.evaluation.report.comparison_cautions import comparison_cautions
from optscale_predictor.evaluation.report.formatting import conclusion
from optscale_predictor.evaluation.report.report_tables import policies_table, savings_table
from optscale_predictor.inference import Answer
from optscale_predictor.inference.target_watch import TargetWatch
from optscale_predictor.policies import BestOfN, OptScalePolicy, parse_policy
from optscale_predictor.policies.cautions import cap_cautions, depth_cautions, score_cautions, target_cautions


def test_caps_beyond_the_samples_are_named_once():
    rules = [BestOfN(99), BestOfN(4), OptScalePolicy(max_samples=32), BestOfN(99)]
    (line,) = cap_cautions(rules, 4)
    assert line.startswith(
        "4 samples of each question are there: best_of_n:max_samples=99 and optscale:max_samples=32 "
    )
    assert cap_cautions(rules, 99) == []


def test_samples_that_are_left_out_are_counted():
    (line,) = depth_cautions({"a": 4, "b": 2, "c": 5}, 2)
    assert "the first 2 scored samples" in line and "question 'b'" in line and "5 samples of 2 questions" in line
    assert depth_cautions({"a": 2, "b": 2}, 2) == []


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([[0.5, 0.5], [0.5, np.nan]], "All 3 scores are equal (0.500)"),
        ([[0.01, 0.02], [0.0, np.nan]], "All 3 scores lie below 0.02"),
        ([[0.01, 0.2]], None),
        ([[0.7]], None),
        ([[np.nan]], None),
    ],
)
def test_scores_that_say_nothing_are_said(scores, says):
    lines = score_cautions(np.array(scores))
    assert [line.startswith(says) for line in lines] == [True] if says else lines == []


@pytest.mark.parametrize(
    ("best", "reach"), [(0.914, "score_min=0.91 is within reach"), (0.9, "score_min=0.9 is"), (0.001, None)]
)
def test_a_target_that_no_score_comes_near_names_one_that_is(best, reach):
    rules = [parse_policy("optscale:score_min=0.95"), BestOfN(4), parse_policy("optscale_0:score_min=0.0005")]
    (line,) = target_cautions(rules, best, 9)
    assert line.startswith(
        f"The target of optscale:score_min=0.95 was never reached: the best of 9 scores is {best:.3f}"
    )
    assert reach in line if reach else "within reach" not in line
    assert target_cautions(rules, 0.95, 9) == target_cautions(rules, best, 0) == []


def test_a_replay_says_what_it_could_not_draw(tmp_path, capsys):
    """A row named 99 drew 4, without a word."""
    pool = write_pool(
        tmp_path / "pool", [[0.1, 0.2, 0.3, 0.4], [0.2, 0.3, 0.4, 0.5, 0.6]], correct=[[True] * 4, [False] * 5]
    ).folder
    policies = "best_of_n:max_samples=99 optscale:score_min=0.9,max_samples=4"
    main(["replay", str(pool), "--policies", policies, "--num_orders", "2", "--output", str(tmp_path / "out")])
    shown = capsys.readouterr().out
    for line in (
        "4 samples of each question are there: best_of_n:max_samples=99 could draw no more than these.",
        "Of every question the first 4 scored samples are replayed, as many as question 'q0' has: 1 samples of 1",
        "The target of optscale:score_min=0.9 was never reached: the best of 8 scores is 0.500; score_min=0.5 is",
    ):
        assert line in shown and line in (tmp_path / "out" / "table.md").read_text()
    main(["replay", str(pool), "--policies", "best_of_n:max_samples=2", "--num_orders", "1"])
    assert "could draw" not in capsys.readouterr().out


def test_where_nothing_is_right_nothing_is_saved(tmp_path):
    """It led with "spends 1,579% more tokens"."""
    wrong = [[False] * 8 for _ in range(12)]
    scores = np.random.default_rng(0).uniform(0.1, 0.9, (12, 8)).round(3).tolist()
    pool = write_pool(tmp_path / "pool", scores, correct=wrong, answer=[["2"] * 8 for _ in range(12)])
    comparison = compare([read_record(record_run(tmp_path / "record", pool))])
    assert "No policy answers any of the 12 questions rightly: there is nothing to save." in comparison_cautions(
        comparison
    )
    said = conclusion(comparison)
    assert "nothing is said of savings" in said and "more tokens" not in said and "fewer tokens" not in said
    for table in (policies_table(comparison), savings_table(comparison)):
        assert all(len(row) == len(table.header) for row in table.rows)
        at = [place for place, name in enumerate(table.header) if "saved" in name]
        assert at and all(row[place] == "" for row in table.rows for place in at)


def test_a_comparison_with_right_answers_is_as_before(tmp_path):
    pool = sums_pool(tmp_path / "pool")
    comparison = compare([read_record(record_run(tmp_path / "record", pool))])
    assert not comparison.nothing_right and "tokens (" in conclusion(comparison)
    assert not any("rightly" in line for line in comparison_cautions(comparison))


@pytest.mark.parametrize(("count", "says"), [(1, "1 question: too few"), (9, "9 questions: too few"), (10, None)])
def test_intervals_of_few_questions_are_not_to_be_trusted(tmp_path, count, says):
    """One question gave 1.000 ± 0.000, and "level"."""
    scores = np.random.default_rng(0).uniform(0.1, 0.9, (count, 8)).round(3).tolist()
    pool = write_pool(tmp_path / "pool", scores, correct=[[True] * 8] * count, answer=[["2"] * 8] * count)
    lines = comparison_cautions(compare([read_record(record_run(tmp_path / "record", pool))]))
    assert [line for line in lines if "too few" in line and says and line.startswith(says)] == lines[: bool(says)]


def test_answer_says_that_its_target_is_beyond_the_verifier(tmp_path, capsys):
    """By default no answer of the embedded world reaches 0.95, and ``confident`` read as success."""
    main(["answer", "12+34="])
    shown = capsys.readouterr()
    assert "stopped   confident without reaching the target after " in shown.out
    assert "warning: The target of optscale:score_min=0.95 was never reached: the best of " in shown.err
    assert "score_min=0.91 is within reach of this verifier" in shown.err
    (tmp_path / "q.jsonl").write_text('{"question": "12+34="}\n')
    command = ["answer", str(tmp_path / "q.jsonl"), "--output", str(tmp_path / "a.jsonl")]
    main(command)
    shown = capsys.readouterr()
    assert "confident without reaching the target 1: " in shown.out and "was never reached" in shown.err
    assert json.loads((tmp_path / "a.jsonl").read_text())["hit"] is False
    main(["answer", "12+34=", "--score_min", "0.9", "--json_lines", "true"])
    shown = capsys.readouterr()
    assert json.loads(shown.out)["hit"] is True and "warning: " not in shown.err


def test_a_run_without_end_is_told_once():
    policy = str(OptScalePolicy())
    watch = TargetWatch()
    for number in range(20):
        scores = (0.1, 0.2, 0.3, 0.4)
        common = {"trace": (), "needed": 4.0, "seconds": 0.1, "finish_reason": "stop", "chosen_tokens": 3}
        cost = {"samples": 4, "tokens": 12, "generated_samples": 4, "generated_tokens": 12}
        watch.add(
            Answer(
                f"q{number}",
                "t",
                "1",
                0.4,
                math.nan,
                stop_reason="confident",
                scores=scores,
                policy=policy,
                hit=False,
                **common,
                **cost,
            )
        )
        said = watch.news()
        assert bool(said) == (number == 15)  # 64 scores
    assert "the best of 80 scores is 0.400" in watch.cautions()[0]
