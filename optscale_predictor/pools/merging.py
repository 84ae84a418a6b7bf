"""Merging pools: what several machines drew becomes one pool, read and written a shard at a time.

Two rows are the same sample where question, index, seed and text are equal; it is kept once, by the row with more
scores. Two rows with equal question, index and seed are the same draw even if their texts differ (engines round
differently from run to run): they are not independent, so the first is kept. Any other two samples with one index are
different draws, and one of them gets another index if the caller allows it. What stays in memory is some 30 bytes a
sample.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor._support.outputs import require_once
from optscale_predictor._support.progress import progress_bar
from optscale_predictor.backends.model_source import MODEL_SOURCE
from optscale_predictor.errors import InputError
from optscale_predictor.pools._merge_plan import MergePlan, MergeResult
from optscale_predictor.pools.journal import JOURNAL_FILE, digest
from optscale_predictor.pools.manifest import (
    RUNS_FILE,
    flatten,
    name_differences,
    read_manifest,
    read_runs,
    update_manifest,
)
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.shards import list_shards
from optscale_predictor.pools.writer import PoolWriter
from optscale_predictor.questions.question import Question


def merge_pools(
    folders: Sequence[str | Path],
    output: str | Path,
    renumber: bool = False,
    shard_samples: int = 8192,
    progress: bool = False,
) -> MergeResult:
    """Merges pools that were made with the same settings; base seeds and imported files may differ.

    The same sample in two pools is kept once, and so is one of two draws with equal question, index and seed. A merge
    that was killed continues when it is run again. Of one pool alone this makes a copy with larger shards.

    Args:
        folders: The pools; they are not changed.
        output: The merged pool, made here.
        renumber: Whether samples of different draws that share an index may get new ones, after the question's last.
        shard_samples: Samples of a shard of the merged pool, >= 1.
        progress: Whether to show how far comparing and writing are.

    Raises:
        InputError: A pool is named twice; settings, scores or questions differ (named); indices collide and
            ``renumber`` is off; the output exists and is not what these pools were being merged into.
    """
    require_once(map(str, folders), "pool")
    pools = [Pool(folder) for folder in folders]
    if not pools:
        raise InputError("no pools named")
    if shard_samples < 1:
        raise InputError(f"shard_samples must be >= 1, got {shard_samples}")
    questions, settings, scores = _questions(pools), _settings(pools), _scores(pools)
    sources = [{"pool": pool.folder.name, "journal": digest(pool.folder / JOURNAL_FILE)} for pool in pools]
    _require_fitting(Path(output), sources)
    plan = MergePlan(pools, questions)
    result = plan.decide(renumber, progress)
    with (
        PoolWriter(output, questions, settings, shard_samples, scores) as writer,
        progress_bar("merge", result.samples, shown=progress, often_short=True) as bar,
    ):
        # Before the first row: after a kill the rerun tells by it that these pools were being merged here.
        update_manifest(Path(output), {"merged": sources})
        for table in plan.tables():
            left = [not writer.drawn.has(*key) for key in _keys(table)]
            writer.append_table(table.filter(pa.array(left, pa.bool_())))
            bar.update(table.num_rows)
        writer.commit()
        runs = {json.dumps(run): None for pool in pools for run in read_runs(pool.folder)}
        write_text("".join(f"{run}\n" for run in runs), Path(output) / RUNS_FILE)
    return result


def _keys(table: pa.Table) -> Iterator[tuple[str, int]]:
    return zip(table["question_id"].to_pylist(), table["sample_index"].to_pylist(), strict=True)


def _require_fitting(output: Path, sources: list[dict[str, str]]) -> None:
    if not output.exists() or not any(output.iterdir()):
        return
    if not (output / "manifest.json").exists() and not list_shards(output):
        return
    merged = read_manifest(output).get("merged")
    if merged != sources and (merged is not None or list_shards(output)):
        raise InputError(f"{output}: exists, and was not merged from these pools as they are now; name another output")


def _questions(pools: Sequence[Pool]) -> list[Question]:
    """The union, in order of first appearance."""
    found: dict[str, tuple[Question, Pool]] = {}
    for pool in pools:
        for question in pool.questions:
            there, where = found.setdefault(question.id, (question, pool))
            if there != question:
                part = "text" if there.text != question.text else "gold answer"
                raise InputError(f"{pool.name}: question {question.id!r} has another {part} than in {where.name}")
    return [question for question, _ in found.values()]


def _may_differ(key: str) -> bool:
    return key.rpartition(".")[2] in ("seed", MODEL_SOURCE) or key.startswith("import.files")


def _settings(pools: Sequence[Pool]) -> dict[str, Any]:
    """The pools' common settings; where seeds or imported files differ, a list of all."""
    fixed = [
        {key: value for key, value in flatten(pool.manifest["settings"]).items() if not _may_differ(key)}
        for pool in pools
    ]
    for pool, own in zip(pools, fixed, strict=True):
        differences = name_differences(fixed[0], own)
        if differences:
            raise InputError(f"{pool.name}: made with other settings than {pools[0].name}: {'; '.join(differences)}")
    merged: dict[str, Any] = _combined([pool.manifest["settings"] for pool in pools])
    return merged


def _combined(values: Sequence[Any], path: str = "") -> Any:
    """What all agree on; all values where they may differ. A model's source is one value, whatever it names."""
    if isinstance(values[0], Mapping) and path.rpartition(".")[2] != MODEL_SOURCE:
        keys = dict.fromkeys(key for value in values for key in value)
        # A pool that leaves a key out, and passes for equal, says the same as the others.
        said = {key: [value[key] for value in values if key in value] for key in keys}
        return {key: _combined(said[key], f"{path}.{key}" if path else key) for key in keys}
    if all(value == values[0] for value in values) or not _may_differ(path):
        return values[0]
    single = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return sorted({json.dumps(one): one for one in single}.values(), key=json.dumps)


def _scores(pools: Sequence[Pool]) -> dict[str, Mapping[str, object]]:
    made: dict[str, tuple[Mapping[str, object], Pool]] = {}
    for pool in pools:
        for column, now in pool.scores.items():
            before, where = made.setdefault(column, (now, pool))
            differences = name_differences(before, now)
            if differences:
                raise InputError(
                    f"{pool.name}: column {column!r} was scored by another verifier than in {where.name}: "
                    f"{'; '.join(differences)}"
                )
    return {column: entry for column, (entry, _) in made.items()}
