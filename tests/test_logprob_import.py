"""Imports of samples that bring their log-probabilities: kept whole, or left out with a word on why."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_pools import refused, rows_of

from optscale_predictor.backends.token_logprobs import COLUMNS, MEAN, SELF_CERTAINTY, LogprobSummary
from optscale_predictor.backends.verifiers.logprobs import LogprobVerifier
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, write_shard
from optscale_predictor.pools.exporting import export_pool
from optscale_predictor.pools.importing import import_pool
from optscale_predictor.pools.preparation import score_pool
from optscale_predictor.pools.validation import validate_pool


def told(number, certainty=True):
    """The numbers of a sample of ``number`` tokens."""
    logprobs = [-0.1 * (1 + place % 7) for place in range(number)]
    summary = LogprobSummary.of_tokens(logprobs, [0.3 * number] * number if certainty else [])
    return summary.as_row()


def line(number, **columns):
    return {"question": "1+1=", "gold": "2", "text": f"it is {number}", **columns}


def write(folder, *rows):
    path = folder / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_they_come_with_the_samples_and_leave_with_them(tmp_path):
    rows = [line(number, **told(number, certainty=number % 2 == 0)) for number in range(3, 60, 8)]
    import_pool(tmp_path / "pool", [write(tmp_path, *rows)])
    pool = Pool(tmp_path / "pool")
    assert pool.keeps_logprobs and list(validate_pool(pool.folder)) == []
    for row, found in zip(rows, rows_of(pool.folder).values(), strict=True):
        assert {name: found[name] for name in COLUMNS} == {name: row[name] for name in COLUMNS}
    export_pool(pool, tmp_path / "out.jsonl")
    again = import_pool(tmp_path / "again", [tmp_path / "out.jsonl"])
    assert again.samples == len(rows) and rows_of(tmp_path / "again") == rows_of(pool.folder)
    # What was imported can be scored as what was drawn here.
    scored = score_pool(pool.folder, LogprobVerifier("logprobs:mean"), progress=False)
    assert np.allclose(scored.read(["score"])["score"].to_pylist(), np.exp([row[MEAN] for row in rows]))
    assert import_pool(pool.folder, [write(tmp_path, *rows)]).added == 0


def test_lists_over_a_questions_samples(tmp_path):
    summaries = [told(5), told(9)]
    lists = {name: [one[name] for one in summaries] for name in COLUMNS}
    import_pool(tmp_path / "pool", [write(tmp_path, {"id": "q", "question": "1+1=", "texts": ["1", "2"], **lists})])
    assert [row[MEAN] for row in rows_of(tmp_path / "pool").values()] == lists[MEAN]


def test_samples_without_any_stay_without(tmp_path):
    rows = [line(1, **told(4)), line(2), line(3, **dict.fromkeys(COLUMNS))]
    import_pool(tmp_path / "pool", [write(tmp_path, *rows)])
    assert [row[MEAN] is None for row in rows_of(tmp_path / "pool").values()] == [False, True, True]


def test_a_part_of_the_numbers_is_left_out_with_a_word(tmp_path, caplog):
    import_pool(tmp_path / "pool", [write(tmp_path, line(1, **told(4)), line(2, **{MEAN: -0.5}))])
    pool = Pool(tmp_path / "pool")
    assert not pool.keeps_logprobs and MEAN not in pool.schema.names and len(rows_of(pool.folder)) == 2
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("logprob_mean, ") and "sample 1 of question '0' lacks logprob_lowest_8" in said


def test_a_file_without_them_says_nothing(tmp_path, caplog):
    import_pool(tmp_path / "pool", [write(tmp_path, line(1), line(2))])
    assert not Pool(tmp_path / "pool").keeps_logprobs and not caplog.records
    assert "logprobs" not in Pool(tmp_path / "pool").manifest["settings"]["import"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (MEAN, 0.5, "'logprob_mean' must be a number in [-10000, 0], got 0.5"),
        (MEAN, float("nan"), "must be a number in [-10000, 0], got nan"),
        (MEAN, "-0.5", "must be a number in [-10000, 0], got '-0.5'"),
        ("logprob_lowest_32", -1e300, "must be a number in [-10000, 0]"),
        (SELF_CERTAINTY, -1, "'logprob_self_certainty' must be a finite number >= 0, got -1"),
        (SELF_CERTAINTY, 1e300, "must be a finite number >= 0"),
    ],
)
def test_what_is_none_is_named_by_its_line(tmp_path, name, value, says):
    path = write(tmp_path, line(1, **told(4)), line(2, **{**told(4), name: value}))
    with pytest.raises(InputError) as raised:
        import_pool(tmp_path / "pool", [path])
    assert str(raised.value).startswith(f"{path}:2: ") and says in str(raised.value)
    assert not (tmp_path / "pool").exists()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (MEAN, 0.5, "logprob_mean = 0.5, not a number <= 0"),
        ("logprob_lowest_8", float("nan"), "logprob_lowest_8 = nan, not a number <= 0"),
        (SELF_CERTAINTY, -1.0, "logprob_self_certainty = -1.0, below 0"),
    ],
)
def test_what_a_pool_may_not_hold_is_named_where_it_is_read(tmp_path, name, value, says, capsys):
    import_pool(tmp_path / "pool", [write(tmp_path, *(line(number, **told(4)) for number in range(3)))])
    shard = tmp_path / "pool" / "samples-000000.parquet"
    table = pq.read_table(shard)
    values = [*table[name].to_pylist()[:2], value]
    place = table.column_names.index(name)
    write_shard(table.set_column(place, table.schema.field(place), pa.array(values, pa.float32())), shard)
    assert any(says in str(fault) for fault in validate_pool(tmp_path / "pool"))
    verb = "logprobs:self_certainty" if name == SELF_CERTAINTY else "logprobs:mean"
    assert says in refused(capsys, "score", tmp_path / "pool", "--verifier", verb, "--quiet")
