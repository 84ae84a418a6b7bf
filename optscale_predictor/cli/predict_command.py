"""The verb that predicts."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from optscale_predictor._support.messages import say_loading
from optscale_predictor._support.outputs import require_file
from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from optscale_predictor.questions.question import Question
    from optscale_predictor.stats.estimators import Prior

    Write = Callable[[list[Question], Prior], None]

_BATCHES_AT_ONCE = 16  # batches are filled with questions of like lengths out of so many


def predict(
    predictor: str, questions: str, output: str | None = None, batch_size: int = 64, source: str | None = None
) -> None:
    """Predict the prior of each question's scores: `id`, `mean`, `std` and `strength`, in the order given.

    Args:
        predictor: Predictor checkpoint: a folder or hub id.
        questions: Questions as `optscale generate` takes them; or `-` for JSON lines from standard input, answered
            batch by batch as they come.
        output: File to write, `.jsonl` or `.parquet`, whole or not at all; JSON lines on standard output by default.
        batch_size: Questions in one batch, >= 1.
        source: Whose scores, where the predictor has learnt several sources.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be >= 1, got {batch_size}")
    if output is not None and Path(output).suffix not in (".jsonl", ".parquet"):
        raise InputError(f"{output}: the output's name must end in .jsonl or .parquet")
    if output is not None:
        require_file(output)
    asked, total = _asked(questions)
    size = batch_size if total is None else _BATCHES_AT_ONCE * batch_size
    say_loading(f"PyTorch, transformers and {predictor}", "torch", "transformers")
    from optscale_predictor._support.progress import progress_bar
    from optscale_predictor.predictor import OptScalePredictor

    model = OptScalePredictor.from_pretrained(predictor)
    model.config.source_index(source)
    long = total is not None and total > size
    with _writing(output) as write, progress_bar("predict", total, shown=long, unit="questions") as bar:
        for some in _portions(asked, size):
            write(some, model.predict_questions(some, source, batch_size))
            bar.update(len(some))


def _asked(questions: str) -> "tuple[Iterable[Question], int | None]":
    """The questions, and how many there are where that is known beforehand."""
    from optscale_predictor.questions.question import stream_questions
    from optscale_predictor.questions.question_sets import load_question_set

    if questions == "-":
        return stream_questions(sys.stdin, "standard input"), None
    loaded = load_question_set(questions)
    return loaded, len(loaded)


def _portions(questions: "Iterable[Question]", size: int) -> "Iterator[list[Question]]":
    waiting = iter(questions)
    while some := list(islice(waiting, size)):
        yield some


@contextmanager
def _writing(output: str | None) -> "Iterator[Write]":
    """What writes a portion's rows; a file gets its name when it is whole."""
    from optscale_predictor._support.atomic_files import (
        explain_write_errors,
        partial_path,
        remove_on_failure,
        replace_file,
    )

    if output is None:
        yield lambda questions, prior: _write_lines(sys.stdout, questions, prior)
        return
    path = Path(output)
    partial = partial_path(path)
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with remove_on_failure(partial):
        with _opened(partial, path) as write:
            yield write
        replace_file(partial, path)


@contextmanager
def _opened(partial: Path, path: Path) -> "Iterator[Write]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    from optscale_predictor._support.atomic_files import explain_write_errors

    with explain_write_errors(path):
        if path.suffix == ".jsonl":
            with open(partial, "w", encoding="utf-8") as file:
                yield lambda questions, prior: _write_lines(file, questions, prior)
            return
        numbers = [(name, pa.float64()) for name in ("mean", "std", "strength")]
        with pq.ParquetWriter(partial, pa.schema([("id", pa.string()), *numbers])) as writer:
            yield lambda questions, prior: writer.write_table(
                pa.Table.from_pylist(_rows(questions, prior), writer.schema)
            )


def _write_lines(file: IO[str], questions: "list[Question]", prior: "Prior") -> None:
    file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(questions, prior))
    file.flush()


def _rows(questions: "list[Question]", prior: "Prior") -> list[dict[str, Any]]:
    columns = zip(questions, prior.mean.tolist(), prior.std.tolist(), prior.strength.tolist(), strict=True)
    return [{"id": one.id, "mean": mean, "std": std, "strength": strength} for one, mean, std, strength in columns]
