"""Policies by name: ``optscale``, or with settings, ``optscale:score_min=0.9,alpha=0.95``."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.errors import InputError
from optscale_predictor.policies._policy import Policy
from optscale_predictor.policies.adaptive_consistency import AscBeta, AscDirichlet
from optscale_predictor.policies.beacon import Beacon
from optscale_predictor.policies.cost_aware import CostAware
from optscale_predictor.policies.dsc import Dsc
from optscale_predictor.policies.esc import Esc
from optscale_predictor.policies.fitted.fitted_policy import Fitted
from optscale_predictor.policies.fixed_samples import BestOfN, SelfConsistency
from optscale_predictor.policies.hindsight import Clairvoyant, Oracle
from optscale_predictor.policies.instance_adaptive import InstanceAdaptive
from optscale_predictor.policies.optscale_policy import OptScalePolicy
from optscale_predictor.policies.pandora import Pandora
from optscale_predictor.policies.plug_in import PlugIn
from optscale_predictor.policies.published import OptScale0, OptScaleT
from optscale_predictor.policies.shared_budget import SharedBudget

_OURS = (OptScalePolicy, Fitted, CostAware, SharedBudget)
_SCORES = (OptScale0, OptScaleT, PlugIn, BestOfN, Beacon, Pandora, InstanceAdaptive)
_VOTES = (SelfConsistency, AscBeta, AscDirichlet, Esc, Dsc)
_BOUNDS = (Oracle, Clairvoyant)
_SEPARATORS_HINT = "; policies are separated by spaces, settings by commas behind a colon"
_SETTINGS_HINT = "; settings follow a colon, without spaces: optscale:score_min=0.9,alpha=0.95"
POLICIES: dict[str, type[Policy]] = {policy.name: policy for policy in (*_OURS, *_SCORES, *_VOTES, *_BOUNDS)}


def parse_policy(text: str, further: Mapping[str, object] | None = None) -> Policy:
    """The policy that a text names: ``optscale``, or with settings ``optscale:score_min=0.9,alpha=0.95``.

    Args:
        text: Its name, and settings behind a colon.
        further: Settings that were given beside the text, as flags of their own.

    Raises:
        InputError: An unknown policy or setting, a value out of range, or one setting given in both; names what is
            known.
    """
    name, _, rest = text.partition(":")
    settings: dict[str, object] = {}
    for part in filter(None, (piece.strip() for piece in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"policy {text!r}: expected key=value, got {part!r}{_has(name.strip())}")
        settings[key.strip()] = value.strip()
    for key in sorted(settings.keys() & (further or {})):
        raise InputError(f"{key} is given twice: in policy {text!r}, and as {(further or {})[key]} of its own")
    return make_policy(name.strip(), {**settings, **(further or {})})


def _has(name: str) -> str:
    """What settings a policy has, to end an error with; empty where there is no such policy."""
    known = [field.name for field in fields(POLICIES[name])] if name in POLICIES else []  # type: ignore[arg-type]
    return f"; {name} has: {', '.join(known)}" if known else ""


def make_policy(name: str, settings: Mapping[str, object]) -> Policy:
    """A policy with its settings.

    Args:
        name: One of ``POLICIES``.
        settings: Values by name; texts are converted to their setting's type. Others keep their defaults.

    Raises:
        InputError: An unknown policy or setting, or a value out of range; names what is known.
    """
    if name not in POLICIES:
        near = _SETTINGS_HINT if set("=( ") & set(name) else did_you_mean(name, POLICIES)
        if "," in name:
            near = _SEPARATORS_HINT
        raise InputError(f"unknown policy {name!r}{near}; known: {', '.join(POLICIES)}")
    types: dict[str, Any] = {field.name: field.type for field in fields(POLICIES[name])}  # type: ignore[arg-type]
    converted = {}
    for key, value in settings.items():
        if key not in types:
            is_policy = key.partition(":")[0] in POLICIES
            near = _SEPARATORS_HINT if is_policy else did_you_mean(key, types)
            raise InputError(f"policy {name!r} has no setting {key!r}{near}; it has: {', '.join(types)}")
        converted[key] = _convert(value, types[key], key)
    return POLICIES[name](**converted)


def _convert(value: object, kind: Callable[[str], object], key: str) -> object:
    try:
        return kind(str(value))
    except ValueError:
        raise InputError(f"{key} must be {'a whole number' if kind is int else 'a number'}, got {value!r}") from None
