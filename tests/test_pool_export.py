"""Exports hold what the pool holds, and import again as the same samples."""

import csv
import gzip
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_pools import questions_of, refused, rows_of, settings_of, shown, write_pool, write_scored

from optscale_predictor.pools import Pool, PoolWriter, exporting
from optscale_predictor.pools.exporting import export_pool
from optscale_predictor.pools.importing import import_pool
from optscale_predictor.pools.validation import validate_pool


@pytest.fixture
def pool(tmp_path):
    return write_scored(tmp_path / "pool", columns=("score", "score_b"))


def full_rows(pool):
    """The pool's rows with their questions' texts and gold answers, by key."""
    asked = {question.id: question for question in pool.questions}
    rows = rows_of(pool.folder)
    return {key: {**row, "question": asked[key[0]].text, "gold": asked[key[0]].gold} for key, row in rows.items()}


def by_key(rows):
    return {(row["question_id"], row["sample_index"]): row for row in rows}


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_json_lines(pool, tmp_path, name):
    assert export_pool(pool, tmp_path / name) == 16
    content = (tmp_path / name).read_bytes()
    text = (gzip.decompress(content) if name.endswith("gz") else content).decode()
    assert by_key(map(json.loads, text.splitlines())) == full_rows(pool)


def test_csv(pool, tmp_path):
    export_pool(pool, tmp_path / "deep" / "out.csv")
    with open(tmp_path / "deep" / "out.csv", newline="") as file:
        found = {(row["question_id"], int(row["sample_index"])): row for row in csv.DictReader(file)}
    for key, row in full_rows(pool).items():
        assert found[key]["text"] == row["text"] and found[key]["question"] == row["question"]
        assert found[key]["score"] == "" if row["score"] is None else float(found[key]["score"]) == row["score"]
    assert found.keys() == full_rows(pool).keys()


def test_one_parquet_file(pool, tmp_path):
    export_pool(pool, tmp_path / "out.parquet")
    assert by_key(pq.read_table(tmp_path / "out.parquet").to_pylist()) == full_rows(pool)
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 16


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_json_lines_import_as_the_same_pool(pool, tmp_path, name):
    export_pool(pool, tmp_path / name)
    done = import_pool(tmp_path / "again", [tmp_path / name])
    assert (done.form, done.samples, done.added, sorted(done.scores)) == ("jsonl", 16, 16, ["score", "score_b"])
    assert rows_of(tmp_path / "again") == rows_of(pool.folder)
    assert Pool(tmp_path / "again").questions == pool.questions and list(validate_pool(tmp_path / "again")) == []


class TestPaper:
    @pytest.fixture
    def scored(self, tmp_path):
        """Every sample scored; samples of a question are spread over shards, out of order."""
        made = {"score": {"adapter": "made up"}}
        questions = questions_of(7)
        with PoolWriter(tmp_path / "paper", questions, settings_of(), 5, made) as writer:
            for index in (2, 0, 1):
                for question in reversed(questions[:-1]):
                    row = {"question_id": question.id, "sample_index": index, "text": f"{question.text} {index + 3}"}
                    writer.append_rows([{**row, "num_tokens": 3 + index, "score": index / 4, "answer": f"{index + 3}"}])
        return Pool(tmp_path / "paper")

    @pytest.mark.parametrize("block", [1, 4, 1000])
    def test_the_published_code_reads_it(self, scored, tmp_path, monkeypatch, block):
        monkeypatch.setattr(exporting, "_BLOCK", block)
        assert export_pool(scored, tmp_path / "out.json", "paper") == 18
        completions, prompts = (json.loads((tmp_path / n).read_text()) for n in ("out.json", "out.prompts.json"))
        # As its loader takes them apart: by position, prompts beside completions.
        assert [item["problem"] for item in prompts] == [question.text for question in scored.questions[:-1]]
        assert [item["answer"] for item in prompts] == [question.gold for question in scored.questions[:-1]]
        for item, prompt in zip(completions, prompts, strict=True):
            score = item["score"]
            assert score["problem"] == [prompt["problem"]] and item["n"] == 3
            assert score["completions"] == [[f"{prompt['problem']} {index + 3}" for index in range(3)]]
            assert score["scores"] == [[0, 0.25, 0.5]] and score["completion_tokens"] == [[3, 4, 5]]
            assert item["output"] == score["pred"][0] == score["completions"][0][2]

    def test_it_imports_as_the_same_samples(self, scored, tmp_path):
        export_pool(scored, tmp_path / "out.json.gz", "paper")
        prompts = tmp_path / "out.prompts.json"
        done = import_pool(tmp_path / "again", [tmp_path / "out.json.gz"], questions=prompts)
        assert done.form == "paper" and Pool(tmp_path / "again").questions == scored.questions[:-1]
        before, after = rows_of(scored.folder), rows_of(tmp_path / "again")
        for name in ("text", "num_tokens", "score", "answer"):
            assert {key: row[name] for key, row in after.items()} == {key: row[name] for key, row in before.items()}
        assert {key for key, row in after.items() if row["correct"]} == {
            (question.id, index)
            for question in scored.questions[:-1]
            for index in range(3)
            if str(index + 3) == question.gold
        }

    def test_what_the_form_needs_and_a_pool_lacks_is_named(self, pool, tmp_path, capsys):
        said = refused(capsys, "pool", "export", pool.folder, tmp_path / "out.json")
        assert said.endswith("sample 0 of question 'q1' has no score in column 'score'; this form needs one")
        said = refused(capsys, "pool", "export", pool.folder, tmp_path / "out.json", "--column", "score_c")
        assert said.endswith("has no score 'score_c'; it has: score, score_b")
        assert not list(tmp_path.glob("*.json")) and not list(tmp_path.glob(".*partial"))


def test_the_command_line(pool, tmp_path, capsys):
    printed = shown(capsys, "pool", "export", pool.folder, tmp_path / "out.csv", "--format", "jsonl")
    assert printed == f"{tmp_path / 'out.csv'}: 16 samples\n" and (tmp_path / "out.csv").read_text().startswith("{")
    assert "does not say which format" in refused(capsys, "pool", "export", pool.folder, tmp_path / "out")
    assert "must be one of" in refused(capsys, "pool", "export", pool.folder, tmp_path / "out", "--format", "xml")
    (tmp_path / "file").write_text("")
    assert "cannot write" in refused(capsys, "pool", "export", pool.folder, tmp_path / "file" / "out.csv")


def test_a_pool_without_samples_or_scores(tmp_path):
    with PoolWriter(tmp_path / "empty", questions_of(1), settings_of()) as writer:
        assert export_pool(writer.pool, tmp_path / "empty.csv") == 0
    export_pool(write_pool(tmp_path / "bare"), tmp_path / "bare.parquet")
    assert pq.read_table(tmp_path / "bare.parquet")["score"].null_count == 16
