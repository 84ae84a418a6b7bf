"""Which rows of several pools a merge keeps, and under which index."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from optscale_predictor._support.arrays import Bools, Ints
from optscale_predictor._support.progress import Bar, progress_bar
from optscale_predictor.errors import InputError
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.schema import MOST_SAMPLES, ScoreColumns
from optscale_predictor.pools.shards import read_shard
from optscale_predictor.questions.question import Question

_NO_SEED = -1
_DROPPED = -1  # instead of an index


@dataclass
class MergeResult:
    """What came of a merge.

    Attributes:
        samples: Samples of the merged pool.
        questions: Its questions.
        same: Samples that were in several pools and are kept once.
        redrawn: Samples left out because another of the same question, index and seed is kept.
        renumbered: Samples that got another index.
    """

    samples: int = 0
    questions: int = 0
    same: int = 0
    redrawn: int = 0
    renumbered: int = 0


@dataclass(frozen=True)
class _Facts:
    """What tells rows with the same index apart; [colliding rows], in the order of the pools."""

    seed: Ints
    text: Ints  # a digest
    settled: Ints  # scores and refusals that the row has


class MergePlan:
    """Which rows are kept, found in one pass over the pools' keys and one over the texts of rows whose keys collide.

    Args:
        pools: The pools.
        questions: Their questions, united.
    """

    def __init__(self, pools: Sequence[Pool], questions: Sequence[Question]) -> None:
        self._pools, self._questions = pools, questions
        self._positions = {question.id: position for position, question in enumerate(questions)}
        # The shards as they are now: what a writer adds meanwhile is left to another merge.
        self._shards = [pool.shards() for pool in pools]
        self._index = np.zeros(0, np.int32)

    def decide(self, renumber: bool, progress: bool = False) -> MergeResult:
        """Decides for every row whether it is kept, and under which index.

        Args:
            renumber: Whether a different draw under an index that is taken gets another, after the question's last.
            progress: Whether to show how far reading the keys is.

        Raises:
            InputError: Two draws share an index and ``renumber`` is off.
        """
        shards = sum(map(len, self._shards))
        with progress_bar("compare", shards, shown=progress, unit="shards", often_short=True) as bar:
            parts = [self._keys(number, bar) for number in range(len(self._pools))]
        keys = np.concatenate(parts)
        pool_of = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        self._index = (keys % MOST_SAMPLES).astype(np.int32)
        # Stable: rows that share a key stay in the order of their pools, and the first pool's row is the one kept.
        order = np.argsort(keys, kind="stable")
        groups = np.flatnonzero(np.diff(keys[order], prepend=-1))
        sizes = np.diff(groups, append=len(keys))
        result = MergeResult(questions=len(self._questions))
        if (sizes > 1).any():
            colliding = np.zeros(len(keys), bool)
            colliding[order[np.repeat(sizes > 1, sizes)]] = True
            decision = _Decision(self, keys, pool_of, np.cumsum(colliding) - 1, self._facts(colliding), result)
            for start, size in zip(groups[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
                decision.resolve(order[start : start + size].tolist(), self._index, renumber)
        result.samples = int((self._index != _DROPPED).sum())
        return result

    def tables(self) -> Iterator[pa.Table]:
        """The rows that are kept, a shard at a time, under their new indices."""
        start = 0
        for pool, shards in zip(self._pools, self._shards, strict=True):
            for shard in shards:
                table = read_shard(shard, pool.schema.names)
                index = self._index[start : start + table.num_rows]
                start += table.num_rows
                column = table.column_names.index("sample_index")
                table = table.set_column(column, table.schema.field(column), pa.array(index))
                yield table.filter(pa.array(index != _DROPPED))

    def _keys(self, number: int, bar: Bar) -> Ints:
        pool = self._pools[number]
        positions = np.array([self._positions[question.id] for question in pool.questions], np.int64)
        keys = [np.zeros(0, np.int64)]
        for shard in self._shards[number]:
            table = read_shard(shard, ["question_id", "sample_index"])
            index = table["sample_index"].to_numpy().astype(np.int64)
            if ((index < 0) | (index >= MOST_SAMPLES)).any():
                raise InputError(f"{shard}: a sample_index is impossible; see: optscale pool validate {pool.name}")
            keys.append(positions[pool.question_numbers(table).to_numpy()] * MOST_SAMPLES + index)
            bar.update()
        return np.concatenate(keys)

    def _facts(self, colliding: Bools) -> _Facts:
        seeds, texts, settled, start = [], [], [], 0
        for pool, shards in zip(self._pools, self._shards, strict=True):
            scores = [ScoreColumns(name) for name in pool.scores]
            names = [part for one in scores for part in (one.name, one.refusal)]
            for shard in shards:
                table = read_shard(shard, ["seed", "text", *names])
                mask = colliding[start : start + table.num_rows]
                start += table.num_rows
                table = table.filter(pa.array(mask))
                seeds.append(pc.fill_null(table["seed"], _NO_SEED).to_numpy())
                texts.append(np.array([_digest(text) for text in table["text"].to_pylist()], np.int64))
                known = [table[name].is_valid().to_numpy().astype(np.int64) for name in names]
                settled.append(np.sum(known, axis=0) if known else np.zeros(table.num_rows, np.int64))
        return _Facts(np.concatenate(seeds), np.concatenate(texts), np.concatenate(settled))

    def collision(self, key: int, first: int, other: int) -> InputError:
        """What is wrong where two pools have different draws under one key.

        Args:
            key: The question's position and the sample's index, as one number.
            first: Number of the pool whose draw is kept, from 0.
            other: Number of the other pool.
        """
        question, index = divmod(key, MOST_SAMPLES)
        return InputError(
            f"{self._pools[other].name}: sample {index} of question {self._questions[question].id!r} is another draw "
            f"than in {self._pools[first].name}; to keep both, under new numbers: --renumber true"
        )

    def settings_differ(self) -> bool:
        """Whether the pools' settings (seeds, imported files) are not all the same."""
        return len({pool.manifest["fingerprint"] for pool in self._pools}) > 1


class _Decision:
    """Decides about rows that share a key."""

    def __init__(
        self, plan: MergePlan, keys: Ints, pool_of: Ints, fact_of: Ints, facts: _Facts, result: MergeResult
    ) -> None:
        self._plan, self._keys, self._pool_of, self._fact_of = plan, keys, pool_of, fact_of
        self._facts, self._result = facts, result
        # Without a seed, equal texts may be two draws that came out alike; in equal pools they are copies.
        self._apart = plan.settings_differ()
        ends = np.zeros(int(keys.max()) // MOST_SAMPLES + 1, np.int64)
        np.maximum.at(ends, keys // MOST_SAMPLES, keys % MOST_SAMPLES + 1)
        self._ends: dict[int, int] = dict(enumerate(ends.tolist()))

    def resolve(self, rows: list[int], index: NDArray[np.int32], renumber: bool) -> None:
        """Sets the rows' ``index``; rows are in the order of their pools."""
        kept: dict[tuple[int, int, int], int] = {}
        for row in rows:
            fact = self._fact_of[row]
            seed, text = int(self._facts.seed[fact]), int(self._facts.text[fact])
            identity = seed, text, int(self._pool_of[row]) if self._apart and seed == _NO_SEED else 0
            if identity in kept:
                self._result.same += 1
                before = kept[identity]
                better = self._facts.settled[fact] > self._facts.settled[self._fact_of[before]]
                kept[identity], lost = (row, before) if better else (before, row)
                index[lost] = _DROPPED
            elif seed != _NO_SEED and any(seed == other for other, _, _ in kept):
                self._result.redrawn += 1
                index[row] = _DROPPED
            else:
                kept[identity] = row
        first, *others = kept.values()
        for row in others:
            key = int(self._keys[row])
            if not renumber:
                raise self._plan.collision(key, int(self._pool_of[first]), int(self._pool_of[row]))
            question = key // MOST_SAMPLES
            index[row] = self._ends[question]
            self._ends[question] += 1
            self._result.renumbered += 1


def _digest(text: str | None) -> int:
    content = b"" if text is None else text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)
