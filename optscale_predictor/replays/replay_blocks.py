"""Blocks of a replay: which questions of which orders are replayed together.

What policies compute from a question's first samples is kept while a block is replayed, some kilobytes a prefix. A
block holds a bounded number of prefixes: several orders of a small pool, or some questions of one order of a large one.
So a replay's memory grows with a block and not with the pool.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from optscale_predictor.policies import Policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import Outcomes

_PREFIXES = 2**17  # rows times depth; a smaller block takes more steps, a larger one leaves a processor's cache


@dataclass(frozen=True, eq=False)
class Block:
    """Runs that are replayed together.

    Attributes:
        orders: Which of the replay's orders.
        questions: Which of the pool's questions.
        runs: These questions' samples in each of these orders.
    """

    orders: slice
    questions: slice
    runs: Sequence[RecordedSamples]


@dataclass(frozen=True, eq=False)
class BlockRun:
    """What became of one block of a replay under one policy.

    Attributes:
        orders: Which of the replay's orders.
        questions: Which of the pool's questions.
        recorded: These questions' samples in these orders, one order after the other.
        outcomes: Of the policy, likewise.
    """

    orders: slice
    questions: slice
    recorded: RecordedSamples
    outcomes: Outcomes


@dataclass(frozen=True, eq=False)
class BlockPlan:
    """How a replay is cut into blocks.

    Attributes:
        recorded: The samples, with at least one question.
        num_orders: Random orders, >= 0; 0: the order of the recording alone.
        seed: Of the random orders, >= 0.
        whole: Whether every block holds all questions of its orders, however many.
        recorded_first: Whether the first order is that of the recording.
    """

    recorded: RecordedSamples
    num_orders: int
    seed: int
    whole: bool = False
    recorded_first: bool = False

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self._starts_of_orders) * len(self._starts_of_questions)

    def __iter__(self) -> Iterator[Block]:
        """The blocks; what one of them draws at random does not depend on how they are cut."""
        spawned: list[np.random.Generator | None] = [*np.random.default_rng(self.seed).spawn(self.num_orders)] or [None]
        if self.recorded_first:
            spawned[0] = None
        for first in self._starts_of_orders:
            # Every block goes on with its orders' generators where the block before left them.
            generators = spawned[first : first + self._starts_of_orders.step]
            for start in self._starts_of_questions:
                part = self.recorded.between(start, start + self._starts_of_questions.step)
                runs = [part if one is None else part.reorder(one) for one in generators]
                questions = slice(start, start + part.num_questions)
                yield Block(slice(first, first + len(runs)), questions, runs)

    @property
    def _starts_of_orders(self) -> range:
        fitting = _PREFIXES // (self.recorded.num_questions * self.recorded.depth)
        return range(0, max(self.num_orders, 1), max(fitting, 1))

    @property
    def _starts_of_questions(self) -> range:
        number = self.recorded.num_questions
        fitting = number if self.whole else min(_PREFIXES // self.recorded.depth, number)
        return range(0, number, max(fitting, 1))


def beliefs_pay(policies: Sequence[Policy]) -> bool:
    """Whether so many settings ask that what is believed after every sample is worth computing once for all of them.

    A setting that does without costs about a tenth of a belief. With beliefs, every further target costs some 0.4 of
    one, and a further setting of a known target next to nothing.

    Args:
        policies: That are replayed together.
    """
    return len(policies) > 10 + 4 * len({getattr(policy, "score_min", None) for policy in policies})
