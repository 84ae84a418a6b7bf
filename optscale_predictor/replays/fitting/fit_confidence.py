"""Fitting the conditional logit of answers: maximum likelihood, penalised towards weighted votes.

Without labels the best guess is that an answer is as probable as the evidence of its samples adds up to, so that is
where the ridge pulls: forty questions move the weights a little, thousands as far as they say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import expit

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.policies.fitted.answer_features import (
    GROUP_FEATURES,
    QUESTION_FEATURES,
    AnswerTable,
    ScoreEvidence,
    answer_table,
)
from optscale_predictor.policies.fitted.confidence_model import ConfidenceModel, choice_probabilities
from optscale_predictor.replays.fitting.sample_paths import SamplePaths
from optscale_predictor.stats.calibration import platt_parameters
from optscale_predictor.stats.log_odds import log_odds

RIDGES = (1.0, 10.0, 100.0)
_LOOKS = 2.0  # how many independent looks the paths of one question are worth: they share its samples
_MOST_STATES = 60_000  # beyond that more states cost time and say nothing new
_TINY = 1e-300
_PIECES, _STIFFNESS, _RIDGE = 24, 0.3, 1e-3  # of the evidence: at most so many, what a bend and what a slope costs


def fit_evidence(
    scores: Float[Floats, "questions samples"], correct: Float[Floats, "questions samples"]
) -> ScoreEvidence:
    """What a score alone says of a sample.

    A logistic regression in the score's log-odds whose slope may change after each 24th of the samples, at a price: few
    questions leave it a line, many bend it as they say.

    Args:
        scores: Of samples, in [0, 1].
        correct: Whether each is right, 1 or 0.
    """
    if np.ptp(scores) < 1e-9:  # no verifier: all scores are alike
        share = (correct.sum() + 1) / (correct.size + 2)
        return ScoreEvidence(0.0, float(np.log(share / (1 - share))))
    slope, intercept = platt_parameters(scores, correct)
    odds, right = log_odds(scores).ravel(), correct.ravel()
    knots = np.unique(np.quantile(odds, np.arange(1, _PIECES) / _PIECES))
    along = _Pieces(odds, knots)
    weight = _LOOKS * len(scores) / len(odds)

    def cost(point: Floats) -> tuple[float, Floats]:
        slopes = point[:-1]
        linear, change = along.evidence(slopes) + point[-1], np.diff(slopes)
        residual = weight * (expit(linear) - right)
        gradient = np.append(along.pulled_back(residual) + _RIDGE * slopes, residual.sum())
        gradient[1:-1] += _STIFFNESS * change
        gradient[:-2] -= _STIFFNESS * change
        loss = weight * (np.logaddexp(0, linear) - right * linear).sum()
        return float(loss + 0.5 * (_STIFFNESS * (change**2).sum() + _RIDGE * (slopes**2).sum())), gradient

    number = len(knots) + 1
    start = np.append(np.full(number, slope), intercept)
    bounds = [(0.0, None)] * number + [(None, None)]
    *slopes, intercept = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds).x.tolist()
    return ScoreEvidence(slopes[0], intercept, tuple(knots.tolist()), tuple(np.diff(slopes).tolist()))


class _Pieces:
    """Log-odds cut into pieces at knots, each with a slope of its own; linear in the slopes.

    A matrix of every sample's way along every piece says the same and costs as many times more as there are pieces.
    """

    def __init__(self, odds: Floats, knots: Floats) -> None:
        self._piece = np.searchsorted(knots, odds)
        self._into = odds - np.append(0.0, knots)[self._piece]  # how far along the piece that it ends in
        self._length = np.diff(np.append(0.0, knots))  # of each piece that others pass as a whole: all but the last

    def evidence(self, slopes: Floats) -> Floats:
        """Of each sample, its way along the pieces times their slopes, from log-odds of 0."""
        passed = np.append(0.0, np.cumsum(self._length * slopes[:-1]))
        return np.asarray(passed[self._piece] + slopes[self._piece] * self._into)

    def pulled_back(self, weights: Floats) -> Floats:
        """The gradient of ``weights @ evidence(slopes)`` in the slopes."""
        pieces = len(self._length) + 1
        own: Floats = np.bincount(self._piece, weights * self._into, pieces).astype(np.float64)
        ending = np.bincount(self._piece, weights, pieces)
        own[:-1] += self._length * np.cumsum(ending[::-1])[::-1][1:]  # of those that end beyond the piece
        return own


@dataclass(frozen=True, eq=False)
class LabelledStates:
    """What confidence is fitted to: some paths at every decision point, their answers, and which of these are right.

    Attributes:
        evidence: What a score alone says of these questions' samples.
        table: Their answers; a question at another decision point is another question.
        right: Whether each answer is right, 1 or 0, one for each row of the table.
        weight: Of each state, so that they count as many looks as their questions are worth.
    """

    evidence: ScoreEvidence
    table: AnswerTable
    right: Float[Floats, " answers"]
    weight: float

    @classmethod
    def of(cls, paths: SamplePaths, rows: Int[Ints, " some"], rng: np.random.Generator) -> "LabelledStates":
        """The states of some paths.

        Args:
            paths: Labelled paths.
            rows: Which of them.
            rng: Chooses among paths where there are more than are needed.
        """
        questions = np.unique(paths.question[rows])
        first = rows[np.unique(paths.question[rows], return_index=True)[1]]
        evidence = fit_evidence(paths.recorded.scores[first], paths.recorded.correct[first])
        most = max(_MOST_STATES // len(paths.points), 1)
        kept = rng.choice(rows, most, replace=False) if len(rows) > most else rows
        tables = [answer_table(paths.draws(int(point), kept), evidence) for point in paths.points]
        right = np.concatenate([_labels(paths, kept, table) for table in tables])
        return cls(evidence, _join(tables), right, _LOOKS * len(questions) / (len(kept) * len(paths.points)))


def fit_confidence(states: LabelledStates, ridge: float) -> ConfidenceModel:
    """The confidence model of some paths.

    Args:
        states: What they went through.
        ridge: Weight of the penalty, > 0: how many questions the starting weights are worth.
    """
    return ConfidenceModel(states.evidence, *_maximise(states.table, states.right, states.weight, ridge))


def log_loss(model: ConfidenceModel, paths: SamplePaths, rows: Int[Ints, " some"]) -> float:
    """Mean of -log P(what was right), over paths and decision points.

    Args:
        model: The confidence model.
        paths: Labelled paths.
        rows: Which of them to measure.
    """
    losses = []
    for point in paths.points:
        found = model(paths.draws(int(point), rows))
        right = _labels(paths, rows, found.table)
        hit = found.table.sum_by_question(right * found.right)
        none = found.table.sum_by_question(right) == 0
        losses.append(-np.log(np.maximum(np.where(none, found.none, hit), 1e-12)).mean())
    return float(np.mean(losses))


def _labels(paths: SamplePaths, rows: Ints, table: AnswerTable) -> Floats:
    """Whether each group's answer is right, by its first sample."""
    return (paths.recorded.correct[rows[table.question], table.first] > 0.5).astype(np.float64)


def _join(tables: Sequence[AnswerTable]) -> AnswerTable:
    """The tables as one: a question at another decision point is another question. Samples are left out."""
    sizes = [len(table.group) for table in tables]
    shifts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    question = np.concatenate([table.question + shift for table, shift in zip(tables, shifts, strict=True)])
    return AnswerTable(
        features=np.concatenate([table.features for table in tables]),
        question_features=np.concatenate([table.question_features for table in tables]),
        question=question,
        group=np.empty((sum(sizes), 0), np.int64),
        first=np.concatenate([table.first for table in tables]),
        votes=np.concatenate([table.votes for table in tables]),
        answered=np.concatenate([table.answered for table in tables]),
        evidence=np.empty((sum(sizes), 0)),
    )


def _maximise(table: AnswerTable, right: Floats, weight: float, ridge: float) -> tuple[Floats, Floats]:
    """Weights of answers and of "none", in the units of the features."""
    scale, none_scale = _scales(table.features), _scales(table.question_features)
    features, none_features = table.features / scale, table.question_features / none_scale
    number = table.sum_by_question(right)
    none = (number == 0).astype(np.float64)
    target = right / np.maximum(number, 1)[table.question]
    start = np.zeros(len(scale) + len(none_scale))
    start[GROUP_FEATURES.index("log_weighted_votes")] = scale[GROUP_FEATURES.index("log_weighted_votes")]
    penalty = np.full(len(start), ridge)
    penalty[len(scale) + QUESTION_FEATURES.index("constant")] = 0.0

    def cost(point: Floats) -> tuple[float, Floats]:
        mine, theirs = point[: len(scale)], point[len(scale) :]
        chance, rest = choice_probabilities(table, features @ mine, none_features @ theirs)
        loss = -(target * np.log(chance + _TINY)).sum() - (none * np.log(rest + _TINY)).sum()
        slope = np.concatenate([features.T @ (chance - target), none_features.T @ (rest - none)])
        away = point - start
        return float(weight * loss + 0.5 * (penalty * away**2).sum()), weight * slope + penalty * away

    found = minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return found[: len(scale)] / scale, found[len(scale) :] / none_scale


def _scales(features: Floats) -> Floats:
    """Standard deviations, 1 where a feature does not vary."""
    scale = features.std(0)
    return np.where(scale > 1e-9, scale, 1.0)
