"""The pools behind the table: of each benchmark its samples, its sequential samples, and what is known beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.paper_table.published_results import BENCHMARKS
from optscale_predictor.pools import Pool
from optscale_predictor.replays.recorded_samples import RecordedSamples

SEQUENTIAL = "_sequential"  # ends the name of a pool whose samples were drawn one after the other


@dataclass(frozen=True, eq=False)
class BenchmarkPool:
    """One benchmark's samples.

    Attributes:
        name: Of its pool's folder.
        pool: Its pool.
        recorded: Its samples; every one is known to be right or wrong.
        sequential: Samples of the same questions in the same order, each drawn with the one before it in view; None
            where there are none.
    """

    name: str
    pool: Pool = field(repr=False)
    recorded: RecordedSamples = field(repr=False)
    sequential: RecordedSamples | None = field(default=None, repr=False)

    @property
    def folder(self) -> str:
        """Of its pool: what tells it from any other."""
        return str(self.pool.folder)

    @property
    def title(self) -> str:
        """What it is called in tables."""
        return BENCHMARKS.get(self.name, self.name)

    @property
    def texts(self) -> list[str]:
        """Of its questions."""
        return [question.text for question in self.pool.questions]

    def after_rounds(self, size: int) -> tuple[Float[Floats, " questions"], Float[Floats, " questions"]] | None:
        """Whether each question's answer is right after some rounds of MR-Thinking, and the tokens of all rounds.

        Args:
            size: Rounds, >= 1.

        Returns:
            None where there are not so many.
        """
        if self.sequential is None or self.sequential.depth < size:
            return None
        return self.sequential.correct[:, size - 1], self.sequential.tokens[:, :size].sum(1)


def open_benchmarks(folder: str | Path) -> list[BenchmarkPool]:
    """The benchmarks whose pools lie in a folder: the paper's in its order, then others.

    Args:
        folder: Of pools: ``math500``, ``math500_sequential``, ``gsm8k`` and so on.

    Raises:
        InputError: There is no pool in it, a sample is not known to be right or wrong, or sequential samples are of
            other questions.
    """
    folder = Path(folder)
    found = sorted(path.parent.name for path in folder.glob("*/manifest.json"))
    named = [name for name in found if not name.endswith(SEQUENTIAL)]
    for name in found:
        if name.endswith(SEQUENTIAL) and name.removesuffix(SEQUENTIAL) not in named:
            raise InputError(f"{folder / name}: there is no pool {name.removesuffix(SEQUENTIAL)} beside it")
    if not named:
        raise InputError(f"{folder}: no pools in it; expected folders such as {', '.join(BENCHMARKS)}")
    ordered = [name for name in BENCHMARKS if name in named] + [name for name in named if name not in BENCHMARKS]
    return [open_benchmark(folder / name) for name in ordered]


def open_benchmark(folder: Path) -> BenchmarkPool:
    """A pool and, where there is one, the pool of sequential samples beside it.

    Args:
        folder: Of the pool.

    Raises:
        InputError: There is no such pool, a sample is not known to be right or wrong, or sequential samples are of
            other questions.
    """
    pool, recorded = _labelled(folder)
    beside = folder.absolute().with_name(f"{folder.absolute().name}{SEQUENTIAL}")
    if not (beside / "manifest.json").is_file():
        return BenchmarkPool(folder.name, pool, recorded)
    other, sequential = _labelled(beside)
    return BenchmarkPool(folder.name, pool, recorded, sequential.take(_places(pool, other)))


def _labelled(folder: Path) -> tuple[Pool, RecordedSamples]:
    pool = Pool(folder)
    recorded = RecordedSamples.from_pool(pool)
    if np.isnan(recorded.correct).any():
        raise InputError(f"{folder}: not every sample is known to be right or wrong; give the questions gold answers")
    return pool, recorded


def _places(pool: Pool, sequential: Pool) -> Int[Ints, " questions"]:
    """Where each question of a pool is in the other one."""
    places = {question.id: place for place, question in enumerate(sequential.questions)}
    missing: Sequence[str] = [question.id for question in pool.questions if question.id not in places]
    if missing:
        raise InputError(f"{sequential.folder}: has no samples of question {missing[0]!r} of {pool.folder}")
    return np.array([places[question.id] for question in pool.questions])
