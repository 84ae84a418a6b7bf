"""Where ``optscale`` stops, at every alpha and floor at once, and the fewest samples with which it reaches a hit rate.

A sample *reaches* the target as it does for the policies: it scores at least ``score_min`` and is usable, which one
that was cut off before it gave an answer is not. What such a sample scored still tells of the question's distribution.

The policy decides by two numbers alone: how likely so many samples as were drawn should have reached the target, and
how likely the samples left would. Neither depends on alpha or floor, so both are computed once a prefix, and a few
hundred settings cost no more than comparing them. (Tests hold every setting against a run of the policy itself.)

Two policies, or one policy with two priors, can be compared in samples only at an equal hit rate. Settings trace the
samples against the hit rate; between two settings, a share of questions can be given the one and the rest the other,
so what is attainable is the lower convex hull of the settings' points.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor._support.worker_pool import map_slices
from optscale_predictor.policies import Draws
from optscale_predictor.policies.belief import belief
from optscale_predictor.stats.bound import log_misses
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.prior import VAGUE

ALPHAS = (0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0)
_LOW_FLOORS = (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
# Close to 1 as well: where the cap is large, a question that needs several samples still has nearly all hope.
_HIGH_FLOORS = (
    0.6,
    0.7,
    0.8,
    0.9,
    0.95,
    0.98,
    0.99,
    0.995,
    0.998,
    0.999,
    0.9995,
    0.9999,
    0.99999,
    0.999999,
    1 - 1e-8,
    1 - 1e-11,
)
FLOORS = (*_LOW_FLOORS, *_HIGH_FLOORS)

_AT_ONCE = 512  # runs; larger batches are slower, their members no longer fitting the processor's cache
_HALVINGS = 60
_PARTS = ("log_miss", "hope", "first")


@dataclass(frozen=True)
class Beliefs:
    """What the policy believes along each run, for one target score.

    Attributes:
        log_miss: log P(as many samples as were drawn all miss), after n = 1, 2, ... samples.
        hope: P(one of the samples left reaches the target), likewise. Both NaN once the target is reached.
        first: The sample that first reaches the target, from 1; one more than there are where none does.
    """

    log_miss: Float[Floats, "runs samples"]
    hope: Float[Floats, "runs samples"]
    first: Int[Ints, " runs"]


@dataclass(frozen=True)
class TradeOff:
    """What samples buy at every setting of a rule.

    Attributes:
        hits: Share of a question's runs that reach the target, in [0, 1].
        samples: Samples drawn, the mean over its runs.
    """

    hits: Float[Floats, "settings questions"]
    samples: Float[Floats, "settings questions"]

    def over_runs(self, num_questions: int) -> "TradeOff":
        """Means over runs, which are laid out [orders, questions].

        Args:
            num_questions: Questions, >= 1.
        """
        shape = (len(self.hits), -1, num_questions)
        return TradeOff(self.hits.reshape(shape).mean(1), self.samples.reshape(shape).mean(1))


def policy_beliefs(
    scores: Float[Floats, "runs samples"],
    prior: Prior | None,
    score_mins: Sequence[float],
    usable: Bool[Bools, "runs samples"] | None = None,
) -> list[Beliefs]:
    """What the policy believes along runs, for each target score.

    Args:
        scores: In the order drawn. What comes after a usable score that reaches every target is not read.
        prior: One for all runs or one a run; None as the policy takes it, for one sample's worth of anything.
        score_mins: Target scores, in [0, 1].
        usable: Whether a sample may be returned; all by default.
    """
    prior = (VAGUE if prior is None else prior).broadcast_to(len(scores))
    usable = np.ones(scores.shape, np.bool_) if usable is None else usable

    def work(part: slice) -> list[Beliefs]:
        return _beliefs(scores[part], usable[part], prior.take(np.arange(len(scores))[part]), score_mins)

    parts = map_slices(work, len(scores), _AT_ONCE)
    return [_joined([part[index] for part in parts]) for index in range(len(score_mins))]


def _beliefs(scores: Floats, usable: Bools, prior: Prior, score_mins: Sequence[float]) -> list[Beliefs]:
    firsts = [first_hit(scores, target, usable) for target in score_mins]
    found = [Beliefs(np.full(scores.shape, np.nan), np.full(scores.shape, np.nan), first) for first in firsts]
    last = np.max(firsts, 0)
    for drawn in range(1, scores.shape[1]):  # with all samples drawn there is nothing left to decide
        open_ = np.flatnonzero(last > drawn)
        if open_.size:
            _update(found, open_, scores[open_, :drawn], prior.take(open_), score_mins)
    return found


def _joined(parts: Sequence[Beliefs]) -> Beliefs:
    log_miss, hope, first = (np.concatenate([getattr(part, name) for part in parts]) for name in _PARTS)
    return Beliefs(log_miss, hope, first)


def _update(found: list[Beliefs], rows: Ints, scores: Floats, prior: Prior, score_mins: Sequence[float]) -> None:
    """Writes down what the policy believes of ``rows`` after these scores, where a target is not reached yet."""
    drawn = scores.shape[1]
    unused = np.full(scores.shape, -1), np.full(scores.shape, np.nan)
    # One posterior serves all targets: it depends on the scores alone.
    posterior = belief(Draws(scores, *unused, np.full(len(rows), drawn), prior), "posterior")
    for one, target in zip(found, score_mins, strict=True):
        missing = np.flatnonzero(one.first[rows] > drawn)
        if not missing.size:
            continue
        part = posterior.take(missing)
        log_below = part.members.log_below(target)
        one.log_miss[rows[missing], drawn - 1] = log_misses(log_below, part.log_weight, drawn)
        left = one.hope.shape[1] - drawn
        one.hope[rows[missing], drawn - 1] = -np.expm1(log_misses(log_below, part.log_weight, left))


def oracle_beliefs(
    scores: Float[Floats, "runs samples"],
    truth: Prior,
    score_min: float,
    usable: Bool[Bools, "runs samples"] | None = None,
) -> Beliefs:
    """What the policy ``oracle`` goes by: each run's score distribution is known, and hope does not wane.

    Args:
        scores: In the order drawn.
        truth: Moments of the scores, one for all runs or one a run.
        score_min: Target score, in [0, 1].
        usable: Whether a sample may be returned; all by default.
    """
    runs, cap = scores.shape
    log_below = truth.broadcast_to(runs).distribution().log_below(score_min)[:, None]
    hope = np.broadcast_to(-np.expm1(cap * log_below), scores.shape)
    with np.errstate(invalid="ignore"):
        return Beliefs(np.arange(1, cap + 1) * log_below, hope, first_hit(scores, score_min, usable))


def first_hit(
    scores: Float[Floats, "runs samples"], score_min: float, usable: Bool[Bools, "runs samples"] | None = None
) -> Int[Ints, " runs"]:
    """The sample of each run that first reaches the target, from 1; one more than there are where none does.

    Args:
        scores: In the order drawn; NaN reaches nothing.
        score_min: Target score, in [0, 1].
        usable: Whether a sample may be returned; all by default.
    """
    reached = scores >= score_min
    if usable is not None:
        reached = reached & usable
    return np.asarray(np.where(reached.any(-1), reached.argmax(-1) + 1, scores.shape[1] + 1))


def sweep_settings(beliefs: Beliefs, settings: Sequence[tuple[float, float]]) -> TradeOff:
    """Hits and samples of every run at every setting, both [settings, runs].

    Args:
        beliefs: Along the runs.
        settings: Pairs of alpha, in (0, 1], and floor, in [0, 1).
    """
    cap = beliefs.hope.shape[1]
    # A rule first met after n samples has its running extreme met from n on: n is one more than the times it is not.
    miss = np.minimum.accumulate(np.nan_to_num(beliefs.log_miss, nan=np.inf), -1)
    hope = np.minimum.accumulate(np.nan_to_num(beliefs.hope, nan=np.inf), -1)
    confident = {alpha: _first(miss <= _log_rest(alpha)) for alpha in {alpha for alpha, _ in settings}}
    hopeless = {floor: _first(hope < floor) for floor in {floor for _, floor in settings}}
    most = np.minimum(beliefs.first, cap)
    samples = np.stack([np.minimum(np.minimum(confident[a], hopeless[f]), most) for a, f in settings])
    return TradeOff((samples >= beliefs.first).astype(np.float64), samples.astype(np.float64))


def all_settings() -> list[tuple[float, float]]:
    """The settings (alpha, floor) that are swept; alpha 1 and floor 0 never give up."""
    return [(alpha, floor) for alpha in ALPHAS for floor in FLOORS]


def clairvoyant_trade_off(beliefs: Beliefs) -> TradeOff:
    """The least samples for any hit rate, both [caps, runs]: runs that first hit late are given up after one sample."""
    caps = np.arange(1, beliefs.hope.shape[1] + 1)[:, None]
    hits = beliefs.first <= caps
    return TradeOff(hits.astype(np.float64), np.where(hits, beliefs.first, 1).astype(np.float64))


def fewest_samples_at(
    trade_off: TradeOff, hit_rate: Float[Floats, " sets"], weights: Float[Floats, "sets questions"]
) -> Float[Floats, " sets"]:
    """Least samples a question with which mixtures of the settings have a hit rate, under each set of weights.

    The lower convex hull of the settings' points at ``hit_rate``, by its dual: the greatest over prices of a hit, of
    the least samples net of the hits' price. Infinite where no setting has the hit rate.

    Args:
        trade_off: Hits and samples at each setting.
        hit_rate: In [0, 1].
        weights: On questions, rows summing to 1.
    """
    hits, samples = trade_off.hits @ weights.T, trade_off.samples @ weights.T
    every = np.arange(len(weights))
    low, high = np.zeros(len(weights)), np.full(len(weights), 1e6)
    # The dearer a hit, the more of them the best setting has: the price at the wanted rate is found by bisection.
    for _ in range(_HALVINGS):
        price = (low + high) / 2
        best = (samples - price * hits).argmin(0)
        cheap = hits[best, every] < hit_rate
        low, high = np.where(cheap, price, low), np.where(cheap, high, price)
    value = np.max([(samples - price * hits).min(0) + price * hit_rate for price in (low, high)], 0)
    return np.where(hits.max(0) >= hit_rate - 1e-12, value, np.inf)


def _first(met: Bools) -> Ints:
    """After how many samples a rule that stays met is first met, from 1; one more than there are where never."""
    return np.asarray((~met).sum(-1) + 1)


def _log_rest(alpha: float) -> float:
    """log(1 - alpha): -inf at 1."""
    return float(np.log1p(-alpha)) if alpha < 1 else -np.inf
