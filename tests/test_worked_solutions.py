"""Questions with worked solutions: files of every kind, and solutions worked out of equations."""

import gzip
import json
import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.errors import InputError
from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.question import parse_questions
from optscale_predictor.questions.worked_equations import gives_answer, solution_of_equation
from optscale_predictor.questions.worked_solutions import load_solved_questions

numbers = st.integers(0, 999).map(str) | st.decimals(0, 99, places=2).map(str)
equations = st.recursive(
    numbers, lambda inner: st.tuples(st.sampled_from("+-*/"), inner, inner).map(" ".join), max_leaves=6
)


def infix(parts):
    """An equation as a Python expression of exact fractions; takes its parts off a list."""
    part = parts.pop(0)
    if part not in "+-*/":
        return f"Fraction('{part}')"
    left = infix(parts)
    return f"({left} {part} {infix(parts)})"


@given(equations)
def test_solutions_end_in_what_the_equation_gives(equation):
    try:
        expected = eval(infix(equation.split()), {"Fraction": Fraction})
    except ZeroDivisionError:
        with pytest.raises(InputError, match="divides by zero"):
            solution_of_equation(equation)
        return
    try:
        solution = solution_of_equation(equation)
    except InputError as error:
        assert "beyond" in str(error)
        return
    assert gives_answer(solution, str(Decimal(round(expected * 10**6)) / 10**6))
    assert not gives_answer(solution, str(Decimal(round(expected * 10**6)) / 10**6 + 1))
    steps = re.findall(r"(\S+) ([-+*/]) (\S+) = (\S+)\.", solution)
    assert len(steps) == sum(part in "+-*/" for part in equation.split())


def test_steps_are_written_as_a_person_would():
    assert solution_of_equation("* 56 9") == "56 * 9 = 504. #### 504"
    assert solution_of_equation("* + 3 4 2") == "3 + 4 = 7. 7 * 2 = 14. #### 14"
    assert solution_of_equation("- 10.0 / 1 3") == "1 / 3 = 0.3333. 10 - 0.3333 = 9.6667. #### 9.6667"
    assert extract_answer(solution_of_equation("/ 7 2")) == "3.5"


@pytest.mark.parametrize(
    "equation, says",
    [
        ("", "0 numbers are left over"),
        ("* 5", "fewer than two operands"),
        ("5 6", "2 numbers are left over"),
        ("/ 1 0", "divides by zero"),
        ("+ x 1", "'x' is neither a number"),
        ("+ 1e-999999999 1", "is neither a number"),
        ("+ nan 1", "is neither a number"),
        ("* 99999999999 99999999999", "beyond"),
        ("+ 1 1 " * 400, "more than 1000 characters"),
    ],
)
def test_what_is_no_equation_is_said(equation, says):
    with pytest.raises(InputError, match=says):
        solution_of_equation(equation)


def write(path, rows, opened=open):
    with opened(path, "wt") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_rows_of_every_kind_have_solutions(tmp_path, capsys):
    rows = [
        {"question": "one", "solution": " It is 1. #### 1", "answer": "1"},
        {"question": "two", "equation": "+ 1 1", "answer": "2"},
        {"question": "wrong", "equation": "+ 1 1", "answer": "3"},
        {"question": "three", "answer": "1 + 2 = 3\n#### 3"},
    ]
    found = load_solved_questions([write(tmp_path / "rows.jsonl.gz", rows, gzip.open), "embedded:train:2"])
    assert [row.solution for row in found.rows][:3] == [" It is 1. #### 1", "1 + 1 = 2. #### 2", "1 + 2 = 3\n#### 3"]
    assert found.facts["sets"][0] == {"name": "rows.jsonl.gz", "questions": 3, "left_out": 1}
    assert "1 of 4 rows are left out" in capsys.readouterr().err and len(found.rows) == 5
    assert found.rows[2].location.endswith("rows.jsonl.gz:4") and found.rows[-1].solution.startswith("\n")
    assert len(load_solved_questions([str(tmp_path / "rows.jsonl.gz")], 3).rows) == 2


def test_a_data_set_keeps_its_worked_solutions(tmp_path):
    import datasets

    rows = [{"question": "What is 1 + 2?", "answer": "1 + 2 = 3\n#### 3"}]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "data")
    assert load_solved_questions([f"hub:{tmp_path / 'data'}"]).rows[0].solution == "1 + 2 = 3\n#### 3"


@pytest.mark.parametrize(
    "row, says",
    [
        ({"solution": "x"}, "'question' must be a non-empty string"),
        ({"question": "q", "answer": "4"}, "no worked solution"),
        ({"question": "q"}, "no worked solution"),
        ({"question": "q", "solution": " "}, "'solution' must be a non-empty string"),
        ({"question": "q", "solution": ["a"]}, "'solution' must be a non-empty string"),
        ({"question": "q", "equation": "+ 1", "answer": "1"}, "fewer than two operands"),
        ({"question": "q", "equation": "+ 1 1"}, "no 'answer' to check it by"),
        ({"question": "q", "equation": 7, "answer": "7"}, "'equation' must be text"),
        ({"question": "q", "solution": "\ud800"}, "surrogate"),
    ],
)
def test_a_bad_row_is_named(row, says, tmp_path):
    path = write(tmp_path / "bad.jsonl", [{"question": "good", "solution": "#### 1"}, row])
    with pytest.raises(InputError, match=re.escape(f"{path}:2: ") + f".*{says}"):
        load_solved_questions([path])


def test_sets_without_solutions_are_refused(tmp_path):
    empty = write(tmp_path / "empty.jsonl", [])
    for names, says in (
        ([], "no questions named"),
        ([empty], "no question with a solution"),
        (["gsm8k:none"], "no such set"),
    ):
        with pytest.raises(InputError, match=says):
            load_solved_questions(names)


def test_a_solution_is_no_label_of_its_question():
    line = json.dumps({"question": "q", "answer": "2", "equation": "+ 1 1", "solution": "1 + 1 = 2", "grade": 3})
    assert parse_questions([line], "lines")[0].labels == {"grade": "3"}
