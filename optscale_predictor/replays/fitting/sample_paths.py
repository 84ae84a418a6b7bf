"""Random orders of recorded samples: runs that could have been, from which stopping is learnt.

A pool's samples are exchangeable, so each order of a question's samples is a path, and its first n are what a policy
would have seen after n draws.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.policies import Draws
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.stats.estimators import Prior


def decision_points(depth: int) -> Int[Ints, " points"]:
    """Numbers of samples at which a question may stop: every one at first, then steps of about a quarter.

    Args:
        depth: The most samples that a question may get, >= 2; the last point.
    """
    points = [1]
    while points[-1] < depth:
        # Steps that double with the power of two below keep 8, 16, 32 and 64 among the points.
        power = 2 ** int(np.log2(points[-1]))
        points.append(points[-1] + max(power // 4, 1))
    return np.array([*[point for point in points if point < depth], depth], np.int64)


@dataclass(frozen=True)
class SamplePaths:
    """Paths through recorded samples.

    Attributes:
        recorded: One row a path, its samples in the order drawn; every sample labelled.
        question: The question of each path.
        fold: The fold of each path's question.
        prior: One a path, or None.
        points: Decision points.
    """

    recorded: RecordedSamples
    question: Int[Ints, " paths"]
    fold: Int[Ints, " paths"]
    prior: Prior | None
    points: Int[Ints, " points"]

    @classmethod
    def shuffled(
        cls,
        recorded: RecordedSamples,
        fold: Int[Ints, " questions"],
        prior: Prior | None,
        num_orders: int,
        rng: np.random.Generator,
    ) -> "SamplePaths":
        """Some random orders of each question's samples.

        Args:
            recorded: The samples, all of them labelled.
            fold: Of each question, from 0.
            prior: One for all questions, one each, or None.
            num_orders: Orders of each question, >= 1.
            rng: Where the orders come from.
        """
        number = recorded.num_questions
        question = np.tile(np.arange(number), num_orders)
        paths = None if prior is None else prior.broadcast_to(number).take(question)
        shuffled = recorded.take(question).reorder(rng)
        return cls(shuffled, question, fold[question], paths, decision_points(recorded.depth))

    def draws(self, samples: int, rows: Int[Ints, " some"]) -> Draws:
        """What a policy sees after so many samples.

        Args:
            samples: >= 1.
            rows: Which paths.
        """
        part = np.s_[rows, :samples]
        return Draws(
            scores=self.recorded.scores[part],
            answer_source=lambda: self.recorded.answers[part],
            tokens=self.recorded.tokens[part],
            count=np.full(len(rows), samples),
            prior=None if self.prior is None else self.prior.take(rows),
            usable=self.recorded.usable[part],
        )

    def tokens(self) -> Float[Floats, "paths points"]:
        """Generated tokens up to each decision point."""
        return np.cumsum(self.recorded.tokens, -1)[:, self.points - 1]
