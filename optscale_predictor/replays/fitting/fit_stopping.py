"""Fitting what going on is worth: policy iteration over recorded paths, with boosted trees.

Given a rule, a path tells at every decision point what stopping there would have given (whether the chosen answer is
right, less the price of the tokens so far) and what going on under the rule gave. Trees are fitted to the difference,
the rule becomes "go on where the trees say that it pays", and again. One set of trees serves all decision points, so
that points with few informative paths learn from the others. Payoffs are what happened on the path, not the fitted
values, as in Longstaff and Schwartz (2001): errors of a fit then change decisions near the boundary only, and do not
add up from point to point.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.policies.fitted.boosted_trees import BoostedTrees
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES
from optscale_predictor.policies.fitted.stopping_model import PriceModel

_DEPTH = 4  # of a tree
_ROUNDS_OF_POLICY = 2  # enough: each price starts from the rule of the next higher one
_NO_TREES = BoostedTrees(np.zeros((0, 2**_DEPTH - 1), np.int32), np.zeros((0, 2**_DEPTH - 1)), np.zeros((0, 2**_DEPTH)))


@dataclass(frozen=True)
class StoppingData:
    """What paths went through.

    Attributes:
        features: At every decision point, as ``STOPPING_FEATURES`` names them.
        right: Whether the answer chosen there is right, 1 or 0.
        tokens: Generated tokens up to there.
        question: Of each path.
    """

    features: Float[Floats, "paths points features"]
    right: Float[Floats, "paths points"]
    tokens: Float[Floats, "paths points"]
    question: Int[Ints, " paths"]

    def take(self, rows: Bool[Bools, " paths"]) -> "StoppingData":
        """These paths."""
        return StoppingData(self.features[rows], self.right[rows], self.tokens[rows], self.question[rows])


@dataclass(frozen=True)
class RuleShape:
    """How much a rule may depend on what was drawn.

    Attributes:
        name: What it is called.
        features: What the trees look at; none for a fixed number of samples.
        falling: Features of which more never speaks for going on.
        rounds: Trees.
        leaves: Of each tree, at most.
        questions_per_leaf: So many questions at least are behind each leaf.
    """

    name: str
    features: Sequence[str] = ()
    falling: Sequence[str] = ()
    rounds: int = 0
    leaves: int = 2
    questions_per_leaf: float = 6.0


_AGREEMENT = ("log_samples", "leader", "none", "log_odds_of_lead")
#: From the simplest on: with few questions the simplest that does well is safest.
RULE_SHAPES = (
    RuleShape("fixed"),
    RuleShape("agreement", _AGREEMENT, falling=("leader", "log_odds_of_lead"), rounds=40, leaves=8),
    RuleShape("all", STOPPING_FEATURES, rounds=60, leaves=12, questions_per_leaf=12.0),
)


def fit_prices(
    data: StoppingData,
    prices: Float[Floats, " prices"],
    shape: RuleShape,
    fitted: Callable[[], object] = lambda: None,
) -> tuple[PriceModel, ...]:
    """A rule for each price.

    Args:
        data: What paths went through.
        prices: Of one token, increasing.
        shape: What the rules may depend on.
        fitted: Called after each price whose trees were fitted.

    Raises:
        InputError: LightGBM is not installed.
    """
    if not shape.features:
        return tuple(_fixed(data, float(price)) for price in prices)
    booster = _Booster(data, shape)
    # From the highest price down: the rule of a price is where the next lower one starts, and it stops later.
    models = []
    going: Bools | None = None
    for price in prices[::-1]:
        value = data.right - price * data.tokens
        if going is None:
            best = int(value.mean(0).argmax())
            going = np.broadcast_to(np.arange(value.shape[1] - 1) < best, (len(value), value.shape[1] - 1))
        for _ in range(_ROUNDS_OF_POLICY):
            model, advantage = booster.fit(advantage_of_going_on(value, going))
            going = advantage > 0
        models.append(model)
        fitted()
    return tuple(models[::-1])


def advantage_of_going_on(
    value: Float[Floats, "paths points"], going: Bool[Bools, "paths before_last"]
) -> Float[Floats, "paths before_last"]:
    """What going on under a rule gave beyond stopping at once, on every path and at every point but the last.

    Args:
        value: Of stopping at each point.
        going: Whether the rule goes on there.
    """
    later = np.empty_like(value)
    later[:, -1] = value[:, -1]
    for point in range(value.shape[1] - 2, -1, -1):
        later[:, point] = np.where(going[:, point], later[:, point + 1], value[:, point])
    return later[:, 1:] - value[:, :-1]


def advantages(
    models: Sequence[PriceModel], features: Float[Floats, "paths points features"]
) -> Float[Floats, "prices paths before_last"]:
    """What the rules say of going on, at each price, on every path and at every point but the last.

    Args:
        models: One a price.
        features: At every decision point.
    """
    paths, points, width = features.shape
    flat = np.ascontiguousarray(features[:, :-1].reshape(-1, width))
    by_trees = [np.concatenate([model.trees(part) for part in _slices(flat)]) for model in models]
    return np.stack([one.reshape(paths, points - 1) + model.base for one, model in zip(by_trees, models, strict=True)])


def stopping_points(advantage: Float[Floats, "prices paths before_last"]) -> Int[Ints, "prices paths"]:
    """The decision point at which each path stops: the first where going on is not worth it, or the last.

    Args:
        advantage: Of going on.
    """
    last = np.ones((*advantage.shape[:-1], 1), np.bool_)
    return np.asarray(np.concatenate([advantage <= 0, last], -1).argmax(-1))


def _slices(flat: Floats, size: int = 4096) -> list[Floats]:
    return [flat[start : start + size] for start in range(0, len(flat), size)]


def _fixed(data: StoppingData, price: float) -> PriceModel:
    """The number of samples for every question that is best on average."""
    value = (data.right - price * data.tokens).mean(0)
    later = np.maximum.accumulate(value[::-1])[::-1]
    return PriceModel(later[1:] - value[:-1], _NO_TREES)


def require_lightgbm() -> ModuleType:
    """LightGBM, where it is installed.

    Raises:
        InputError: It is not.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise InputError("fitting a policy needs LightGBM: pip install 'optscale-predictor[fit]'") from error
    module: ModuleType = lightgbm
    return module


class _Booster:
    """LightGBM over the same features again and again."""

    def __init__(self, data: StoppingData, shape: RuleShape) -> None:
        self._lightgbm, self._shape = require_lightgbm(), shape
        self._columns = [STOPPING_FEATURES.index(name) for name in shape.features]
        self._size = (len(data.features), data.features.shape[1] - 1)
        self._features = np.ascontiguousarray(data.features[:, :-1, self._columns].reshape(-1, len(self._columns)))
        paths_per_question = len(data.question) / len(np.unique(data.question))
        self._settings = {
            "objective": "l2",
            "boost_from_average": False,
            "learning_rate": 0.1,
            "num_leaves": shape.leaves,
            "max_depth": _DEPTH,
            "min_data_in_leaf": max(int(shape.questions_per_leaf * paths_per_question), 20),
            "lambda_l2": 1.0,
            "bagging_fraction": 0.5,
            "bagging_freq": 1,
            "feature_fraction": 0.8,
            "monotone_constraints": [-1 if name in shape.falling else 0 for name in shape.features],
            "seed": 1,
            "deterministic": True,
            "force_col_wise": True,
            "verbose": -1,
        }
        self._data = self._lightgbm.Dataset(self._features, free_raw_data=False, params=self._settings)

    def fit(self, advantage: Floats) -> tuple[PriceModel, Floats]:
        """Trees for an advantage, and what they say on the same paths.

        They start from 0 and not from the mean: where a question is as good as answered, going on is worth minus one
        sample, and a few shrunken steps down from a large mean would not get that far.
        """
        self._data.set_label(advantage.ravel())
        booster = self._lightgbm.train(self._settings, self._data, self._shape.rounds)
        fitted = np.asarray(booster.predict(self._features)).reshape(self._size)
        return PriceModel(np.zeros(self._size[1]), _trees(booster.dump_model(), self._columns)), fitted


def _trees(dumped: Mapping[str, Any], columns: Sequence[int]) -> BoostedTrees:
    """LightGBM's trees, as it describes them, in complete form."""
    inner, leaves = 2**_DEPTH - 1, 2**_DEPTH
    number = len(dumped["tree_info"])
    feature, threshold = np.zeros((number, inner), np.int32), np.full((number, inner), np.inf)
    leaf = np.zeros((number, leaves))

    def place(tree: int, node: Mapping[str, Any], index: int) -> None:
        if "leaf_value" in node:
            while index < inner:  # nothing is asked any more, and all goes to the left
                index = 2 * index + 1
            leaf[tree, index - inner] = node["leaf_value"]
            return
        feature[tree, index], threshold[tree, index] = columns[node["split_feature"]], node["threshold"]
        place(tree, node["left_child"], 2 * index + 1)
        place(tree, node["right_child"], 2 * index + 2)

    for tree, info in enumerate(dumped["tree_info"]):
        place(tree, info["tree_structure"], 0)
    return BoostedTrees(feature, threshold, leaf)
