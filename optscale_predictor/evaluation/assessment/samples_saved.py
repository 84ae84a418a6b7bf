"""Samples saved by a prior: those that ``optscale`` draws with a prior and without one, at an equal hit rate.

With a good prior the policy gives up sooner on questions whose target is out of reach, and later on the others. A prior
that only gives up sooner draws fewer samples and reaches the target less often, which is no saving. So every prior is
compared at the settings (alpha and floor) that draw the fewest samples at one hit rate, a share of what all samples
would reach. A learned strength of the prior is compared with fixed strengths in the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optscale_predictor._support.arrays import Floats
from optscale_predictor.evaluation.assessment.accuracy import (
    Difference,
    difference,
    estimate,
    evidence,
    resampling_weights,
)
from optscale_predictor.evaluation.assessment.assessment_settings import Settings
from optscale_predictor.evaluation.assessment.simulated_runs import Runs
from optscale_predictor.evaluation.assessment.stopping_grid import (
    Beliefs,
    TradeOff,
    all_settings,
    clairvoyant_trade_off,
    fewest_samples_at,
    oracle_beliefs,
    policy_beliefs,
    sweep_settings,
)
from optscale_predictor.stats.bootstrap import Estimate
from optscale_predictor.stats.estimators import Prior, ScoreStatistics

NONE, CONSTANT, PREDICTOR, TRUE = "no prior", "constant prior", "predictor", "true moments"
ORACLE, CLAIRVOYANT = "bound: oracle", "bound: clairvoyant"
CERTAIN = 1e4  # samples that true moments are worth
LEARNED = "learned"

_SHOWN = 24  # points of a drawn curve


@dataclass(frozen=True)
class AtHitRate:
    """One prior's samples at the common hit rate.

    Attributes:
        hit_rate: The common hit rate, in [0, 1].
        samples: Samples a question there.
        fewer: How many fewer than the first prior's, paired over questions.
    """

    hit_rate: float
    samples: Estimate
    fewer: Difference


@dataclass(frozen=True)
class SamplesSaved:
    """One prior's trade-off of samples against hits, for one target score.

    Attributes:
        prior: Which.
        kind: Where the scores come from, as ``Runs.kind`` has it.
        score_min: Target score.
        at: By share of the hit rate of all samples, what is drawn at that hit rate.
        usual_hit_rate: Hit rate at the alpha and floor that were asked for; NaN for bounds, which have none.
        usual_samples: Samples a question at these.
        curve: Points (hit rate, samples a question) of the trade-off.
    """

    prior: str
    kind: str
    score_min: float
    at: dict[float, AtHitRate]
    usual_hit_rate: float
    usual_samples: float
    curve: tuple[tuple[float, float], ...]


def measure_savings(
    runs: Runs, priors: Mapping[str, Prior | None], settings: Settings, bounds: bool = True
) -> list[SamplesSaved]:
    """Samples at an equal hit rate with each prior.

    Args:
        runs: The scores.
        priors: By name, each one for all questions or one each; the first is what others are compared with.
        settings: Target scores, shares of the hit rate, alpha and floor.
        bounds: Whether to add the policy that knows each distribution, and the one that knows each score.

    Returns:
        One a target and prior, bounds last.
    """
    weights = resampling_weights(runs.num_questions, settings.resamples, settings.seed)
    swept = [(settings.alpha, settings.floor), *all_settings()]
    known = {name: _policy_beliefs(runs, prior, settings.score_mins) for name, prior in priors.items()}
    found = []
    for index, target in enumerate(settings.score_mins):
        beliefs = {name: one[index] for name, one in known.items()}
        trade_offs = {name: sweep_settings(one, swept).over_runs(runs.num_questions) for name, one in beliefs.items()}
        if bounds:
            oracle = oracle_beliefs(runs.flat_scores, runs.truth.tile(runs.num_orders), target, runs.flat_usable)
            trade_offs[ORACLE] = sweep_settings(oracle, all_settings()).over_runs(runs.num_questions)
            trade_offs[CLAIRVOYANT] = clairvoyant_trade_off(oracle).over_runs(runs.num_questions)
        found += _compare(trade_offs, len(priors), runs.kind, target, settings.shares, weights)
    return found


def _policy_beliefs(runs: Runs, prior: Prior | None, score_mins: Sequence[float]) -> list[Beliefs]:
    tiled = None if prior is None else prior.broadcast_to(runs.num_questions).tile(runs.num_orders)
    return policy_beliefs(runs.flat_scores, tiled, score_mins, runs.flat_usable)


def _compare(
    trade_offs: Mapping[str, TradeOff],
    num_priors: int,
    kind: str,
    target: float,
    shares: Sequence[float],
    weights: Floats,
) -> list[SamplesSaved]:
    """Savings of each trade-off against the first; of the first ``num_priors`` the first setting is the usual one."""
    names, first = list(trade_offs), next(iter(trade_offs.values()))
    # The common hit rate is a share of what the first prior can reach, anew on every resample: differences are paired.
    most = (first.hits @ weights.T).max(0)
    at: dict[str, dict[float, AtHitRate]] = {name: {} for name in names}
    for share in shares:
        samples = {name: fewest_samples_at(one, share * most, weights) for name, one in trade_offs.items()}
        for name in names:
            fewer = difference(samples[names[0]] - samples[name])
            at[name][share] = AtHitRate(float(share * most[0]), estimate(samples[name]), fewer)
    usual = {name: (one.hits[0].mean(), one.samples[0].mean()) for name, one in trade_offs.items()}
    usual |= dict.fromkeys(names[num_priors:], (np.nan, np.nan))
    found = []
    for name, one in trade_offs.items():
        rate, drawn = map(float, usual[name])
        found.append(SamplesSaved(name, kind, target, at[name], rate, drawn, _points(one)))
    return found


def _points(one: TradeOff) -> tuple[tuple[float, float], ...]:
    """The trade-off as it would be drawn: attainable hit rates with the fewest samples there."""
    rates = np.linspace(one.hits.mean(-1).min(), one.hits.mean(-1).max(), _SHOWN)
    even = np.full((1, one.hits.shape[1]), 1 / one.hits.shape[1])
    return tuple((float(rate), float(fewest_samples_at(one, np.array([rate]), even)[0])) for rate in rates)


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
        **{f"{strength:g}": Prior.expecting(prior.mean, prior.within, strength) for strength in settings.strengths},
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
