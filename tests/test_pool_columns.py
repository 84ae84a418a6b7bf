"""A pool's columns as arrays: against each row by itself, whatever is null, whatever order the rows came in."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.errors import InputError
from optscale_predictor.policies.selection import is_usable
from optscale_predictor.pools import PoolWriter
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_samples import number_column, text_column, usable_rows

CHUNKS = st.lists(st.lists(st.tuples(st.sampled_from([None, "1", ""]), st.sampled_from([None, "stop", "length"]))))


def chunked(chunks, place, kind=None):
    kind = kind or pa.string()
    return pa.chunked_array([pa.array([row[place] for row in chunk], kind) for chunk in chunks], kind)


@given(CHUNKS)
def test_texts_and_usability_are_those_of_each_row(chunks):
    rows = [row for chunk in chunks for row in chunk]
    answers, reasons = chunked(chunks, 0), chunked(chunks, 1)
    assert text_column(answers).tolist() == [answer for answer, _ in rows]
    table = pa.table({"answer": answers, "finish_reason": reasons})
    assert usable_rows(table).tolist() == [is_usable(answer, reason) for answer, reason in rows]


@pytest.mark.parametrize(
    ("values", "kind"), [([3, None, 7], pa.int32()), ([True, None, False], pa.bool_()), ([0.5, None], pa.float64())]
)
def test_numbers_are_floats_and_null_is_not_a_number(values, kind):
    found = number_column(pa.chunked_array([pa.array(values, kind), pa.array([], kind)]))
    assert found == pytest.approx([np.nan if value is None else float(value) for value in values], nan_ok=True)


def test_equal_texts_are_one_object():
    first, second = text_column(pa.chunked_array([pa.array(["a long answer"]), pa.array(["a long answer"])]))
    assert first is second


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 0, 1]])
def test_a_pool_is_read_in_the_order_of_questions_however_it_was_drawn(tmp_path, order):
    keys = [("b", 0), ("b", 1), ("a", 0), ("a", 5)]
    with PoolWriter(tmp_path, [Question("b", "?"), Question("a", "??")], {}, shard_samples=2) as writer:
        for question, index in (keys[one] for one in order):
            writer.append_rows([{"question_id": question, "sample_index": index, "text": f"{question}{index}"}])
        pool = writer.pool
    rows = pool.read(["text"])
    assert rows["text"].to_pylist() == ["b0", "b1", "a0", "a5"]
    assert rows.column_names == ["question_id", "sample_index", "text"]


def test_a_sample_that_is_there_twice_is_refused(tmp_path):
    from optscale_predictor.pools import write_shard

    with PoolWriter(tmp_path, [Question("a", "?")], {}) as writer:
        writer.append_rows([{"question_id": "a", "sample_index": index} for index in (0, 1)])
        pool = writer.pool
    table = pool.read()
    write_shard(pa.concat_tables([table, table.slice(1)]), tmp_path / "samples-000000.parquet")
    with pytest.raises(InputError, match="sample 1 of question 'a' is there twice"):
        pool.read(["seed"])
