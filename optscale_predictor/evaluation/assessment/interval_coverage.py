"""Do predicted priors cover what was observed? Central intervals, and the histogram of where observed means fell.

If a prior is right, its central q interval holds a share q of questions, and the PIT of observed mean scores is uniform
over questions (Dawid, J. R. Statist. Soc. A 1984).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2

from optscale_predictor._support.arrays import Bools, Floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.estimators import Prior, ScoreStatistics
from optscale_predictor.stats.prior_predictive import mean_pit, score_pit

LEVELS = (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class IntervalCoverage:
    """How priors fared against what was observed.

    Attributes:
        levels: Nominal coverage of each central interval, in (0, 1).
        coverage: The share of questions that each interval held, in [0, 1].
        coverage_error: Standard error of each over questions, if the nominal coverage is the true one.
        histogram: Questions by PIT (where their mean score fell in the prediction), in bins of equal width over [0, 1].
        histogram_error: Standard deviation of each bin's count, if PITs are uniform.
        uniformity: P-value of a chi-squared test that they are.
        score_coverage: As ``coverage``, of single new scores; empty where none were at hand.
        score_coverage_error: Standard errors of it, over questions: scores of one question go together.
    """

    levels: tuple[float, ...]
    coverage: tuple[float, ...]
    coverage_error: tuple[float, ...]
    histogram: tuple[int, ...]
    histogram_error: tuple[float, ...]
    uniformity: float
    score_coverage: tuple[float, ...] = ()
    score_coverage_error: tuple[float, ...] = ()


def measure_coverage(
    prior: Prior,
    observed: ScoreStatistics,
    scores: ArrayLike | None = None,
    levels: tuple[float, ...] = LEVELS,
    bins: int = 10,
) -> IntervalCoverage:
    """Holds priors against observed scores; questions without a score are left out.

    Args:
        prior: The priors, one a question or one for all.
        observed: Statistics of the scores.
        scores: The scores [questions, samples] (NaN = not drawn), where they are at hand.
        levels: Nominal coverage of the central intervals, each in (0, 1).
        bins: Of the PIT histogram, >= 2.

    Raises:
        InputError: No question has a score, shapes disagree, or an argument is out of its range.
    """
    if not levels or not all(0 < level < 1 for level in levels):
        raise InputError(f"levels must lie in (0, 1), got {levels}")
    if bins < 2:
        raise InputError(f"bins must be >= 2, got {bins}")
    pit = mean_pit(prior, observed)
    pit = pit[np.isfinite(pit)]
    counts = np.histogram(pit, bins, (0.0, 1.0))[0]
    expected = len(pit) / bins
    held = [float(_inside(pit, level).mean()) for level in levels]
    errors = [float(np.sqrt(level * (1 - level) / len(pit))) for level in levels]
    uniformity = float(chi2.sf(((counts - expected) ** 2 / expected).sum(), bins - 1))
    bin_error = (float(np.sqrt(expected * (1 - 1 / bins))),) * bins
    single, single_error = ((), ()) if scores is None else _score_coverage(score_pit(prior, scores), levels)
    return IntervalCoverage(
        tuple(levels),
        tuple(held),
        tuple(errors),
        tuple(int(count) for count in counts),
        bin_error,
        uniformity,
        single,
        single_error,
    )


def _inside(pit: Floats, level: float) -> Bools:
    return np.abs(pit - 0.5) <= level / 2


def _score_coverage(pit: Floats, levels: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean over questions of the share of their scores inside, and its standard error over questions."""
    pit = pit[~np.isnan(pit).all(-1)]
    drawn = ~np.isnan(pit)
    shares = [np.where(drawn, _inside(pit, level), False).sum(-1) / drawn.sum(-1) for level in levels]
    errors = [float(share.std() / np.sqrt(max(len(share) - 1, 1))) for share in shares]
    return tuple(float(share.mean()) for share in shares), tuple(errors)
