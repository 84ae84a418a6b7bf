"""How many samples a prediction is worth: the fixed strength that serves it best, and the learned against fixed."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.assessment.accuracy import Difference, estimate, resampling_weights
from optscale_predictor.assessment.in_parts import evidence
from optscale_predictor.assessment.runs import Runs
from optscale_predictor.assessment.savings import measure_savings
from optscale_predictor.assessment.settings import Settings
from optscale_predictor.bootstrap import Estimate
from optscale_predictor.estimators import Prior, ScoreStatistics
from optscale_predictor.estimators.natural import RESOLUTION

Floats = NDArray[np.float64]

LEARNED = "learned"
LEAST, MOST = 1.0, 512.0
_STEP = 2.0  # ratio of the strengths that are tried
_ENOUGH = 200  # questions; one number needs no more to be fitted to a tenth or so


def best_strength(moments: Floats, observed: ScoreStatistics, seed: int = 0) -> float:
    """The strength, in [1, 512], at which predictions have the greatest evidence.

    Args:
        moments: Predicted means and standard deviations of questions that were not used to predict them (out of fold),
            [questions, 2].
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
    # The top of a parabola through the three.
    below, at, above = gain(best - 1), gain(best), gain(best + 1)
    bend = 2 * at - below - above
    offset = 0.5 * (above - below) / bend if bend > 0 else 0.0
    return float(np.clip(start * _STEP ** (best + np.clip(offset, -0.5, 0.5)), LEAST, MOST))


@dataclass(frozen=True)
class StrengthRow:
    """One way to trust the predicted moments.

    Attributes:
        name: ``learned``, or the fixed strength.
        log_evidence: Predictive log evidence a question.
        samples: By target score, samples a question at an equal hit rate.
        learned_fewer: By target score, how many fewer the learned strength draws.
    """

    name: str
    log_evidence: Estimate
    samples: dict[float, Estimate]
    learned_fewer: dict[float, Difference]


def compare_strengths(runs: Runs, prior: Prior, observed: ScoreStatistics, settings: Settings) -> list[StrengthRow]:
    """The predictor's own strength against the same moments with fixed ones.

    Args:
        runs: The scores that samples are saved on.
        prior: The predictor's, one a question.
        observed: Statistics of the same questions' scores.
        settings: Target scores and fixed strengths; samples are compared at the greatest of its shares of the hit rate.
    """
    named = {
        LEARNED: prior,
        **{f"{strength:g}": Prior.expecting(prior.mu, prior.within, strength) for strength in settings.strengths},
    }
    saved = measure_savings(runs, named, settings, bounds=False)
    weights = resampling_weights(len(prior), settings.resamples, settings.seed)
    share = max(settings.shares)
    rows = []
    for name, one in named.items():
        mean = estimate(weights @ evidence(one, observed))
        mine = {saving.score_min: saving.at[share] for saving in saved if saving.prior == name}
        samples = {target: found.samples for target, found in mine.items()}
        fewer = {target: _reversed(found.fewer) for target, found in mine.items()}
        rows.append(StrengthRow(name, mean, samples, fewer))
    return rows


def _reversed(of: Difference) -> Difference:
    """The same difference seen from the other side."""
    mean, error, low, high = of.of.mean, of.of.error, of.of.low, of.of.high
    return Difference(Estimate(-mean, error, -high, -low), 1 - of.better)
