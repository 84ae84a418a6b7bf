"""The policy ``fitted``: optimal stopping learnt from labelled pools (``optscale fit-policy``)."""

import re
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np

from optscale_predictor._support.number_checks import require_number
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import (
    CONTINUE,
    Decision,
    Draws,
    Policy,
    StopReason,
    require_settings,
    require_step,
)
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES
from optscale_predictor.policies.fitted.stopping_model import FittedStopping

_SELECTED = {"best_of_n": "best_score", "self_consistency": "majority"}  # policies, and how they select
_MATCH = re.compile(r"(?P<name>best_of_n|self_consistency)(:max_samples=(?P<samples>[0-9]{1,6}))?")


@dataclass(frozen=True)
class Fitted(Policy):
    """Draws while another sample is worth its tokens, by what labelled pools of the same source taught.

    At most one of ``price``, ``tokens``, ``match`` and ``accuracy`` is given; without any it matches the accuracy of
    Best-of-N with as many samples as it was fitted to.

    Attributes:
        path: Folder of a fitted policy.
        price: What 1,000 generated tokens cost, in units of the probability of a right answer, > 0; 0 = not given.
        tokens: Mean budget in generated tokens a question, > 0; 0 = not given.
        match: A ``best_of_n`` or ``self_consistency`` whose accuracy is wanted, as cheaply as can be.
        accuracy: Share of the answers given as ``confident`` that shall be right, in (0, 1); 0 = not given. Samples are
            drawn at the highest price that makes nearly as many answers that sure as all samples would.
        max_samples: Cap, >= 1; 0 = as many as it was fitted to.
        step: ``auto``: while the engine has free places they draw the samples of further decision points ahead, where
            its samples do not depend on which request they share (vLLM); ``one``: no more than the next point.
        version: Of the fitted policy; by default the one that is in the folder. Two fits made one after the other in
            one folder are two policies.

    Raises:
        InputError: There is no fitted policy in the folder, or a setting is out of its range or excludes another.
    """

    name: ClassVar[str] = "fitted"

    path: str = ""
    price: float = 0.0
    tokens: float = 0.0
    match: str = ""
    accuracy: float = 0.0
    max_samples: int = 0
    version: str = ""
    step: str = "auto"

    def __post_init__(self) -> None:
        """Checks every setting, and reads the fitted policy."""
        require_step(self.step, ("auto", "one"))
        if not self.path:
            raise InputError("policy 'fitted' needs the folder of a fitted policy: fitted:path=FOLDER")
        for key in ("price", "tokens", "accuracy"):
            value = getattr(self, key)
            require_number(key, value)
            if not 0 <= value < np.inf:
                raise InputError(f"{key} must be > 0 and finite, got {value}")
        given = [key for key in ("price", "tokens", "match", "accuracy") if getattr(self, key)]
        if len(given) > 1:
            raise InputError(f"'fitted' takes one of price, tokens, match and accuracy, got {' and '.join(given)}")
        object.__setattr__(self, "version", self.model.version)
        if self.max_samples == 0:
            object.__setattr__(self, "max_samples", self.model.depth)
        require_settings(self)
        if self.max_samples > self.model.depth:
            raise InputError(f"max_samples must be at most {self.model.depth}, to which {self.path} was fitted")
        _ = self._price  # a target that is out of reach is said here

    @cached_property
    def model(self) -> FittedStopping:
        """What was fitted."""
        return load_fitted(self.path, self.version)

    @property
    def selection(self) -> str:  # type: ignore[override]
        """Of the answer that is most probably right."""
        return f"confidence:{self.path},version={self.version}"

    @property
    def needs_prior(self) -> bool:  # type: ignore[override]
        """Whether it was fitted with a predictor's priors."""
        return self.model.uses_prior

    def describe(self) -> dict[str, object]:
        """Name and the settings that were given, JSON types."""
        settings = {field.name: getattr(self, field.name) for field in fields(self)}
        defaults = {field.name: field.default for field in fields(self)}
        return {"name": self.name, **{key: value for key, value in settings.items() if value != defaults[key]}}

    @cached_property
    def _price(self) -> float:
        """Of one token."""
        model = self.model
        if self.price:
            return self.price / 1000
        if self.tokens:
            return model.price_for_tokens(self.tokens)
        if self.accuracy:
            return float(model.held_out.price[self._target[0]])
        return model.price_for_accuracy(_matched_accuracy(model, self.match or f"best_of_n:max_samples={model.depth}"))

    @cached_property
    def _target(self) -> tuple[int, float]:
        """Index of a held-out price, and the confidence from which an answer is sure; beyond all where none need be."""
        return self.model.targets.cheapest(self.accuracy) if self.accuracy else (0, np.inf)

    def decide(self, draws: Draws) -> Decision:
        """Goes on to the next decision point while that is worth its tokens."""
        if self.needs_prior:
            self._require_prior(draws)
        reason = np.full(draws.count.shape, CONTINUE, "U16")
        started = np.flatnonzero(draws.count > 0)
        if started.size:
            reason[started] = self._reasons(draws.take(started))
        nothing = np.full(draws.count.shape, np.nan)
        return Decision(np.minimum(self.model.next_point(draws.count), self.max_samples), reason, nothing)

    def _reasons(self, draws: Draws) -> list[str]:
        model = self.model
        features, spent = model.features(draws), draws.count >= self.max_samples
        worth = model.advantage(features, draws.count, self._price) > 0
        sure = features[:, STOPPING_FEATURES.index("leader")] >= self._target[1]
        early = StopReason.UNREACHABLE if self.accuracy else StopReason.PRICE
        # An answer that is sure enough may still be worth another look at this price: it does not stop by itself.
        reasons = [CONTINUE, StopReason.CONFIDENT.value, StopReason.BUDGET.value]
        found: list[str] = np.select([worth & ~spent, sure, spent], reasons, early.value).tolist()
        return found


def _matched_accuracy(model: FittedStopping, text: str) -> float:
    """The held-out accuracy of a plain policy, interpolated between decision points.

    Raises:
        InputError: It is no ``best_of_n`` or ``self_consistency`` of at most as many samples as there were.
    """
    found = _MATCH.fullmatch(text)
    if found is None or not 1 <= (samples := int(found["samples"] or model.depth)) <= model.depth:
        raise InputError(
            f"match must be best_of_n or self_consistency with max_samples of at most {model.depth}, got {text!r}"
        )
    return float(np.interp(samples, model.points, model.fixed[_SELECTED[found["name"]]]))
