"""Choosing a method's settings by what they did on questions: on the test set, as published, or off it.

Off the test set there are two ways. By folds of the questions, near-duplicates together, each question's settings are
chosen on the other folds. Or they are chosen on other benchmarks, each of which counts alike however many questions it
has; tokens then are shares of what Best-of-N spends on the same benchmark, since answers to hard questions are long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.replays.tuning import at_par, most_accurate

#: ``at_par``: fewest tokens among settings that are less accurate than Best-of-N by no more than its standard error;
#: ``most_accurate``: of the most accurate settings those with fewest tokens, as in the published table.
RULES = ("at_par", "most_accurate")
_DIGITS = 9  # of a mean; what is beyond is the rounding of a sum


@dataclass(frozen=True, eq=False)
class SettingOutcomes:
    """What every setting of a method did on questions, and what Best-of-N did.

    Attributes:
        accuracy: Share of each question's runs that were right, in [0, 1].
        tokens: Mean tokens of each question's runs; all of the same unit.
        reference: As ``accuracy``, of Best-of-N.
        weight: Of each question, > 0; sums to 1.
    """

    accuracy: Float[Floats, "settings questions"]
    tokens: Float[Floats, "settings questions"]
    reference: Float[Floats, " questions"]
    weight: Float[Floats, " questions"]

    def choose(self, rule: str) -> int:
        """Index of the settings that the rule chooses.

        Args:
            rule: One of ``RULES``.
        """
        accuracy, tokens = (np.round(part @ self.weight, _DIGITS) for part in (self.accuracy, self.tokens))
        if rule == "most_accurate":
            return most_accurate(accuracy, tokens)
        mean = float(self.reference @ self.weight)
        error = np.sqrt((self.weight**2) @ (self.reference - mean) ** 2)
        return at_par(accuracy, tokens, round(mean - float(error), _DIGITS))

    def take(self, questions: Bool[Bools, " questions"]) -> Self:
        """Some of the questions.

        Args:
            questions: Which; at least one.
        """
        weight = self.weight[questions] / self.weight[questions].sum()
        return type(self)(self.accuracy[:, questions], self.tokens[:, questions], self.reference[questions], weight)


def together(benchmarks: Sequence[SettingOutcomes], units: Sequence[float]) -> SettingOutcomes:
    """Outcomes on several benchmarks as if on one, each benchmark with the same weight.

    Args:
        benchmarks: Of the same settings.
        units: Tokens a question of Best-of-N on each benchmark, > 0: what its tokens are counted in.
    """
    share = 1 / len(benchmarks)
    return SettingOutcomes(
        np.concatenate([one.accuracy for one in benchmarks], 1),
        np.concatenate([one.tokens / unit for one, unit in zip(benchmarks, units, strict=True)], 1),
        np.concatenate([one.reference for one in benchmarks]),
        np.concatenate([share * one.weight for one in benchmarks]),
    )


def choose_by_folds(outcomes: SettingOutcomes, fold: Int[Ints, " questions"], rule: str) -> Int[Ints, " questions"]:
    """Of each question the settings that the questions of the other folds choose.

    Args:
        outcomes: On all questions.
        fold: Of each question; at least two different ones.
        rule: One of ``RULES``.
    """
    chosen = np.empty(len(fold), np.int64)
    for one in np.unique(fold):
        chosen[fold == one] = outcomes.take(fold != one).choose(rule)
    return chosen
