"""The columns of targets: their types and what they mean, for the file, the dataset card and the page.

Standard errors of what a predictor learns, so that a target of few samples can weigh less than one of many.

None is given where the samples cannot tell: from one, or from equal ones, an estimate of zero would claim certainty.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from optscale_predictor.stats.estimators import ScoreStatistics
from optscale_predictor.stats.estimators.truncated_normal_fit import RESOLUTION

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

QUANTILE_NAMES = {f"quantile_{round(100 * level):02d}": level for level in QUANTILES}

_NO_SPREAD = "null where one sample or equal scores cannot tell"
_NO_MAXIMUM = "null where the likelihood has no maximum (one sample, equal scores, scores at 0 and 1 alone)"

#: Every column with its type and what it means, in order.
_COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "question_id": (pa.string(), "id of the question"),
    "question": (pa.string(), "its text"),
    "num_samples": (pa.int32(), "scored samples; all that follows on scores is over these"),
    "num_refused": (pa.int32(), "samples that the verifier refused to score"),
    "mean": (pa.float64(), "mean of the scores"),
    "std": (pa.float64(), "population standard deviation of the scores"),
    "mean_error": (pa.float64(), f"standard error of `mean`; {_NO_SPREAD}"),
    "std_error": (pa.float64(), f"standard error of `std`; {_NO_SPREAD}"),
    "sum": (pa.float64(), "sum of the scores"),
    "sum_squares": (pa.float64(), "sum of their squares"),
    "third_moment": (pa.float64(), "mean of (score - mean)^3"),
    "fourth_moment": (pa.float64(), "mean of (score - mean)^4"),
    "mean_log": (pa.float64(), f"mean of log(score), scores below {RESOLUTION:g} taken for that"),
    "mean_log1m": (pa.float64(), f"mean of log(1 - score), scores above 1 - {RESOLUTION:g} taken for that"),
    "a": (pa.float64(), f"density exp(a x + b x^2) / Z on [0, 1] fitted to the scores; {_NO_MAXIMUM}"),
    "b": (pa.float64(), "see `a`"),
    "a_error": (pa.float64(), "standard error of `a`, if the scores follow this density; null where `a` is"),
    "b_error": (pa.float64(), "standard error of `b`, likewise"),
    "mu": (pa.float64(), "the same density as a normal truncated to [0, 1]: location; null where `a` is, or `b` >= 0"),
    "sigma": (pa.float64(), "its scale; `mu` and `sigma` are not the scores' mean and standard deviation"),
    "beta_a": (pa.float64(), "Beta density fitted to the scores: first shape; null where one sample or equal scores"),
    "beta_b": (pa.float64(), "its second shape"),
    "min": (pa.float64(), "least score"),
    **{name: (pa.float64(), f"{level:g} quantile of the scores") for name, level in QUANTILE_NAMES.items()},
    "max": (pa.float64(), "greatest score"),
    "pass_rate": (pa.float64(), "share of right answers among the judged samples; null where none is judged"),
    "pass_rate_error": (pa.float64(), "its standard error (that of its posterior under a uniform prior)"),
    "num_judged": (pa.int32(), "samples whose answer is known to be right or wrong, refused ones included"),
    "mean_tokens": (pa.float64(), "generated tokens a sample, refused ones included; null where an import did not say"),
    "split": (pa.string(), "`train`, `validation`, or `left_out` where near-duplicates stand on both sides"),
}

SCHEMA = pa.schema([(name, kind) for name, (kind, _) in _COLUMNS.items()])

#: What the columns mean.
MEANING = {name: meaning for name, (_, meaning) in _COLUMNS.items()}


Floats = NDArray[np.float64]


def mean_error(statistics: ScoreStatistics) -> Floats:
    """Standard error of the mean of each question's scores, [questions]: s / sqrt(n), s^2 with divisor n - 1.

    NaN where there is one score, or all lie within 1e-6.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(_spread(statistics), np.sqrt(statistics.variance / (statistics.count - 1)), np.nan)


def std_error(statistics: ScoreStatistics, fourth_moment: Floats) -> Floats:
    """Standard error of the population standard deviation of each question's scores, [questions].

    By the delta method from that of the variance, (m4 - m2^2 (n - 3) / (n - 1)) / n with central moments m2 and m4. The
    factor matters: without it two scores, or as many at one value as at another, would leave no error at all. From few
    scores it is low (Beta scores of six shapes: 0.6 to 0.9 of the truth from 2 to 4 scores, 0.8 to 1.1 from 16).

    NaN where there is one score, or all lie within 1e-6.
    """
    count, variance = statistics.count, statistics.variance
    with np.errstate(invalid="ignore", divide="ignore"):
        of_variance = (fourth_moment - variance**2 * (count - 3) / (count - 1)) / count
        return np.where(_spread(statistics), np.sqrt(of_variance / (4 * variance)), np.nan)


def share_error(successes: ArrayLike, trials: ArrayLike) -> Floats:
    """Standard error of a share: its posterior's standard deviation under a uniform prior.

    sqrt(p (1 - p) / n) would claim certainty where all trials ended alike. NaN without trials.
    """
    good, count = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    middle = (good + 1) / (count + 2)
    return np.where(count > 0, np.sqrt(middle * (1 - middle) / (count + 3)), np.nan)


def _spread(statistics: ScoreStatistics) -> NDArray[np.bool_]:
    return np.asarray((statistics.count > 1) & (statistics.variance > RESOLUTION**2))
