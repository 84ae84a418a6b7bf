"""The predictor beside its baselines: one row each, on the same held-out questions and resamples of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.assessment.accuracy import Difference, resample_figures, resampling_weights
from optscale_predictor.evaluation.assessment.assessment_settings import Settings
from optscale_predictor.evaluation.assessment.baselines import MEAN, Baseline
from optscale_predictor.evaluation.assessment.samples_saved import PREDICTOR, best_strength
from optscale_predictor.evaluation.assessment.scored_questions import ScoredQuestions
from optscale_predictor.stats.bootstrap import Estimate
from optscale_predictor.stats.estimators import Prior

ALONE = "the predictor, told no labels"


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
    alone: Prior | None = None,
) -> list[AccuracyRow]:
    """The baselines' rows, then the predictor's.

    Args:
        prior: The predictor's, one a held-out question.
        baselines: See :func:`baseline_priors`.
        held_out: The questions.
        settings: Resamples and seed.
        alone: What the predictor makes of the questions where it is told no labels; a row before its own.

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
    if alone is not None:
        untold = resample_figures(alone, held_out.statistics, weights)
        rows.append(AccuracyRow(ALONE, None, untold.estimates(), ours.better_than(untold)))
    same = float(prior.strength.min()) if prior.strength.min() == prior.strength.max() else None
    return [*rows, AccuracyRow(PREDICTOR, same, ours.estimates(), {})]
