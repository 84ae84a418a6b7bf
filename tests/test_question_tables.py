"""Questions in CSV and TSV: the same questions as in JSON lines, and one line for what is none."""

import csv
import gzip
import json

import pytest

from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.questions.question import read_questions
from optscale_predictor.questions.question_sets import load_question_set

ROWS = [
    {"id": "a", "question": 'What is "1,5" + 2?', "answer": "3.5", "subject": "sums"},
    {"id": "b", "question": "Two\nlines?", "answer": "[1, 2]", "subject": "sets"},
    {"id": "c", "question": "No answer?"},
]
TABLE = 'id,question,answer,subject\na,"What is ""1,5"" + 2?",3.5,sums\nb,"Two\nlines?","[1, 2]",sets\nc,No answer?,,\n'


def test_a_table_holds_what_lines_of_json_hold(tmp_path):
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "q.csv").write_text(TABLE)
    (tmp_path / "windows.csv").write_bytes("\ufeff".encode() + TABLE.replace("sums\n", "sums\r\n").encode())
    with gzip.open(tmp_path / "q.csv.gz", "wt") as file:
        file.write(TABLE)
    wanted = read_questions(tmp_path / "q.jsonl")
    assert [one.id for one in wanted] == ["a", "b", "c"] and wanted[2].gold is None
    values = list(csv.reader(TABLE.splitlines(keepends=True)))
    with open(tmp_path / "q.tsv", "w", newline="") as tabs:
        csv.writer(tabs, delimiter="\t").writerows(values)
    for name in ("q.csv", "windows.csv", "q.csv.gz", "q.tsv"):
        found = load_question_set(str(tmp_path / name))
        assert found == wanted and [one.labels for one in found] == [one.labels for one in wanted]
    assert read_questions(tmp_path / "q.csv", limit=1) == wanted[:1]


def test_rows_without_an_id_are_numbered(tmp_path):
    (tmp_path / "q.csv").write_text("question\n1+2=\n3+4=\n")
    assert [(one.id, one.text) for one in read_questions(tmp_path / "q.csv")] == [("0", "1+2="), ("1", "3+4=")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "q.csv: no questions in it"),
        ("question\n", "q.csv: no questions in it"),
        ("text,answer\n1+2=,3\n", "q.csv:2: column 'question' is missing; this line has ['answer', 'text']"),
        ("question,answer\n1+2=,3\n,4\n", "q.csv:3: column 'question' is missing"),
        ("question,answer\n1+2=,3,4\n", "q.csv:2: not as many values as the 2 columns"),
        ("question,answer\n1+2=\n", "q.csv:2: not as many values as the 2 columns"),
        ("id,question\na,1\na,2\n", "q.csv: question id 'a' occurs twice"),
        ('question\n"1+2=\n', "q.csv:1: not valid CSV"),
    ],
)
def test_a_table_that_is_none_is_one_line_that_names_the_place(text, says, tmp_path):
    (tmp_path / "q.csv").write_text(text)
    with pytest.raises(InputError) as raised:
        read_questions(tmp_path / "q.csv")
    assert says in str(raised.value) and "\n" not in str(raised.value)


def test_answer_reads_a_table(tmp_path, capsys):
    (tmp_path / "q.csv").write_text("id,question\nx,12+34=\ny,5+6+7=\n")
    main(["answer", str(tmp_path / "q.csv"), "--json-lines", "true", "--policy", "best_of_n:max_samples=1"])
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["x", "y"]
