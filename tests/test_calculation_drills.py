"""The drills of ``data_prep/calculation_drills.py``: rows that fine-tuning takes, each right and another."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from optscale_predictor.questions.worked_solutions import load_solved_questions

SCRIPT = Path(__file__).parents[1] / "data_prep" / "calculation_drills.py"


def run(*arguments):
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def printed():
    return run("400").stdout


def test_fine_tuning_takes_every_row(printed, tmp_path):
    """A row whose equation did not give its answer would be left out."""
    file = tmp_path / "drills.jsonl"
    file.write_text(printed)
    solved = load_solved_questions([str(file)])
    assert len(solved.rows) == len({one.question for one in solved.rows}) == 400


def test_answers_are_those_of_whole_arithmetic(printed):
    for row in map(json.loads, printed.splitlines()):
        operator, left, right = row["equation"].split()
        assert row["question"] == f"what is {left} {operator} {right}?"
        value = eval(f"{left} {operator.replace('/', '//')} {right}")
        assert value == int(row["answer"]) >= 0
        assert operator != "/" or int(left) % int(right) == 0


def test_a_seed_gives_the_same_rows_and_another_seed_others(printed):
    assert run("400", "--seed", "0").stdout == printed != run("400", "--seed", "1").stdout


@pytest.mark.parametrize("count", ["0", "-3", "20001", "many"])
def test_a_count_out_of_range_is_one_line(count):
    ended = run(count)
    assert ended.returncode == 2
    assert "count" in ended.stderr.splitlines()[-1]
    assert not ended.stdout
