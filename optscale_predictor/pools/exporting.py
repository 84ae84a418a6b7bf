"""Pools as files for other programs: JSON lines, CSV, one Parquet file, or the paper's published JSON.

The first three have one row a sample: the pool's columns, and its question's text and gold answer beside them. The
paper's form (https://github.com/Albertwyk/OptScale) is one JSON array with one object a question and lists in it. All
are written a shard, or a block of questions, at a time, whole or not at all.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from optscale_predictor._support.atomic_files import (
    explain_write_errors,
    named_beside,
    partial_path,
    remove_on_failure,
    replace_file,
    sync_to_disk,
)
from optscale_predictor.errors import InputError
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.schema import ScoreColumns
from optscale_predictor.pools.shards import read_shard

_BLOCK = 2**15  # samples of as many questions are in memory at once in the paper's form


def export_pool(pool: Pool, output: str | Path, form: str = "auto", column: str = "score") -> int:
    """Writes a pool's samples to one file, whole or not at all.

    Args:
        pool: The pool.
        output: The file; ``.gz`` at the end of JSON lines or of the paper's form compresses it.
        form: ``jsonl``, ``csv``, ``parquet``, ``paper``, or ``auto``: by the file's name.
        column: The score that goes into the paper's ``scores``.

    Returns:
        Samples written.

    Raises:
        InputError: The form is unknown or the file cannot be written; for the paper's form, a sample has no score, no
            count of tokens or no text.
    """
    output = Path(output)
    writers: dict[str, Callable[[], int]] = {
        "jsonl": lambda: _json_lines(pool, output),
        "csv": lambda: _csv(pool, output),
        "parquet": lambda: _parquet(pool, output),
        "paper": lambda: _paper(pool, output, ScoreColumns(column)),
    }
    chosen = _by_name(output) if form == "auto" else form
    if chosen not in writers:
        raise InputError(f"format must be one of {', '.join(writers)} or auto, got {form!r}")
    with explain_write_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    return writers[chosen]()


def _by_name(output: Path) -> str:
    name = output.name.removesuffix(".gz")
    for suffix, form in ((".jsonl", "jsonl"), (".csv", "csv"), (".parquet", "parquet"), (".json", "paper")):
        if name.endswith(suffix):
            return form
    raise InputError(f"{output}: its name does not say which format it is to be; name one: --format jsonl")


def _tables(pool: Pool) -> Iterator[pa.Table]:
    """The samples, each with its question's text and gold answer."""
    texts = pa.array([question.text for question in pool.questions], pa.string())
    golds = pa.array([question.gold for question in pool.questions], pa.string())
    pool.drawn()  # a sample that is there twice is found before anything is written
    for table in pool.tables():
        numbers = pool.question_numbers(table)
        yield table.append_column("question", texts.take(numbers)).append_column("gold", golds.take(numbers))


def _schema(pool: Pool) -> pa.Schema:
    return pool.schema.append(pa.field("question", pa.string())).append(pa.field("gold", pa.string()))


def _json_lines(pool: Pool, output: Path) -> int:
    with _written_whole(output) as partial, _open_text(partial, output) as file:
        count = 0
        for table in _tables(pool):
            for row in table.to_pylist():
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += table.num_rows
    return count


def _csv(pool: Pool, output: Path) -> int:
    with _written_whole(output) as partial, pyarrow.csv.CSVWriter(partial, _schema(pool)) as writer:
        return _write_all(pool, writer)


def _parquet(pool: Pool, output: Path) -> int:
    with _written_whole(output) as partial, pq.ParquetWriter(partial, _schema(pool), compression="zstd") as writer:
        return _write_all(pool, writer)


def _write_all(pool: Pool, writer: Any) -> int:
    count = 0
    for table in _tables(pool):
        writer.write_table(table)
        count += table.num_rows
    return count


def _paper(pool: Pool, output: Path, score: ScoreColumns) -> int:
    prompts = named_beside(output, f"{output.name.removesuffix('.gz').removesuffix('.json')}.prompts.json")
    count = 0
    with _written_whole(output) as partial, _open_text(partial, output) as file:
        for number, (position, rows) in enumerate(_by_question(pool, score), start=1):
            file.write("[\n" if number == 1 else ",\n")
            file.write(json.dumps(_paper_item(pool, position, rows, score), ensure_ascii=False))
            count += rows.num_rows
        file.write("\n]\n")
    with _written_whole(prompts) as partial, open(partial, "w", encoding="utf-8") as file:
        counts = pool.counts()
        drawn = [question for question in pool.questions if counts[question.id]]
        rows = [{"id": one.id, "problem": one.text, "answer": one.gold} for one in drawn]
        json.dump(rows, file, indent=2, ensure_ascii=False)
    return count


def _paper_item(pool: Pool, position: int, rows: pa.Table, score: ScoreColumns) -> dict[str, Any]:
    question = pool.questions[position]
    for name in ("text", "num_tokens", score.name):
        if rows[name].null_count:
            index = rows.filter(rows[name].is_null())["sample_index"][0].as_py()
            what = {"text": "text", "num_tokens": "count of tokens"}.get(name, f"score in column {name!r}")
            raise InputError(
                f"{pool.name}: sample {index} of question {question.id!r} has no {what}; this form needs one"
            )
    texts, scores = rows["text"].to_pylist(), rows[score.name].to_pylist()
    best = texts[int(np.argmax(scores))]
    return {
        "id": position + 1,
        "output": best,
        "n": len(texts),
        "score": {
            "problem": [question.text],
            "completions": [texts],
            "scores": [scores],
            "pred": [best],
            "completion_tokens": [rows["num_tokens"].to_pylist()],
        },
    }


def _by_question(pool: Pool, score: ScoreColumns) -> Iterator[tuple[int, pa.Table]]:
    """The questions that have samples, in order, each with its rows by index; a block of questions at a time."""
    if score.name not in pool.schema.names:
        raise InputError(f"{pool.name}: has no score {score.name!r}; it has: {', '.join(pool.scores) or 'none'}")
    columns = ["question_id", "sample_index", "text", "num_tokens", score.name]
    # Samples of a question may lie in any shard: a pass over the ids finds which shards a block of questions needs.
    counts, holders = np.zeros(len(pool.questions), np.int64), []
    shards = pool.shards()
    for shard in shards:
        numbers = pool.question_numbers(read_shard(shard, ["question_id"])).to_numpy()
        counts += np.bincount(numbers, minlength=len(counts))
        holders.append(np.unique(numbers))
    if not counts.any():
        raise InputError(f"{pool.name}: has no samples")
    for first, end in _blocks(counts):
        parts = []
        for shard, held in zip(shards, holders, strict=True):
            if ((held >= first) & (held < end)).any():
                table = read_shard(shard, columns)
                table = table.append_column("_position", pool.question_numbers(table))
                positions = table["_position"].to_numpy()
                parts.append(table.filter(pa.array((positions >= first) & (positions < end))))
        block = pa.concat_tables(parts).sort_by([("_position", "ascending"), ("sample_index", "ascending")])
        yield from _split(block)


def _blocks(counts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Half-open ranges of questions with about ``_BLOCK`` samples each."""
    first, held = 0, 0
    for end, count in enumerate(counts.tolist(), start=1):
        held += count
        if held >= _BLOCK:
            yield first, end
            first, held = end, 0
    if held:
        yield first, len(counts)


def _split(block: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    positions = block["_position"].to_numpy()
    starts = np.flatnonzero(np.diff(positions, prepend=-1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(positions)], strict=True):
        yield int(positions[start]), block.slice(start, end - start)


@contextmanager
def _written_whole(output: Path) -> Iterator[Path]:
    """A name to write to; once all is written, the file gets its own."""
    partial = partial_path(output)
    with explain_write_errors(output), remove_on_failure(partial):
        yield partial
        sync_to_disk(partial)
    replace_file(partial, output)


def _open_text(partial: Path, output: Path) -> IO[str]:
    if output.name.endswith(".gz"):
        return gzip.open(partial, "wt", encoding="utf-8")
    return open(partial, "w", encoding="utf-8")
