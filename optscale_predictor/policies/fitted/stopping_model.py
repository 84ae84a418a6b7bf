"""What going on is worth at a price of a token: the fitted part of optimal stopping.

At each of some decision points (1, 2, 3, 4, 6, ... samples) a question may stop, which is worth the probability that
its leading answer is right, or go on to the next point and decide again. For each of some prices, boosted trees say by
how much going on is better, given the features of what was drawn: continuation values as in Longstaff and Schwartz
(Valuing American Options by Simulation, 2001), fitted to recorded, shuffled samples. Between two prices the two answers
are mixed. Without trees what is left is a number for each decision point, and the rule is a plain Best-of-k.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import Draws
from optscale_predictor.policies.fitted.boosted_trees import BoostedTrees
from optscale_predictor.policies.fitted.confidence_model import Confidence, ConfidenceModel
from optscale_predictor.policies.fitted.stopping_features import stopping_features
from optscale_predictor.stats.log_odds import log_odds

_NEARLY = 0.95  # of the answers that can be made sure: the last few cost as much as all the others


@dataclass(frozen=True, eq=False)
class PriceModel:
    """The advantage of going on at one price.

    Attributes:
        base: At each decision point but the last, whatever was drawn.
        trees: What the features add to it.
    """

    base: Float[Floats, " points"]
    trees: BoostedTrees


@dataclass(frozen=True, eq=False)
class HeldOutCurve:
    """What the rules did on questions that they were not fitted to, over random orders of their samples.

    Attributes:
        price: Of one token, > 0, increasing: the fitted prices, and some between each two.
        accuracy: Share of questions answered rightly, in [0, 1], at each price.
        tokens: Generated tokens a question, at each price.
        samples: Samples a question, at each price.
    """

    price: Float[Floats, " prices"]
    accuracy: Float[Floats, " prices"]
    tokens: Float[Floats, " prices"]
    samples: Float[Floats, " prices"]


@dataclass(frozen=True, eq=False)
class AccuracyTargets:
    """How sure the leading answer must be for a share of answers to be right, measured on held-out questions.

    A confidence that is right on average at every number of samples is too high where one stops because of it, so what
    counts is how sure the rules of a price were when they stopped, and how often they were right then.

    Attributes:
        threshold: Confidence in the leading answer, in [0, 1], increasing.
        accuracy: Share of right answers among the questions that ended at least so sure, in [0, 1], never falling from
            threshold to threshold, for each of the held-out prices.
        coverage: Share of questions that ended so, in [0, 1].
    """

    threshold: Float[Floats, " thresholds"]
    accuracy: Float[Floats, "prices thresholds"]
    coverage: Float[Floats, "prices thresholds"]

    def cheapest(self, accuracy: float) -> tuple[int, float]:
        """The highest price whose rules make nearly as many answers that sure as any price's, and what "sure" is.

        Args:
            accuracy: Share of the sure answers that shall be right, in (0, 1).

        Returns:
            Index of the price, and the least confidence, in [0, 1], from which an answer counts as sure.

        Raises:
            InputError: ``accuracy`` lies outside (0, 1), or no confidence reached it on held-out questions.
        """
        if not 0 < accuracy < 1:
            raise InputError(f"accuracy must lie in (0, 1), got {accuracy}")
        enough = (self.accuracy >= accuracy) & (self.coverage > 0)
        if not enough.any():
            raise InputError(
                f"accuracy={accuracy} is out of reach: on held-out questions the surest answers were right "
                f"{self.accuracy[self.coverage > 0].max():.3f} of the time"
            )
        covered = np.where(enough, self.coverage, 0.0).max(-1)
        price = int(np.flatnonzero(covered >= _NEARLY * covered.max())[-1])
        return price, float(self.threshold[enough[price].argmax()])


@dataclass(frozen=True, eq=False)
class Recalibration:
    """From the model's confidence in a leading answer to how often such answers are right, by the number of samples.

    A line in the confidence's log-odds at each decision point, fitted to questions that the confidence model had not
    seen; between two points the lines are mixed by the logarithm of the number of samples.

    Attributes:
        points: Decision points.
        intercept: Of the line at each.
        slope: Of the line at each, >= 0.
    """

    points: Int[Ints, " points"]
    intercept: Float[Floats, " points"]
    slope: Float[Floats, " points"]

    def __call__(
        self, leader: Float[Floats, " questions"], count: Int[Ints, " questions"]
    ) -> Float[Floats, " questions"]:
        """Probabilities, in [0, 1]; where there is no leading answer (0) it stays 0.

        Args:
            leader: The model's confidence, in [0, 1].
            count: Samples drawn, >= 1.
        """
        at, known = np.log(np.maximum(count, 1)), np.log(self.points)
        odds = np.interp(at, known, self.intercept) + np.interp(at, known, self.slope) * log_odds(leader)
        return np.where(leader > 0, expit(odds), 0.0)


@dataclass(frozen=True, eq=False)
class FittedStopping:
    """Everything that ``optscale fit-policy`` learnt.

    Attributes:
        confidence: How probable each answer is.
        recalibration: From that to how often the leading answer is right.
        points: Numbers of samples at which a question may stop, increasing, from 1 to the most that it may get.
        prices: Of one generated token, in units of the probability of a right answer, > 0, increasing.
        models: One for each price.
        held_out: What the rules did on held-out questions.
        fixed: By selection (``best_score``, ``majority``, ``weighted_majority``, ``confidence``) the accuracy where
            every question gets as many samples as a decision point has.
        fixed_tokens: Generated tokens a question at each decision point.
        targets: Confidence for a stated accuracy.
        uses_prior: Whether a predictor's prior belongs to the features.
        source: The generator and verifier behind the samples, JSON types; empty where nothing is known of them.
        shapes: The shape of the rule at each price: ``fixed`` (a number of samples for every question), ``agreement``
            or ``all`` (by what was drawn).
        facts: What the fit's user should know: questions, samples, orders, and how the confidence did; JSON types.
        version: Tells it from any other fit; empty until it is read from its folder.
    """

    confidence: ConfidenceModel
    recalibration: Recalibration
    points: Int[Ints, " points"]
    prices: Float[Floats, " prices"]
    models: tuple[PriceModel, ...]
    held_out: HeldOutCurve
    fixed: Mapping[str, Float[Floats, " points"]]
    fixed_tokens: Float[Floats, " points"]
    targets: AccuracyTargets
    uses_prior: bool
    source: Mapping[str, object]
    shapes: tuple[str, ...]
    facts: Mapping[str, float]
    version: str = ""

    @property
    def depth(self) -> int:
        """The most samples that a question may get."""
        return int(self.points[-1])

    def confident(self, draws: Draws) -> Confidence:
        """What is believed of the answers; a prior that was not there when it was fitted is not looked at.

        Args:
            draws: The samples so far.
        """
        return self.confidence(draws if self.uses_prior else draws.without_prior())

    def features(self, draws: Draws) -> Float[Floats, "questions features"]:
        """What stopping looks at, as ``stopping_features`` gives it; kept in the draws' memo where there is one.

        Args:
            draws: The samples so far, at least one of each question.
        """

        def compute(new: Draws) -> Floats:
            seen = new if self.uses_prior else new.without_prior()
            return stopping_features(seen, self.confidence(seen))

        return draws.remember(self, compute)

    def probability_right(self, found: Confidence, count: Int[Ints, " questions"]) -> Float[Floats, " questions"]:
        """P(the leading answer is right), calibrated on held-out questions; 0 where there is no answer.

        Args:
            found: What :meth:`confident` believes of the answers.
            count: Samples that it looked at, >= 1.
        """
        return self.recalibration(found.of_leader, count)

    def advantage(
        self, features: Float[Floats, "questions features"], count: Int[Ints, " questions"], price: float
    ) -> Float[Floats, " questions"]:
        """By how much going on is better than stopping; at most 0 where a question should stop.

        Args:
            features: As ``stopping_features`` gives them.
            count: Samples drawn of each question, >= 1.
            price: Of one token, > 0; beyond the fitted prices the nearest one counts.
        """
        point = np.minimum(np.searchsorted(self.points, count, side="right") - 1, len(self.points) - 2)
        place = np.interp(np.log(price), np.log(self.prices), np.arange(len(self.prices)))
        low = int(place)
        share = float(place) - low
        found = self._at(low, features, point)
        if share:
            found = (1 - share) * found + share * self._at(low + 1, features, point)
        return np.where(count >= self.depth, 0.0, found)

    def worth(
        self, features: Float[Floats, "questions features"], count: Int[Ints, " questions"]
    ) -> Float[Floats, " questions"]:
        """The highest price of a token at which going on still pays: what the next tokens bring, per token.

        An index as Gittins' (1979): questions that compete for one budget are served in its order. Between two prices
        it lies where the advantage, taken for a line in the logarithm of the price, is 0.

        Args:
            features: As ``stopping_features`` gives them.
            count: Samples drawn of each question, >= 1.

        Returns:
            Prices, >= 0; 0 where going on does not pay at any fitted price, the highest where it does at all.
        """
        found = np.stack([self.advantage(features, count, float(price)) for price in self.prices])
        pays, questions = found > 0, np.arange(len(count))
        highest = len(self.prices) - 1 - pays[::-1].argmax(0)
        above = np.minimum(highest + 1, len(self.prices) - 1)
        here, there = found[highest, questions], found[above, questions]
        # At the highest price of all there is none above, and nothing to go towards.
        share = here / np.where(above > highest, here - there, 1.0)
        logs = np.log(self.prices)
        return np.where(pays.any(0), np.exp(logs[highest] + share * (logs[above] - logs[highest])), 0.0)

    def _at(self, price: int, features: Floats, point: Ints) -> Floats:
        model = self.models[price]
        return model.base[point] + model.trees(features)

    def next_point(self, count: Int[Ints, " questions"]) -> Int[Ints, " questions"]:
        """The next decision point after so many samples; the last one from there on."""
        index = np.searchsorted(self.points, count, side="right")
        return self.points[np.minimum(index, len(self.points) - 1)]

    def price_for_tokens(self, tokens: float) -> float:
        """The price at which held-out questions cost this many tokens each, or as near to it as the prices come.

        Args:
            tokens: Generated tokens a question, > 0.
        """
        # Noise may make a dearer rule spend more; a budget is met by the rules as a whole.
        spent = np.minimum.accumulate(self.held_out.tokens)
        falling = np.log(np.maximum(spent[::-1], 1.0))
        return float(np.exp(np.interp(np.log(tokens), falling, np.log(self.held_out.price[::-1]))))

    def price_for_accuracy(self, accuracy: float) -> float:
        """The highest price at which held-out questions were answered rightly at least this often; else the lowest.

        Args:
            accuracy: Share of right answers, in [0, 1].
        """
        enough = np.flatnonzero(self.held_out.accuracy >= accuracy)
        return float(self.held_out.price[enough[-1] if enough.size else 0])
