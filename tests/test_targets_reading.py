"""Reading targets: every row checked and named, near-duplicates on one side, several sources, a fingerprint."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.training.training_data import observe
from optscale_predictor.predictor.training.training_targets import (
    DataSplit,
    Target,
    data_summary,
    fingerprint,
    read_targets,
)

ROW = {"question": "Why?", "mean": 0.5, "std": 0.1}


def write(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def unlike(count):
    """Questions that do not resemble one another."""
    rng = np.random.default_rng(0)
    return ["".join(map(chr, rng.integers(97, 123, 30))) for _ in range(count)]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_every_column_arrives(suffix, tmp_path):
    row = {"question": "Why?", "score_mean": 0.5, "score_std": 0.1, "level": 3, "subject": "Algebra", "num_samples": 16}
    path = write(tmp_path / f"targets{suffix}", [{**row, "mean_error": 0.02, "split": "test", "mean_log": -0.7}])
    (target,) = read_targets(path)
    assert target == Target(
        "Why?", 0.5, 0.1, "test", 16.0, mean_error=0.02, mean_log=-0.7, subject="Algebra", level="3"
    )


def test_parquet_arrives_and_what_is_null_is_not_known(tmp_path):
    columns = {"question": ["a", "b"], "mean": [0.5, 0.25], "std": [0.1, 0.2], "num_samples": [8, 9]}
    pq.write_table(pa.table({**columns, "mean_error": [None, 0.1], "split": ["train"] * 2}), tmp_path / "t.parquet")
    first, second = read_targets(tmp_path / "t.parquet")
    assert (first.mean_error, second.mean_error, second.num_samples) == (None, 0.1, 9.0)
    seen = observe([first, second])
    assert seen.count.tolist() == [8, 9] and seen.mean_error.isnan().tolist() == [True, False]


def test_where_no_count_is_known_the_assumed_one_stands(tmp_path):
    targets = read_targets(write(tmp_path / "t.jsonl", [ROW]))
    assert observe(targets, 48.0).count.tolist() == [48.0]
    assert data_summary(targets, DataSplit(), 48.0)["assumed_samples"] == 48.0


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"question": "a", "mean": 0.5}], "row 1: needs columns"),
        ([ROW, {"question": 7, "mean": 0.5, "std": 0.1}], "row 2: needs columns"),
        ([{**ROW, "mean": 0.9, "std": 0.4}], "row 1: no scores in"),
        ([{**ROW, "mean": float("nan")}], "row 1: needs columns"),
        ([{**ROW, "mean": "0.5"}], "row 1: mean must be a number, got '0.5'"),
        ([{**ROW, "num_samples": 0}], "row 1: num_samples must be >= 1"),
        ([{**ROW, "std_error": -1}], "row 1: std_error must be >= 0"),
        ([{**ROW, "split": "dev"}], "row 1: split must be one of"),
        ([{**ROW, "split": "train"}, ROW], "row 2: names no split"),
        ([], "no targets in it"),
    ],
)
def test_a_bad_row_is_named(rows, says, tmp_path):
    with pytest.raises(InputError, match=says) as raised:
        read_targets(write(tmp_path / "t.jsonl", rows))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", b"[1]"),
        ("t.jsonl", b"{"),
        ("t.jsonl", b"\xff\xfe"),
        ("t.jsonl.gz", b"not gzip"),
        ("t.parquet", b"x"),
    ],
)
def test_a_file_that_is_no_such_file_is_one_line(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as raised:
        read_targets(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_near_duplicates_stand_on_one_side(tmp_path):
    rows = [
        {**ROW, "question": f"Of {number} {word} boxes in {word}, {number % 7} are empty; how many {word} are not?"}
        for word in unlike(40)
        for number in range(3)
    ]
    sides = {}
    for target in read_targets(write(tmp_path / "t.jsonl", rows), DataSplit(0.3, test_share=0.3)):
        sides.setdefault(target.question.split()[2], set()).add(target.split)
    assert all(len(side - {"left_out"}) <= 1 for side in sides.values())
    assert set.union(*sides.values()) >= {"train", "validation", "test"}


def test_shares_are_as_asked_and_seeds_differ(tmp_path):
    path = write(tmp_path / "t.jsonl", [{**ROW, "question": text} for text in unlike(1500)])
    split = DataSplit(0.2, test_share=0.1)
    first, again = (read_targets(path, split) for _ in range(2))
    other = read_targets(path, DataSplit(0.2, seed=1, test_share=0.1))
    counts = data_summary(first, split, 64)["questions"]
    assert counts["validation"] == pytest.approx(300, abs=62) and counts["test"] == pytest.approx(150, abs=46)
    assert first == again and first != other


def test_a_question_held_out_by_one_source_is_not_trained_on_by_another(tmp_path):
    small = write(tmp_path / "small.jsonl", [{**ROW, "split": "train"}, {**ROW, "question": "How?", "split": "train"}])
    large = write(tmp_path / "large.jsonl", [{**ROW, "split": "validation"}])
    targets = read_targets({"small": small, "large": large})
    found = [(target.source, target.question, target.split) for target in targets]
    assert found == [
        ("small", "Why?", "left_out"),
        ("small", "How?", "train"),
        ("large", "Why?", "validation"),
    ]


def test_a_question_of_two_sources_is_split_once(tmp_path):
    rows = [{**ROW, "question": text} for text in unlike(60)]
    files = {name: write(tmp_path / f"{name}.jsonl", rows) for name in ("one", "two")}
    targets = read_targets(files, DataSplit(0.3))
    half = len(targets) // 2
    assert [one.split for one in targets[:half]] == [one.split for one in targets[half:]]


def test_the_fingerprint_knows_content_and_not_order():
    one, two = Target("a", 0.5, 0.1, "train"), Target("b", 0.5, 0.1, "validation")
    assert fingerprint([one, two]) == fingerprint([two, one])
    others = [Target("a", 0.5, 0.1, "test"), Target("a", 0.4, 0.1, "train"), Target("c", 0.5, 0.1, "train")]
    assert len({fingerprint([one, two]), *(fingerprint([other, two]) for other in others)}) == 4


@pytest.mark.parametrize(
    ("shares", "says"), [((0.5, 0.5), "test_share"), ((0.5, -0.1), "test_share"), ((1.0, 0), "val")]
)
def test_shares_out_of_range_are_refused(shares, says):
    with pytest.raises(InputError, match=says):
        DataSplit(shares[0], test_share=shares[1])
