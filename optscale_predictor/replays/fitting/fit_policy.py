"""From a labelled recording to a fitted policy, with what it did on held-out questions."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor._support.progress import Bar, progress_bar
from optscale_predictor.errors import InputError
from optscale_predictor.policies.fitted.confidence_model import ConfidenceModel
from optscale_predictor.policies.fitted.model_files import SELECTIONS
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES, stopping_features
from optscale_predictor.policies.fitted.stopping_model import FittedStopping, HeldOutCurve, PriceModel
from optscale_predictor.policies.selection import select
from optscale_predictor.replays.fitting.accuracy_targets import fit_recalibration, measure_targets
from optscale_predictor.replays.fitting.fit_confidence import RIDGES, LabelledStates, fit_confidence, log_loss
from optscale_predictor.replays.fitting.fit_stopping import RULE_SHAPES, StoppingData, fit_prices, require_lightgbm
from optscale_predictor.replays.fitting.held_out_rules import choose_shapes, held_out_advantages, outcomes_of
from optscale_predictor.replays.fitting.sample_paths import SamplePaths
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.reliability import reliability

_LOG = logging.getLogger(__name__)
_FOLDS = 4
_BETWEEN = 4  # held-out figures from one fitted price to the next
_MANY_QUESTIONS = 1000  # from here on two folds say enough
_MOST_ORDERS = 40
# Of a mean sample, in probability of a right answer: from next to nothing to more than a second sample can bring.
_PRICES = np.geomspace(3e-5, 0.5, 9)


def fit_policy(
    recorded: RecordedSamples,
    group: Int[Ints, " questions"] | None = None,
    prior: Prior | None = None,
    source: Mapping[str, object] | None = None,
    seed: int = 0,
    num_paths: int = 4000,
    progress: bool = False,
) -> FittedStopping:
    """Fits confidence and stopping to labelled samples.

    Args:
        recorded: The samples, with labels; questions that lack a label are left out.
        group: Questions that resemble each other share a group, and stand in one fold; each its own by default.
        prior: The predictor's priors, one a question, where policies are to use them.
        source: The generator and verifier behind the samples, JSON types.
        seed: Seed of orders and folds, >= 0.
        num_paths: Orders of all questions together that are aimed at, >= 1; at least 1 and at most 40 of each. It
            bounds the time that a fit takes, whatever the pool.
        progress: Whether to show how many fits are done, their rate and the time left.

    Raises:
        InputError: LightGBM is not installed, there are fewer than 10 labelled questions or groups, or fewer than 2
            samples a question, or all samples are right, or all are wrong.
    """
    require_lightgbm()  # said at once, and not after the confidence is fitted
    group = np.arange(recorded.num_questions) if group is None else group
    labelled = np.flatnonzero(~np.isnan(recorded.correct).any(-1))
    prior = None if prior is None else prior.broadcast_to(recorded.num_questions).take(labelled)
    recorded, group = recorded.take(labelled), np.unique(group[labelled], return_inverse=True)[1]
    _require_enough(recorded, group)
    rng = np.random.default_rng(seed)
    orders = int(np.clip(num_paths // len(group), 1, _MOST_ORDERS))
    paths = SamplePaths.shuffled(recorded, _folds(group, rng), prior, orders, rng)
    prices = _PRICES / float(recorded.tokens.mean())
    with progress_bar("fit", _fits(paths, len(RULE_SHAPES)), shown=progress, unit="fits") as bar:
        ridge, held_out = _held_out_confidence(paths, rng, bar.update)
        _LOG.info(
            f"{len(group)} labelled questions x {recorded.depth} samples, orders of each: {orders}; ridge {ridge:g}"
        )
        confidence = fit_confidence(LabelledStates.of(paths, np.arange(len(paths.question)), rng), ridge)
        data = _held_out_data(paths, held_out)
        rules = _fit_rules(data, paths, group, prices, bar)
    leader = data.features[:, :, STOPPING_FEATURES.index("leader")]
    recalibration = fit_recalibration(leader, data.right, paths.points, len(group))
    count = np.broadcast_to(paths.points, leader.shape)
    measured = reliability(recalibration(leader.ravel(), count.ravel()), data.right.ravel())
    between, mixed = _between(rules.held_out, prices)
    outcomes = outcomes_of(data, mixed)
    facts: dict[str, float] = {
        "questions": len(group),
        "groups": int(group.max()) + 1,
        "samples": recorded.depth,
        "orders": orders,
        "calibration_error": measured.calibration_error,
        "brier": measured.brier,
    }
    return FittedStopping(
        confidence=confidence,
        recalibration=recalibration,
        points=paths.points,
        prices=prices,
        models=rules.models,
        held_out=HeldOutCurve(
            between, outcomes.right.mean(-1), outcomes.tokens.mean(-1), paths.points[outcomes.point].mean(-1)
        ),
        fixed=_fixed_accuracy(paths, data),
        fixed_tokens=data.tokens.mean(0),
        targets=measure_targets(leader[np.arange(len(leader)), outcomes.point], outcomes.right),
        uses_prior=prior is not None,
        source=dict(source or {}),
        shapes=rules.shapes,
        facts=facts,
    )


@dataclass(frozen=True, eq=False)
class _Rules:
    """The rules that are kept: one for each price, its shape, and what it said on held-out paths."""

    models: tuple[PriceModel, ...]
    shapes: tuple[str, ...]
    held_out: Float[Floats, "prices paths before_last"]


def _fit_rules(data: StoppingData, paths: SamplePaths, group: Ints, prices: Floats, bar: Bar) -> _Rules:
    """Tries every shape on held-out paths, and fits the one that is safe at each price to all paths."""
    tried = []
    for shape in RULE_SHAPES:
        tried.append(held_out_advantages(data, paths.fold, prices, shape, bar.update))
        _LOG.info(f"rules of shape {shape.name!r} tried on held-out questions")
    shapes = choose_shapes([outcomes_of(data, one) for one in tried], group[paths.question], prices)
    used = [int(one) for one in np.unique(shapes)]
    # How many shapes are fitted once more is known now: fewer than were counted with.
    bar.total = bar.n + len(prices) * sum(bool(RULE_SHAPES[one].features) for one in used)
    fitted = {one: fit_prices(data, prices, RULE_SHAPES[one], bar.update) for one in used}
    return _Rules(
        tuple(fitted[int(one)][price] for price, one in enumerate(shapes)),
        tuple(RULE_SHAPES[one].name for one in shapes),
        np.stack([tried[one][price] for price, one in enumerate(shapes)]),
    )


def _fits(paths: SamplePaths, shapes: int) -> int:
    """How many fits there will be at most: the first shape has nothing to fit."""
    folds = len(np.unique(paths.fold))
    return len(RIDGES) * folds + (shapes - 1) * (folds + 1) * len(_PRICES)


def _require_enough(recorded: RecordedSamples, group: Ints) -> None:
    groups = len(np.unique(group))
    if groups < 10:
        raise InputError(
            f"a policy is fitted to 10 labelled questions at least (near-duplicates count once), got {groups}"
        )
    if recorded.depth < 2:
        raise InputError(f"a policy is fitted to 2 samples a question at least, got {recorded.depth}")
    if recorded.correct.min() == recorded.correct.max():
        raise InputError(f"all samples are {'right' if recorded.correct.min() else 'wrong'}: nothing to be learnt")


def _folds(group: Ints, rng: np.random.Generator) -> Ints:
    """The fold of each question; a group's questions share one."""
    groups = int(group.max()) + 1
    folds = 2 if groups >= _MANY_QUESTIONS else _FOLDS
    return np.asarray(rng.permutation(np.arange(groups) % folds)[group])


def _held_out_confidence(
    paths: SamplePaths, rng: np.random.Generator, fitted: Callable[[], object]
) -> tuple[float, Mapping[int, ConfidenceModel]]:
    """The penalty with the least log loss on held-out questions; and with it, the model fitted without each fold."""
    models: dict[tuple[float, int], ConfidenceModel] = {}
    losses: dict[float, list[float]] = {ridge: [] for ridge in RIDGES}
    folds = np.unique(paths.fold).tolist()
    for fold in folds:
        states = LabelledStates.of(paths, np.flatnonzero(paths.fold != fold), rng)  # once for all penalties
        for ridge in RIDGES:
            models[ridge, fold] = fit_confidence(states, ridge)
            losses[ridge].append(log_loss(models[ridge, fold], paths, np.flatnonzero(paths.fold == fold)))
            fitted()
    best = min(RIDGES, key=lambda ridge: float(np.mean(losses[ridge])))
    return best, {fold: models[best, fold] for fold in folds}


def _held_out_data(paths: SamplePaths, held_out: Mapping[int, ConfidenceModel]) -> StoppingData:
    """What paths went through, each seen by the confidence model that was not fitted to its fold."""
    shape = (len(paths.question), len(paths.points))
    features, right = np.empty((*shape, len(STOPPING_FEATURES))), np.empty(shape)
    for fold, model in held_out.items():
        rows = np.flatnonzero(paths.fold == fold)
        for index, point in enumerate(paths.points):
            features[rows, index], right[rows, index] = _look(model, paths, int(point), rows)
    return StoppingData(features, right, paths.tokens(), paths.question)


def _look(model: ConfidenceModel, paths: SamplePaths, point: int, rows: Ints) -> tuple[Floats, Floats]:
    draws = paths.draws(point, rows)
    found = model(draws)
    return stopping_features(draws, found), paths.recorded.correct[rows, found.chosen]


def _between(advantage: Floats, prices: Floats) -> tuple[Floats, Floats]:
    """The fitted prices and some between each two, where a rule mixes its neighbours, and what the rules say there."""
    position = np.linspace(0, len(prices) - 1, _BETWEEN * (len(prices) - 1) + 1)
    low = np.minimum(position.astype(np.int64), len(prices) - 2)
    share = (position - low)[:, None, None]
    between = np.exp(np.interp(position, np.arange(len(prices)), np.log(prices)))
    return between, (1 - share) * advantage[low] + share * advantage[low + 1]


def _fixed_accuracy(paths: SamplePaths, data: StoppingData) -> dict[str, Float[Floats, " points"]]:
    """By selection, the accuracy of so many samples for every question."""
    rows = np.arange(len(paths.question))
    found: dict[str, Floats] = {"confidence": data.right.mean(0)}
    for rule in SELECTIONS[:-1]:
        chosen = [select(rule, paths.draws(int(point), rows)) for point in paths.points]
        found[rule] = np.array([paths.recorded.correct[rows, one].mean() for one in chosen])
    return found
