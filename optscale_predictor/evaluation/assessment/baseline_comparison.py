"""The predictor beside its baselines: one row each, on the same held-out questions and resamples of them.

A baseline predicts moments alone. To be held against a predictor it is given the one strength, how many samples a
prediction is worth, that serves it best on its training questions, each predicted without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.assessment.accuracy import (
    Difference,
    evidence,
    resample_figures,
    resampling_weights,
)
from optscale_predictor.evaluation.assessment.assessment_settings import Settings
from optscale_predictor.evaluation.assessment.baselines import MEAN, Baseline
from optscale_predictor.evaluation.assessment.samples_saved import PREDICTOR
from optscale_predictor.evaluation.assessment.scored_questions import ScoredQuestions
from optscale_predictor.stats.bootstrap import Estimate
from optscale_predictor.stats.distributions.truncated_normal_fit import RESOLUTION
from optscale_predictor.stats.estimators import Prior, ScoreStatistics

WITHOUT_LABELS = "the predictor, told no labels"
LEAST, MOST = 1.0, 512.0  # strengths

_STEP = 2.0  # ratio of the strengths that are tried
_ENOUGH = 200  # questions; one number needs no more to be fitted to a tenth or so


@dataclass(frozen=True)
class AccuracyRow:
    """One prediction.

    Attributes:
        name: What it is called.
        strength: How many samples it is worth; None where questions differ.
        figures: By the names in ``accuracy.FIGURES``.
        predictor_better: By the same names, how much better the predictor is; empty for itself.
    """

    name: str
    strength: float | None
    figures: dict[str, Estimate]
    predictor_better: dict[str, Difference]


def baseline_priors(
    baselines: Sequence[Baseline], train: ScoredQuestions, settings: Settings
) -> dict[str, tuple[Prior, float]]:
    """Each baseline as priors of the held-out questions, with the one strength that serves it best, by its name.

    The strength is chosen on the training questions, each predicted without it.

    Args:
        baselines: Their predictions of both sides.
        train: Training questions.
        settings: The seed by which some of very many training questions are chosen.
    """
    found = {}
    for one in baselines:
        strength = best_strength(one.out_of_fold, train.statistics, settings.seed)
        found[one.name] = Prior.expecting(one.held_out[:, 0], one.held_out[:, 1], strength), strength
    return found


def constant_of(priors: dict[str, tuple[Prior, float]]) -> Prior:
    """The constant prior: the training questions' mean moments with its best strength."""
    return priors[MEAN][0].take([0])


def compare(
    prior: Prior,
    baselines: dict[str, tuple[Prior, float]],
    held_out: ScoredQuestions,
    settings: Settings,
    without_labels: Prior | None = None,
) -> list[AccuracyRow]:
    """The baselines' rows, then the predictor's.

    Args:
        prior: The predictor's, one a held-out question.
        baselines: The baselines as priors with their strengths, as :func:`baseline_priors` gives them.
        held_out: The questions.
        settings: Resamples and seed.
        without_labels: What the predictor makes of the questions where it is told no labels; a row before its own.

    Raises:
        InputError: There are not as many predictions as questions.
    """
    if len(prior) != len(held_out):
        raise InputError(f"{len(prior)} predictions for {len(held_out)} held-out questions")
    weights = resampling_weights(len(held_out), settings.resamples, settings.seed)
    ours = resample_figures(prior, held_out.statistics, weights)
    rows = []
    for name, (one, strength) in baselines.items():
        theirs = resample_figures(one, held_out.statistics, weights)
        rows.append(AccuracyRow(name, strength, theirs.estimates(), ours.better_than(theirs)))
    if without_labels is not None:
        untold = resample_figures(without_labels, held_out.statistics, weights)
        rows.append(AccuracyRow(WITHOUT_LABELS, None, untold.estimates(), ours.better_than(untold)))
    same = float(prior.strength.min()) if prior.strength.min() == prior.strength.max() else None
    return [*rows, AccuracyRow(PREDICTOR, same, ours.estimates(), {})]


def best_strength(moments: Float[Floats, "questions 2"], observed: ScoreStatistics, seed: int = 0) -> float:
    """The strength, in [1, 512], at which predictions have the greatest evidence.

    Args:
        moments: Predicted means and standard deviations of questions that were not used to predict them (out of fold).
        observed: Their scores.
        seed: Which questions are taken where there are very many.
    """
    chosen = np.random.default_rng(seed).permutation(len(moments))[:_ENOUGH]
    mean, std = moments[chosen].T
    parts = ScoreStatistics(*(part[chosen] for part in (observed.count, observed.mean, observed.variance)))

    @cache
    def gain(step: int) -> float:
        return float(evidence(Prior.expecting(mean, std, start * _STEP**step), parts).mean())

    # As many samples as have a mean that errs as much: right but for what the spread and the shape add.
    error = max(float(((mean - parts.mean) ** 2).mean()), RESOLUTION**2)
    start = float(np.clip((std**2).mean() / error, LEAST, MOST))
    low, high = (round(np.log(edge / start) / np.log(_STEP)) for edge in (LEAST, MOST))
    best = 0
    while low < best and gain(best - 1) > gain(best):
        best -= 1
    while best < high and gain(best + 1) > gain(best):
        best += 1
    # Strengths were tried by factors of two: the top is refined by a parabola through the best and its neighbours.
    below, at, above = gain(best - 1), gain(best), gain(best + 1)
    bend = 2 * at - below - above
    offset = 0.5 * (above - below) / bend if bend > 0 else 0.0
    return float(np.clip(start * _STEP ** (best + np.clip(offset, -0.5, 0.5)), LEAST, MOST))
