"""Validation: every fault is one line that names its place; repair gives back a pool that a rerun makes whole."""

import json
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_pools import bytes_of, questions_of, refused, rows_of, settings_of, shown, write_pool, write_scored

from optscale_predictor.errors import InputError
from optscale_predictor.pools import PoolWriter, write_shard
from optscale_predictor.pools.repair import repair_pool
from optscale_predictor.pools.validation import validate_pool


@pytest.fixture
def pool(tmp_path):
    write_scored(tmp_path / "pool", columns=("score", "score_b"))
    return tmp_path / "pool"


def said(pool):
    return [str(fault) for fault in validate_pool(pool)]


def rewrite(pool, name, change):
    """Writes a shard anew as the pool's writer would, with other rows: the bytes are right, the rows are not."""
    path = pool / name
    write_shard(change(pq.read_table(path)), path)


def with_column(name, values):
    def change(table):
        place = table.column_names.index(name)
        return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))

    return change


def test_a_sound_pool_has_no_faults(pool, capsys):
    assert said(pool) == []
    assert "sound: 16 samples of 4 questions" in shown(capsys, "pool", "validate", pool)


CHANGES = {
    "question_id": (["q0"] * 7 + ["q7"], "1 of 8 samples: a question that questions.jsonl does not have; the first: "),
    "sample_index": ([0, 1, 2, 3, 0, 1, 2, -3], "1 of 8 samples: a sample_index outside [0, 16777216); the first: "),
    "num_tokens": (
        [5, -1, -2, 8, 5, 6, 7, 8],
        "2 of 8 samples: num_tokens = -1, below 0; the first: question 'q0' sam",
    ),
    "score": ([0, 0.5, 1.5, 1, None, 0, 0, 0], "1 of 8 samples: score = 1.5, not in [0, 1]; the first: question 'q0' "),
    "score_b": ([float("nan")] + [None] * 7, "1 of 8 samples: score_b = nan, not in [0, 1]; the first: question 'q0'"),
    "verifier_tokens_b": ([-1] * 8, "8 of 8 samples: verifier_tokens_b = -1, below 0; the first: question 'q0' sample"),
    "refusal": (["why"] * 8, "7 of 8 samples: both a score and a refusal; the first: question 'q0' sample 0"),
}


@pytest.mark.parametrize("column", CHANGES)
def test_rows_that_are_wrong(pool, column):
    values, says = CHANGES[column]
    rewrite(pool, "samples-000000.parquet", with_column(column, values))
    found = said(pool)
    assert any(line.startswith(f"samples-000000.parquet: {says}") for line in found), found


def test_samples_that_are_there_twice_are_found_within_and_across_shards(pool):
    rewrite(pool, "samples-000001.parquet", with_column("question_id", ["q1"] * 4 + ["q3"] * 4))
    assert said(pool) == [
        f"samples-00000{shard}.parquet: 4 samples are there more than once; the first: question 'q1' sample 0"
        for shard in (0, 1)
    ]
    rewrite(pool, "samples-000001.parquet", with_column("sample_index", [7, 8, 9, 10, 5, 5, 6, 7]))
    assert said(pool) == [
        "samples-000001.parquet: 2 samples are there more than once; the first: question 'q3' sample 5"
    ]


SHAPES = {
    "missing": (lambda table: table.drop_columns(["text"]), "column 'text' is missing"),
    "type": (lambda table: table.cast(with_type(table, "seed", pa.int32())), "column 'seed' is int32, not int64"),
    "more": (lambda table: table.append_column("note", pa.nulls(8, pa.string())), "column 'note' is not a pool's"),
    "score": (
        lambda table: table.append_column("score_c", pa.array([0.5] * 8)),
        "8 of 8 samples: a score_c, and the manifest does not say what made it; the first: question 'q0' sample 0",
    ),
}


def with_type(table, name, kind):
    return pa.schema([pa.field(one.name, kind if one.name == name else one.type) for one in table.schema])


@pytest.mark.parametrize("shape", SHAPES)
def test_shards_of_another_shape(pool, shape):
    change, says = SHAPES[shape]
    rewrite(pool, "samples-000000.parquet", change)
    assert said(pool) == [f"samples-000000.parquet: {says}"]


@pytest.mark.parametrize("place", [0, 5, 500, -50, -1])
def test_one_flipped_bit_anywhere_is_noticed(pool, place):
    path = pool / "samples-000001.parquet"
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    assert said(pool) == ["samples-000001.parquet: damaged: not the checksum that the journal has"]


def test_a_damaged_journal_line_and_what_follows_from_it(pool):
    path = pool / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1].replace('"rows"', '"rosw"'), *lines[2:]]))
    foreign = "samples-000000.parquet: not in the journal: it was not written by this pool's writer"
    assert said(pool) == ["journal.jsonl: line 2 cannot be read", foreign]


def test_one_line_a_fault_and_exit_code_2(pool, capsys):
    rewrite(pool, "samples-000000.parquet", with_column("num_tokens", [-1] * 8))
    (pool / "samples-000001.parquet").unlink()
    before = bytes_of(pool)
    assert refused(capsys, "pool", "validate", pool).endswith("2 faults; --repair true sets damaged shards aside")
    assert bytes_of(pool) == before


def test_what_is_no_pool(tmp_path, capsys):
    assert refused(capsys, "pool", "validate", tmp_path).endswith("not a pool (no manifest.json)")


class TestRepair:
    def test_a_damaged_and_a_missing_shard_are_drawn_again(self, tmp_path, capsys):
        whole = rows_of(write_pool(tmp_path / "pool", questions_of(6), shard=4).folder)
        pool = tmp_path / "pool"
        shards = sorted(pool.glob("samples-*"))
        damaged = shards[1].read_bytes()[:-7]
        shards[1].write_bytes(damaged)
        shards[5].unlink()
        lines = shown(capsys, "pool", "validate", pool, "--repair", "true").splitlines()
        aside = "samples-000001.parquet.damaged1"
        assert lines == [
            "repaired   samples-000005.parquet: taken out of the journal; a rerun draws its samples again",
            f"repaired   samples-000001.parquet: set aside as {aside}; a rerun draws its samples again",
            f"{pool}: sound: 16 samples of 6 questions",
        ]
        assert (pool / aside).read_bytes() == damaged
        kept = rows_of(pool)
        write_missing(pool, questions_of(6))
        assert rows_of(pool) == whole and kept.items() <= whole.items()

    def test_a_lost_journal_costs_nothing(self, pool):
        before = rows_of(pool)
        (pool / "journal.jsonl").unlink()
        done = list(repair_pool(pool))
        assert done[-1] == "questions.jsonl: its 4 questions are taken for the pool's: every sample is of one of them"
        assert done[:-1] == [f"samples-00000{n}.parquet: taken up; its 8 samples are sound" for n in (0, 1)]
        assert said(pool) == [] and rows_of(pool) == before

    def test_a_strange_shard_is_taken_up_only_if_all_of_it_is_new_and_sound(self, pool, tmp_path):
        more = write_pool(tmp_path / "more", questions_of(4), samples=6, first=4, shard=8)
        (more.folder / "samples-000000.parquet").rename(pool / "samples-000007.parquet")
        (pool / "samples-000008.parquet").write_bytes((pool / "samples-000000.parquet").read_bytes())
        (pool / "samples-000009.parquet").write_text("not Parquet")
        done = list(repair_pool(pool))
        assert done == [
            "samples-000007.parquet: taken up; its 8 samples are sound",
            "samples-000008.parquet: set aside as samples-000008.parquet.damaged1; it is not of this pool",
            "samples-000009.parquet: set aside as samples-000009.parquet.damaged1; it is not of this pool",
        ]
        assert said(pool) == [] and len(rows_of(pool)) == 24

    def test_rows_are_left_for_the_user_to_judge(self, pool):
        rewrite(pool, "samples-000000.parquet", with_column("num_tokens", [-1] * 8))
        before = bytes_of(pool)
        assert list(repair_pool(pool)) == [] and len(said(pool)) == 1
        assert bytes_of(pool)["samples-000000.parquet"] == before["samples-000000.parquet"]

    def test_questions_that_cannot_be_read_have_to_be_put_back(self, pool):
        path = pool / "questions.jsonl"
        text = path.read_text()
        path.write_text(text[:-20])
        with pytest.raises(InputError, match=r"questions.jsonl:4: not valid JSON: .*put back the questions"):
            list(repair_pool(pool))
        rows = [json.loads(line) for line in text.splitlines()]
        path.write_text("".join(json.dumps({"question": row["question"], "id": row["id"]}) + "\n" for row in rows))
        assert [line.split(":")[0] for line in repair_pool(pool)] == ["questions.jsonl"] and said(pool) == []

    def test_questions_without_those_of_the_samples_are_not_taken(self, pool):
        (pool / "questions.jsonl").write_text('{"id": "q0", "question": "0+0="}\n')
        assert list(repair_pool(pool)) == []
        assert said(pool)[0] == "questions.jsonl: damaged: not the checksum that the journal has"


def write_missing(folder, questions):
    from small_pools import sample

    with PoolWriter(folder, questions, settings_of()) as writer:
        for question in questions:
            for index in range(4):
                if not writer.drawn.has(question.id, index):
                    writer.append(question.id, index, [sample(question, index)])


def test_memory_grows_by_eight_bytes_a_sample(tmp_path):
    """A hundred times the shards: what Python keeps grows with the keys alone."""
    peaks = []
    for shards in (2, 200):
        folder = tmp_path / str(shards)
        with PoolWriter(folder, questions_of(shards), settings_of(), 32) as writer:
            for question in writer.pool.questions:
                rows = [{"question_id": question.id, "sample_index": n, "text": "x" * 1000} for n in range(32)]
                writer.append_rows(rows)
        tracemalloc.start()
        assert list(validate_pool(folder)) == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    more = 198 * 32
    assert peaks[1] - peaks[0] < 3 * 8 * more + 198 * 2000  # keys, sorted, in one piece; questions and journal lines
