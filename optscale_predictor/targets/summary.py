"""What a pool and its targets amount to in a few numbers, all measured, for the dataset card and the page."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor.stats.distributions.family_choice import FamilyChoice, choose_family
from optscale_predictor.stats.ranking import auc_within
from optscale_predictor.stats.reliability import reliability
from optscale_predictor.targets.pool_scores import UNKNOWN, PoolScores
from optscale_predictor.targets.question_scores import QuestionScores

_FAMILY_QUESTIONS = 200  # enough to tell families apart, and a second's work


@dataclass(frozen=True)
class Summary:
    """Numbers of a pool and its targets; None where they are not known.

    Attributes:
        questions: Rows.
        unscored_questions: Questions without a row: the verifier refused all of their samples.
        sides: Questions of each side of the split.
        samples: Scored samples.
        refused: Samples that the verifier refused.
        fewest: Scored samples of the question that has the fewest.
        most: Of the one that has the most.
        generated_tokens: Of all samples, refused ones included.
        mean_tokens: A sample, refused ones included.
        verifier_tokens: Tokens that the verifier read and wrote.
        mean: Mean of the questions' mean scores.
        mean_spread: Their standard deviation.
        mean_signal: Share of their variance that is not sampling error, in [0, 1]: the greatest R² that a predictor of
            mean scores can have on these rows.
        std: Mean of the questions' standard deviations.
        std_spread: Their standard deviation.
        std_signal: As ``mean_signal``, of the standard deviations.
        within: Share of the scores' variance that lies within questions, in [0, 1].
        pass_rate: Mean of the questions' pass rates.
        judged: Samples whose answer is known to be right or wrong.
        auc: P(a right sample's score exceeds a wrong one's), of all scored samples.
        auc_within: The same for two samples of one question, mean over the questions that have both.
        family: The family of distributions that held-out scores follow best, chosen on 200 questions at most.
    """

    questions: int
    unscored_questions: int
    sides: Mapping[str, int]
    samples: int
    refused: int
    fewest: int
    most: int
    generated_tokens: int | None
    mean_tokens: float | None
    verifier_tokens: int
    mean: float
    mean_spread: float
    mean_signal: float | None
    std: float
    std_spread: float
    std_signal: float | None
    within: float | None
    pass_rate: float | None
    judged: int
    auc: float | None
    auc_within: float | None
    family: FamilyChoice | None


def summarise(pool_scores: PoolScores, targets: pa.Table) -> Summary:
    """Measures a pool and its targets.

    Args:
        pool_scores: The pool's scores.
        targets: Its targets.
    """
    count = pool_scores.by_question.count
    column = {name: targets[name].to_numpy() for name in ("mean", "std", "mean_error", "std_error", "pass_rate")}
    tokens = pool_scores.tokens[pool_scores.tokens != UNKNOWN]
    sides = targets["split"].value_counts().to_pylist()
    auc, auc_within = _aucs(pool_scores)
    return Summary(
        questions=targets.num_rows,
        unscored_questions=len(pool_scores.pool.questions) - targets.num_rows,
        sides={str(entry["values"]): int(entry["counts"]) for entry in sides},
        samples=int(count.sum()),
        refused=sum(pool_scores.refusals.values()),
        fewest=int(count.min()),
        most=int(count.max()),
        generated_tokens=pool_scores.generated_tokens if tokens.size else None,
        mean_tokens=float(tokens.mean()) if tokens.size else None,
        verifier_tokens=pool_scores.verifier_tokens,
        mean=float(column["mean"].mean()),
        mean_spread=float(column["mean"].std()),
        mean_signal=_signal(column["mean"], column["mean_error"]),
        std=float(column["std"].mean()),
        std_spread=float(column["std"].std()),
        std_signal=_signal(column["std"], column["std_error"]),
        within=_ratio(
            float((count * column["std"] ** 2).sum() / count.sum()), float(pool_scores.by_question.score.var())
        ),
        pass_rate=None if np.isnan(column["pass_rate"]).all() else float(np.nanmean(column["pass_rate"])),
        judged=int((pool_scores.correct != UNKNOWN).sum()),
        auc=auc,
        auc_within=auc_within,
        family=_family(pool_scores.by_question),
    )


def _family(scores: QuestionScores) -> FamilyChoice | None:
    """Chosen on questions that are spread evenly over all; None where no question has two scores."""
    several = np.flatnonzero(scores.count >= 2)
    if not several.size:
        return None
    kept = several[np.linspace(0, several.size - 1, min(several.size, _FAMILY_QUESTIONS)).round().astype(np.intp)]
    table = np.full((kept.size, int(scores.count[kept].max())), np.nan)
    ends = scores.count.cumsum()
    for row, question in enumerate(kept):
        table[row, : scores.count[question]] = scores.score[ends[question] - scores.count[question] : ends[question]]
    return choose_family(table)


def labelled_scores(pool_scores: PoolScores) -> tuple[Float[Floats, "labelled"], Float[Floats, "labelled"]]:
    """Scores of the samples that have a score and a label, and these labels (1 right, 0 wrong), in the pool's order."""
    known = ~np.isnan(pool_scores.score) & (pool_scores.correct != UNKNOWN)
    return pool_scores.score[known], pool_scores.correct[known].astype(np.float64)


def _signal(values: Floats, errors: Floats) -> float | None:
    """Share of variance that is not sampling error; questions whose error is not known are taken to have none."""
    if values.size < 2 or np.isnan(errors).all():
        return None
    noise = _ratio(float(np.nan_to_num(errors**2).mean()), float(values.var()))
    return None if noise is None else max(0.0, 1 - noise)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _aucs(pool_scores: PoolScores) -> tuple[float | None, float | None]:
    score, label = labelled_scores(pool_scores)
    if not 0 < label.sum() < label.size:
        return None, None
    known = ~np.isnan(pool_scores.score) & (pool_scores.correct != UNKNOWN)
    within = auc_within(score, label, pool_scores.question[known])
    return reliability(score, label).auc, within.auc if within.questions else None
