"""What a pool holds, what it cost and what made it: one pass over everything but the texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from optscale_predictor.pools.manifest import read_runs
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.schema import ScoreColumns


@dataclass(frozen=True)
class ScoreInfo:
    """One score column.

    Attributes:
        scored: Samples that have a score.
        refused: Samples that the verifier refused.
        unscored: Samples that have neither.
        mean: Of the scores; None where there is none.
        verifier_tokens: Tokens that the verifier read and wrote.
        made_by: What made it; None where nothing has yet.
    """

    scored: int
    refused: int
    unscored: int
    mean: float | None
    verifier_tokens: int
    made_by: Mapping[str, Any] | None


@dataclass(frozen=True)
class PoolInfo:
    """A pool in figures.

    Attributes:
        questions: Number of questions.
        samples: Number of samples.
        fewest: Samples of the question that has fewest.
        most: Samples of the question that has most.
        shards: Number of shards.
        bytes: Size of the shards.
        correct: Samples whose answer is right.
        judged: Samples whose answer is known to be right or wrong.
        cut_off: Samples that ran into their token limit.
        tokens: Tokens of all samples; of those without a count nothing is known.
        uncounted: Samples without a count of tokens.
        estimated: Samples whose tokens are estimated from their text, as the runs tell.
        discarded_tokens: Tokens that were generated and could not be used, as the runs tell.
        scores: Every score column.
        settings: What made the samples.
        runs: What each run did, oldest first.
    """

    questions: int
    samples: int
    fewest: int
    most: int
    shards: int
    bytes: int
    correct: int
    judged: int
    cut_off: int
    tokens: int
    uncounted: int
    estimated: int
    discarded_tokens: int
    scores: dict[str, ScoreInfo]
    settings: Mapping[str, Any]
    runs: list[dict[str, Any]]


def pool_info(pool: Pool) -> PoolInfo:
    """Reads a pool a shard at a time; in memory stay eight bytes a sample.

    Raises:
        InputError: The pool cannot be read, or holds what cannot be.
    """
    counts = np.zeros(len(pool.questions), np.int64)
    sums: dict[str, float] = {}
    shards = pool.shards()
    names = [ScoreColumns(name) for name in dict.fromkeys(("score", *pool.scores))]
    keys: list[tuple[Any, Any]] = []
    for table in pool.tables([name for name in pool.schema.names if name not in ("text", "answer")]):
        keys.append((pool.question_numbers(table).to_numpy(), table["sample_index"].to_numpy()))
        counts += np.bincount(keys[-1][0], minlength=len(counts))
        for key, value in _sums(table, names).items():
            sums[key] = sums.get(key, 0) + value
    if keys:
        numbers, index = (np.concatenate(part) for part in zip(*keys, strict=True))
        pool.require_distinct(numbers, index)
    samples, runs = int(counts.sum()), read_runs(pool.folder)
    return PoolInfo(
        questions=len(counts),
        samples=samples,
        fewest=int(counts.min()),
        most=int(counts.max()),
        shards=len(shards),
        bytes=sum(shard.stat().st_size for shard in shards),
        correct=int(sums.get("correct", 0)),
        judged=int(sums.get("judged", 0)),
        cut_off=int(sums.get("cut_off", 0)),
        tokens=int(sums.get("tokens", 0)),
        uncounted=samples - int(sums.get("counted", 0)),
        estimated=sum(int(run.get("estimated_samples", 0)) for run in runs),
        discarded_tokens=sum(int(run.get("discarded_tokens", 0)) for run in runs),
        scores={one.name: _score_info(one, sums, samples, pool.scores.get(one.name)) for one in names},
        settings=pool.manifest["settings"],
        runs=runs,
    )


def _sums(table: Any, names: list[ScoreColumns]) -> dict[str, float]:
    sums = {
        "correct": pc.sum(table["correct"]),
        "judged": pc.count(table["correct"]),
        "tokens": pc.sum(table["num_tokens"]),
        "counted": pc.count(table["num_tokens"]),
        "cut_off": pc.sum(pc.equal(table["finish_reason"], "length")),
    }
    for one in names:
        sums[one.name] = pc.sum(table[one.name])
        sums[f"{one.name} scored"] = pc.count(table[one.name])
        sums[f"{one.name} refused"] = pc.sum(pc.and_(table[one.name].is_null(), table[one.refusal].is_valid()))
        sums[f"{one.name} tokens"] = pc.sum(table[one.tokens])
    return {key: value.as_py() or 0 for key, value in sums.items()}


def _score_info(name: ScoreColumns, sums: dict[str, float], samples: int, made_by: Any) -> ScoreInfo:
    scored, refused = (int(sums.get(f"{name.name} {what}", 0)) for what in ("scored", "refused"))
    mean = sums[name.name] / scored if scored else None
    return ScoreInfo(
        scored, refused, samples - scored - refused, mean, int(sums.get(f"{name.name} tokens", 0)), made_by
    )


def run_rates(run: Mapping[str, Any]) -> str:
    """What a run did and how fast, in words: samples, seconds, samples and tokens a second."""
    seconds, samples = float(run.get("seconds", 0)), int(run.get("samples", 0))
    parts = [f"{samples} samples in {seconds:.1f} s"]
    if seconds > 0:
        parts.append(f"{samples / seconds:.1f} samples/s")
        tokens = run.get("tokens", run.get("verifier_tokens"))
        if tokens is not None:
            parts.append(f"{int(tokens) / seconds:.0f} tokens/s")
    return ", ".join(parts)
