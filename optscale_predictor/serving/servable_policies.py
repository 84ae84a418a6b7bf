"""Which policies a server can run, and which of them its clients may choose.

A client's policy is a program that the server runs for it: the operator names those that clients may choose, and where
it matters the values of their settings. Settings that name a file are the server's alone, and so are those for each
value of which a policy computes a table, unless the operator names the values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any

from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.errors import InputError
from optscale_predictor.policies import POLICIES, Policy

#: Settings of policies that name a file of the server.
FILE_SETTINGS = ("calibration", "path")
_REPLAYS_ONLY = ("clairvoyant", "oracle")  # they decide by what no live run knows

#: What clients may choose by default: rules that decide within milliseconds, whatever their settings.
CLIENT_POLICIES = (
    "optscale cost_aware optscale_0 optscale_t instance_adaptive pandora best_of_n self_consistency asc_beta "
    "asc_dirichlet esc dsc"
)
NO_POLICIES = "none"


def require_servable(policy: Policy) -> None:
    """Checks that a policy can decide about questions that come one by one.

    Raises:
        InputError: It cannot.
    """
    _require_live(type(policy))


def _require_live(kind: type[Policy]) -> None:
    if kind.joint:
        raise InputError(f"policy {kind.name!r} spends one budget on all questions; a server knows no such whole")
    if kind.name in _REPLAYS_ONLY:
        raise InputError(f"policy {kind.name!r} can only be replayed: it knows what no server knows")


@dataclass(frozen=True)
class AllowedValues:
    """The values of a setting that clients may choose.

    Attributes:
        text: As the operator wrote them: ``1..8``, or ``posterior|plugin``.
        low: The least, of a range.
        high: The most, of a range; at least ``low``.
        choices: All of them, in place of a range.
    """

    text: str
    low: float = -inf
    high: float = inf
    choices: tuple[object, ...] = ()

    @classmethod
    def parse(cls, text: str, kind: Any) -> "AllowedValues":
        """Reads ``LOW..HIGH``, ``VALUE`` or ``VALUE|VALUE``.

        Args:
            text: What the operator wrote.
            kind: The setting's type: int, float or str.

        Raises:
            InputError: It is none of them.
        """
        try:
            if ".." not in text:
                return cls(text, choices=tuple(kind(one.strip()) for one in text.split("|")))
            low, high = (kind(one) for one in text.split(".."))
            found = cls(text, float(low), float(high))
        except (ValueError, OverflowError):
            raise InputError(f"expected LOW..HIGH or VALUE|VALUE, got {text!r}") from None
        if kind is str or not found.low <= found.high:
            raise InputError(f"expected a range from a low number to a high one, got {text!r}")
        return found

    def allow(self, value: Any) -> bool:
        """Whether a client may choose this value."""
        return value in self.choices if self.choices else bool(self.low <= value <= self.high)


@dataclass(frozen=True)
class ClientPolicies:
    """The policies that clients may choose.

    Attributes:
        allowed: By the policy's name, for settings that the operator restricts, the values that are allowed.
    """

    allowed: Mapping[str, Mapping[str, AllowedValues]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str = CLIENT_POLICIES) -> "ClientPolicies":
        """Reads a list such as ``optscale best_of_n:max_samples=1..8 esc:window=3|5``.

        Args:
            text: Names, separated by spaces, each with its restricted settings behind a colon; ``none``: no policy but
                the server's own.

        Raises:
            InputError: There is no such policy or setting, or no server can run it.
        """
        if text.strip() == NO_POLICIES:
            return cls()
        allowed: dict[str, Mapping[str, AllowedValues]] = {}
        for item in text.split():
            name, _, rest = item.partition(":")
            if name in allowed:
                raise InputError(f"client_policies: {name!r} is named twice")
            allowed[name] = _restrictions(name, rest)
        if not allowed:
            raise InputError(f"client_policies is empty; {NO_POLICIES} is no policy but the server's own")
        return cls(allowed)

    def require_name(self, name: str) -> None:
        """Checks that clients may choose a policy.

        Raises:
            InputError: They may not; says which they may.
        """
        if name not in self.allowed:
            known = ", ".join(self.allowed) or "none but its own"
            near = did_you_mean(name, self.allowed)
            says = f"this server does not let clients choose {name[:40]!r}{near}; it lets them choose: {known}"
            raise InputError(says)

    def cap(self, name: str) -> float:
        """The most samples that the operator allows in a policy; infinite where it is not restricted."""
        rule = self.allowed.get(name, {}).get("max_samples")
        return inf if rule is None else max((float(str(one)) for one in rule.choices), default=rule.high)

    def require_settings(self, policy: Policy, own: Policy) -> None:
        """Checks the settings of a client's policy.

        Args:
            policy: What the client asks for.
            own: The server's own policy, whose values are always allowed in a policy of its kind.

        Raises:
            InputError: A value is not among those that the operator allows.
        """
        rules = self.allowed.get(policy.name, {})
        for setting in fields(policy):  # type: ignore[arg-type]
            value, usual = getattr(policy, setting.name), setting.default
            if policy.name == own.name and value == getattr(own, setting.name):
                continue
            rule = rules.get(setting.name)
            if rule is not None and not rule.allow(value):
                raise InputError(f"{setting.name} must be {rule.text} on this server, got {str(value)[:40]}")
            if rule is None and setting.name in policy.tabulated and value != usual:
                raise InputError(f"{setting.name} must be {usual:g} on this server, got {value:g}")

    def __str__(self) -> str:
        """The form that :meth:`parse` reads."""
        items = []
        for name, rules in self.allowed.items():
            settings = ",".join(f"{setting}={rule.text}" for setting, rule in rules.items())
            items.append(f"{name}:{settings}" if settings else name)
        return " ".join(items) or NO_POLICIES


def _restrictions(name: str, rest: str) -> Mapping[str, AllowedValues]:
    """The restricted settings of one item of a list."""
    if name not in POLICIES:
        raise InputError(
            f"client_policies: unknown policy {name!r}{did_you_mean(name, POLICIES)}; known: {', '.join(POLICIES)}"
        )
    kind, found = POLICIES[name], dict[str, AllowedValues]()
    _require_live(kind)
    types: dict[str, Any] = {one.name: one.type for one in fields(kind)}  # type: ignore[arg-type]
    for part in filter(None, rest.split(",")):
        setting, _, text = part.partition("=")
        where = f"client_policies: {name}:{setting}"
        if setting not in types:
            near = did_you_mean(setting, types)
            raise InputError(f"{where}: there is no such setting{near}; there are: {', '.join(types)}")
        if setting in FILE_SETTINGS:
            raise InputError(f"{where} names a file on the server, which is the server's affair")
        try:
            found[setting] = AllowedValues.parse(text, types[setting])
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if setting in kind.tabulated and not found[setting].choices:
            raise InputError(f"{where}: each value takes its own table to compute; name the values, as in 0|1")
    return found
