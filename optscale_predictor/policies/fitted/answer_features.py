"""What tells of a distinct answer whether it is right: how often it was given, with which scores, at which length.

The samples of one question that give the same answer form a group. A sample without an answer is a group of its own
(it may still be right where answers are texts that nobody can compare), and samples that may not be returned belong to
no group. Groups of all questions lie one after the other in flat arrays, since questions differ in how many they have.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.policies._policy import Draws
from optscale_predictor.stats.log_odds import log_odds

GROUP_FEATURES = (
    "log_votes",
    "log_weighted_votes",
    "log_fourth_power_votes",
    "best_evidence",
    "mean_evidence",
    "single_vote",
    "without_answer",
    "relative_length",
    "relative_length_by_log_samples",
)
QUESTION_FEATURES = (
    "constant",
    "log_samples",
    "mean_evidence",
    "leading_share",
    "log_distinct_share",
    "log_mean_tokens",
    "prior_mean",
    "prior_std",
)


@dataclass(frozen=True)
class ScoreEvidence:
    """The logit of P(a sample is right) given its score alone, as a line in the score's logit that may bend.

    It makes verifiers comparable: a process reward model whose scores lie between 0.8 and 0.98 and one that uses the
    whole range give evidence on one scale, and a score that says nothing is flat. A line is Platt's (1999); a verifier
    with a threshold, below which nearly nothing is right and above which nearly all is, bends it.

    Attributes:
        slope: Of the first piece, >= 0.
        intercept: What the first piece would say at a score of 0.5, finite.
        knots: Where pieces meet, in log-odds of scores, increasing.
        bends: By how much the slope changes at each; no piece falls.
    """

    slope: float
    intercept: float
    knots: tuple[float, ...] = ()
    bends: tuple[float, ...] = ()

    @property
    def flat(self) -> bool:
        """Whether scores say nothing."""
        return self.slope == 0 and not any(self.bends)

    def __call__(self, scores: Float[Floats, "..."]) -> Float[Floats, "..."]:
        """Log-odds of scores in [0, 1], of any shape; NaN stays NaN."""
        if self.flat:
            return np.where(np.isnan(scores), np.nan, self.intercept)
        odds = log_odds(scores)
        found = self.intercept + self.slope * odds
        for knot, bend in zip(self.knots, self.bends, strict=True):
            found = found + bend * np.maximum(odds - knot, 0.0)
        return np.asarray(found)


@dataclass(frozen=True)
class AnswerTable:
    """The distinct answers of a batch of questions.

    Attributes:
        features: Of each group, as ``GROUP_FEATURES`` names them.
        question_features: Of each question, as ``QUESTION_FEATURES`` names them; zeros where nothing is drawn.
        question: The question of each group; never falls.
        group: The group of each sample; -1 = not drawn, or not to be returned.
        first: Index of each group's first sample among its question's.
        votes: Samples of each group.
        answered: Whether the group has an answer, and thus votes that count.
        evidence: Log-odds of each sample by its score alone; 0 where it belongs to no group.
    """

    features: Float[Floats, "groups features"]
    question_features: Float[Floats, "questions question_features"]
    question: Int[Ints, " groups"]
    group: Int[Ints, "questions samples"]
    first: Int[Ints, " groups"]
    votes: Float[Floats, " groups"]
    answered: Bool[Bools, " groups"]
    evidence: Float[Floats, "questions samples"]

    def sum_by_question(self, values: Float[Floats, " groups"]) -> Float[Floats, " questions"]:
        """Each question's sum over its groups; 0 where it has none."""
        return np.bincount(self.question, values, minlength=len(self.group)).astype(np.float64)

    def max_by_question(self, values: Float[Floats, " groups"], initial: float) -> Float[Floats, " questions"]:
        """Each question's maximum over its groups, at least ``initial``."""
        found = np.full(len(self.group), initial)
        np.maximum.at(found, self.question, values)
        return found


def answer_table(draws: Draws, evidence: ScoreEvidence) -> AnswerTable:
    """The distinct answers of what was drawn, and their features.

    Args:
        draws: The samples so far.
        evidence: What a score says of a sample.
    """
    counted = ~np.isnan(draws.scores) & draws.usable
    group, question, first = _groups(draws.answers, counted)
    of_sample, number = group[counted], len(question)
    log_odds, length = evidence(draws.scores), _relative_length(draws.tokens, counted)

    def total(values: Floats) -> Floats:
        chosen = np.broadcast_to(values, counted.shape)[counted]
        return np.bincount(of_sample, chosen, minlength=number).astype(np.float64)

    votes = total(np.ones((1, 1)))
    probability = expit(log_odds)
    best = np.full(number, -np.inf)
    np.maximum.at(best, of_sample, log_odds[counted])
    answered = draws.answers[question, first] >= 0
    samples = np.log(np.maximum(counted.sum(-1), 1))
    relative = total(length) / votes
    features = np.stack(
        [
            np.log(votes),
            np.log(total(probability) + 1e-3),
            np.log(total(probability**4) + 1e-6) / 4,
            best,
            total(log_odds) / votes,
            votes == 1,
            ~answered,
            relative,
            relative * samples[question],
        ],
        -1,
    )
    distinct = np.bincount(question, minlength=len(counted))
    leading = np.zeros(len(counted))
    np.maximum.at(leading, question, votes)
    known = np.where(counted, log_odds, 0.0)
    return AnswerTable(
        features,
        _question_features(draws, known, counted, distinct, leading),
        question,
        group,
        first,
        votes,
        answered,
        known,
    )


def _question_features(draws: Draws, evidence: Floats, counted: Bools, distinct: Ints, leading: Floats) -> Floats:
    some = np.maximum(counted.sum(-1), 1)
    tokens = np.where(counted, draws.tokens, 0.0).sum(-1) / some
    nothing = np.zeros(len(some))
    return np.stack(
        [
            np.ones(len(some)),
            np.log(some),
            evidence.sum(-1) / some,
            leading / some,
            np.log(np.maximum(distinct, 1) / some),
            np.log(np.maximum(tokens, 1.0)),
            nothing if draws.prior is None else np.broadcast_to(draws.prior.mean, nothing.shape),
            nothing if draws.prior is None else np.broadcast_to(draws.prior.std, nothing.shape),
        ],
        -1,
    )


def _relative_length(tokens: Floats, counted: Bools) -> Floats:
    """The logarithm of each sample's tokens, less the mean of its question's."""
    length = np.where(counted, np.log(np.maximum(np.nan_to_num(tokens), 1.0)), 0.0)
    mean = length.sum(-1, keepdims=True) / np.maximum(counted.sum(-1, keepdims=True), 1)
    return np.where(counted, length - mean, 0.0)


def _groups(answers: Ints, counted: Bools) -> tuple[Ints, Ints, Ints]:
    """The group of each sample, and of each group its question and its first sample, in the order of first samples."""
    questions, samples = answers.shape
    position = np.arange(samples)
    # A sample without an answer gets a number of its own, above those of the answers.
    named = np.where(answers >= 0, answers, answers.max(initial=0) + 1 + position)
    named = np.where(counted, named, named.max(initial=0) + 1)
    order = np.argsort(named, -1, kind="stable")
    ordered = np.take_along_axis(named, order, -1)
    starts = np.ones(answers.shape, np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    # The sort is stable, so a group's first sample is where it starts.
    first_of = np.empty_like(order)
    np.put_along_axis(first_of, order, np.take_along_axis(order, _last_start(starts), -1), -1)
    is_first = counted & (first_of == position)
    number = np.cumsum(is_first.ravel()).reshape(questions, samples) - 1
    group = np.where(counted, np.take_along_axis(number, first_of, -1), -1)
    question, first = np.nonzero(is_first)
    return group, question, first


def _last_start(starts: Bools) -> Ints:
    """The position of the latest start up to each position of a row."""
    return np.maximum.accumulate(np.where(starts, np.arange(starts.shape[1]), 0), -1)
