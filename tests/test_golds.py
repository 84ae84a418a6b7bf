"""Golds of every type have one text, and a right sample is judged right against it, whichever way they came in."""

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_pools import refused, rows_of

from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.importing import import_pool
from optscale_predictor.questions.answers import extract_answer, is_correct
from optscale_predictor.questions.golds import gold_answer, gold_text
from optscale_predictor.questions.question import read_questions


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


KINDS = [
    ("2", "2"),
    (" x^2 ", "x^2"),
    ("So it is\n#### 4", "So it is\n#### 4"),
    (2, "2"),
    (2.0, "2"),
    (-0.0, "0"),
    (0.1, "0.1"),
    (-12.50, "-12.5"),
    (1e16, "10000000000000000"),
    (1e23, "100000000000000000000000"),
    (1e-5, "0.00001"),
    (1.5e-7, "0.00000015"),
    (10**20, "100000000000000000000"),
    (Decimal("3.10"), "3.1"),
    (True, "True"),
    (False, "False"),
    (["2", "3"], "2, 3"),
    ([2, 3.0, 1e-5], "2, 3, 0.00001"),
    (["1,000", "2"], "1000, 2"),
    (["#### 7", r"\boxed{8}"], "7, 8"),
    (["18"], "18"),
    ([r"\frac{1}{2}"], r"\frac{1}{2}"),
    ([False], "False"),
    (None, None),
    ("", None),
    (" \n", None),
]

REFUSED = [
    ({"value": "2"}, r"must be a text, a number or a list of those, got an object \(\{'value': '2'\}\)"),
    ([], "is a list of nothing"),
    ([["2"], ["3"]], "is a list within a list"),
    ([["2"]], "is a list within a list"),
    (["2", None], "is a list with a gap in it"),
    (["2", " "], "is a list with a gap in it"),
    ([{"value": 2}, 3], "must be a text, a number or a list of those, got an object"),
    (math.nan, "must be a finite number, got nan"),
    (-math.inf, "must be a finite number, got -inf"),
]


@pytest.mark.parametrize(("value", "text"), KINDS)
def test_every_type_has_one_text(value, text):
    assert gold_text(value, "here") == text


@pytest.mark.parametrize(("value", "says"), REFUSED)
def test_what_is_no_gold_is_one_line_that_says_where(value, says):
    for read in (gold_text, gold_answer):
        with pytest.raises(InputError, match=f"^q.jsonl:3: the gold answer {says}"):
            read(value, "q.jsonl:3")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_numbers_text_is_that_number_without_an_exponent(value):
    text = gold_text(value, "here")
    assert float(text) == value and set(text) <= set("-.0123456789") and not text.endswith((".", "-0"))


@pytest.mark.parametrize(
    ("value", "worked", "gold"),
    [
        ("First\n#### 1,234", False, "1234"),
        (r"Thus \boxed{1} or rather \boxed{\frac{1}{2}}.", False, r"\frac{1}{2}"),
        (r"It is $\boxed 7$.", False, "7"),
        (r"It is \fbox{$x^2$}.", False, "x^2"),
        (r"\boxed{\text{(A)}}", False, r"\text{(A)}"),
        ("$12$", False, "12"),
        ("-2,1", False, "-2,1"),
        (27.0, False, "27"),
        (204, False, "204"),
        (1e-5, False, "0.00001"),
        (["2", "3"], False, "2, 3"),
        (True, False, "True"),
        ("It is 5.", True, None),
        (r"It is \boxed{5}.", True, "5"),
        ("A long solution\nthat marks nothing 5", False, None),
        ("", False, None),
        (None, False, None),
    ],
)
def test_the_bare_answer_of_a_gold(value, worked, gold):
    assert gold_answer(value, "here", worked) == gold


#: Golds in a file, each with a sample that is right and one that is not.
JUDGED = [
    (["2", "3"], r"So \boxed{2, 3}", r"So \boxed{2, 4}"),
    (["18"], "#### 18", "#### 19"),
    (1e16, "#### 10000000000000000", "#### 1"),
    (1e-5, "#### 0.00001", "#### 0.0001"),
    (0.1, "#### 0.1", "#### 1"),
    (2.0, "#### 2", "#### 3"),
    (False, r"\boxed{False}", r"\boxed{True}"),
]


@pytest.mark.parametrize(("gold", "right", "wrong"), JUDGED)
def test_a_questions_file_judges_right_samples_right(tmp_path, gold, right, wrong):
    (question,) = read_questions(lines(tmp_path / "q.jsonl", {"question": "a?", "answer": gold}))
    assert [is_correct(extract_answer(text), question.gold) for text in (right, wrong)] == [True, False]


@pytest.mark.parametrize("form", ["single", "many", "questions"])
@pytest.mark.parametrize(("gold", "right", "wrong"), JUDGED)
def test_an_import_judges_right_samples_right(tmp_path, gold, right, wrong, form):
    asked, questions = {"question": "a?", "gold": gold}, None
    if form == "questions":
        questions = tmp_path / "q.json"
        questions.write_text(json.dumps([{"problem": "a?", "answer": gold}]))
        asked = {"question": "a?"}
    many, single = [{**asked, "texts": [right, wrong]}], [{**asked, "text": text} for text in (right, wrong)]
    path = lines(tmp_path / "in.jsonl", *(many if form == "many" else single))
    import_pool(tmp_path / "pool", [path], questions=questions)
    assert [row["correct"] for row in rows_of(tmp_path / "pool").values()] == [True, False]
    assert Pool(tmp_path / "pool").questions[0].gold == gold_text(gold, "here")


def test_files_name_their_line(tmp_path, capsys):
    value, says = REFUSED[0]
    with pytest.raises(InputError, match=rf"q\.jsonl:3: the gold answer {says}"):
        read_questions(
            lines(tmp_path / "q.jsonl", {"question": "a?"}, {"question": "b?"}, {"question": "c?", "answer": value})
        )
    path = lines(tmp_path / "in.jsonl", {"question": "a?", "text": "2"}, {"question": "a?", "text": "2", "gold": value})
    assert "in.jsonl:2: the gold answer must be" in refused(capsys, "pool", "import", tmp_path / "pool", path)
    (tmp_path / "asked.json").write_text('[\n{"problem": "a?"},\n{"problem": "b?",\n"gold": {"value": 2}}]')
    arguments = ("pool", "import", tmp_path / "pool", path, "--questions", tmp_path / "asked.json")
    assert "asked.json:3: the gold answer must be" in refused(capsys, *arguments)


@pytest.mark.parametrize(("value", "answer"), [(1e16, "10000000000000000"), (1e-5, "0.00001"), (2.0, "2")])
def test_a_samples_own_answer_is_written_out_too(tmp_path, value, answer):
    path = lines(tmp_path / "in.jsonl", {"question": "a?", "gold": answer, "sample_answer": value})
    import_pool(tmp_path / "pool", [path])
    (row,) = rows_of(tmp_path / "pool").values()
    assert (row["answer"], row["correct"]) == (answer, True)


def test_a_list_that_may_be_the_gold_or_the_samples_own_answers_must_be_named(tmp_path, capsys):
    path = lines(tmp_path / "in.jsonl", {"question": "a?", "answer": ["2", "3"], "texts": [r"\boxed{2, 3}", "#### 2"]})
    says = refused(capsys, "pool", "import", tmp_path / "pool", path)
    assert "in.jsonl:1: 'answer' may be the gold answer or the samples' own; say which" in says
    import_pool(tmp_path / "gold", [path], rename={"answer": "gold"})
    assert [row["correct"] for row in rows_of(tmp_path / "gold").values()] == [True, False]
    import_pool(tmp_path / "own", [path], rename={"answer": "answers"})
    assert [row["answer"] for row in rows_of(tmp_path / "own").values()] == ["2", "3"]


@pytest.mark.parametrize("reason", ["length", "stop", None])
def test_an_imported_sample_that_was_cut_off_has_an_answer_only_where_it_is_marked(tmp_path, reason):
    samples = {"texts": ["so 4 and then", "#### 4", "<think>4"], "finish_reasons": [reason] * 3}
    import_pool(tmp_path / "pool", [lines(tmp_path / "in.jsonl", {"question": "a?", "gold": "4", **samples})])
    found = [(row["answer"], row["correct"]) for row in rows_of(tmp_path / "pool").values()]
    assert found == [(None, False) if reason == "length" else ("4", True), ("4", True), (None, False)]


def test_samples_are_labelled_alike_however_many_are_judged_together(tmp_path, monkeypatch):
    rows = [{"question": f"{n}?", "gold": str(n) if n % 3 else None, "text": f"#### {n + n % 2}"} for n in range(60)]
    path = lines(tmp_path / "in.jsonl", *rows)
    import_pool(tmp_path / "one", [path])
    monkeypatch.setattr("optscale_predictor.pools.importing.into_pool._BATCH_SAMPLES", 7)
    import_pool(tmp_path / "seven", [path])
    for folder in ("one", "seven"):
        labels = [row["correct"] for row in rows_of(tmp_path / folder).values()]
        assert labels == [n % 2 == 0 if n % 3 else None for n in range(60)]
