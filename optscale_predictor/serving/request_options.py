"""What a client may wish of OptScale itself: the object ``optscale`` of a request's body.

    {"optscale": {"policy": "best_of_n:max_samples=8", "score_min": 0.9, "alpha": 0.9, "timeout": 30}}

Wishes change the server's own policy, or the one that is named. None may spend more samples than the server's own cap,
and none may name a file.
"""

from dataclasses import fields as settings_of
from dataclasses import replace

from optscale_predictor.errors import InputError
from optscale_predictor.policies import Policy, parse_policy
from optscale_predictor.serving.api_errors import Refusal, bad_field
from optscale_predictor.serving.request_fields import Fields

_REPLAYS_ONLY = ("clairvoyant", "oracle")  # they know what no live run knows
_FILES = ("calibration",)


def require_servable(policy: Policy) -> None:
    """Checks that a policy can decide about questions that come one by one.

    Raises:
        InputError: It cannot.
    """
    if policy.joint:
        raise InputError(f"policy {policy.name!r} spends one budget on all questions; a server knows no such whole")
    if policy.name in _REPLAYS_ONLY:
        raise InputError(f"policy {policy.name!r} can only be replayed: it knows what no server knows")


def read_policy(fields: Fields, own: Policy) -> Policy:
    """The policy for a request: the server's own, or the one wished for.

    Args:
        fields: The wishes.
        own: The server's policy.

    Raises:
        Refusal: A wish is out of its range, is not a setting of the policy, or goes beyond the server's cap.
    """
    named = fields.text("policy")
    policy = own if named is None else _named(named, own, fields.name("policy"))
    wished = {"score_min": fields.number("score_min"), "alpha": fields.number("alpha")}
    wishes: dict[str, float] = {name: value for name, value in wished.items() if value is not None}
    if (most := fields.whole("max_samples")) is not None:
        _require_within(most, own, fields.name("max_samples"))
        wishes["max_samples"] = most
    known = {setting.name for setting in settings_of(policy)}  # type: ignore[arg-type]
    for name in wishes:
        if name not in known:
            raise bad_field(fields.name(name), f"policy {policy.name!r} has no such setting")
    try:
        return replace(policy, **wishes) if wishes else policy  # type: ignore[type-var]
    except InputError as error:
        raise Refusal(400, f"optscale: {error}", _param(str(error), fields)) from None


def _named(text: str, own: Policy, place: str) -> Policy:
    _, _, rest = text.partition(":")
    keys = [part.partition("=")[0].strip() for part in rest.split(",")]
    for key in keys:
        if key in _FILES:
            raise bad_field(place, f"{key} names a file on the server, which is the server's affair")
    try:
        policy = parse_policy(text)
        require_servable(policy)
        if "max_samples" not in keys:  # its default is nobody's wish
            policy = replace(policy, max_samples=min(policy.max_samples, own.max_samples))  # type: ignore[type-var]
    except InputError as error:
        raise bad_field(place, str(error)) from None
    _require_within(policy.max_samples, own, place)
    return policy


def _require_within(most: int, own: Policy, place: str) -> None:
    if most > own.max_samples:
        raise bad_field(place, f"max_samples must be <= {own.max_samples}, this server's own cap, got {most}")


def _param(message: str, fields: Fields) -> str:
    return fields.name(message.split()[0])
