"""Which policy answers a request: the server's own, or one that the client names and the operator allows.

A client names it in its body (``optscale.policy``), behind the model's name (``NAME:best_of_n:max_samples=8``) or in a
header. The last two are for programs that let their users set no other field.
"""

import re
from dataclasses import fields, replace

from optscale_predictor.errors import InputError
from optscale_predictor.policies import Policy, parse_policy
from optscale_predictor.serving.api_errors import ApiError, field_error, shown
from optscale_predictor.serving.body_fields import MAX_POLICY
from optscale_predictor.serving.request_bodies import OptscaleOptions
from optscale_predictor.serving.servable_policies import FILE_SETTINGS, ClientPolicies, require_servable

#: The header in which a client may name a policy.
POLICY_HEADER = "X-OptScale-Policy"
_BODY = "optscale.policy"


def policy_in_model(model: str, served: str) -> str | None:
    """The policy that a client names behind the model's name; None where it names the model alone.

    Args:
        model: As the client writes it: ``NAME`` or ``NAME:POLICY``.
        served: The served model's name, which may have colons of its own.

    Raises:
        ApiError: It is another model.
    """
    if model == served:
        return None
    if not model.startswith(f"{served}:"):
        message = f"the model {shown(model)} does not exist; this server serves {served!r}"
        raise ApiError(404, message, "model", "model_not_found")
    return model[len(served) + 1 :]


def model_pattern(served: str, allowed: ClientPolicies) -> str:
    """The regular expression of models' names with a policy, as a JSON schema has it."""
    plain = re.sub(r"([\\^$.*+?()\[\]{}|/])", r"\\\1", served)
    return f"^{plain}:" + policy_pattern(allowed).removeprefix("^")


def policy_pattern(allowed: ClientPolicies) -> str:
    """The regular expression of the policies that clients may name, as a JSON schema has it."""
    names = "|".join(allowed.allowed)
    return rf"^\s*({names})\s*(:[\s\S]*)?$" if names else "^(?!)"


def requested_policy(
    options: OptscaleOptions,
    own: Policy,
    allowed: ClientPolicies,
    in_model: str | None = None,
    in_header: str | None = None,
) -> Policy:
    """The policy for a request: the server's own or the one that is named, with the settings that are named.

    No policy may draw more samples than the server's own cap, and none may name a file.

    Args:
        options: What the client asks for.
        own: The server's policy.
        allowed: What clients may choose in its place.
        in_model: The policy behind the model's name; None where there is none.
        in_header: The policy in the header; None where there is none.

    Raises:
        ApiError: The policy or a value is not one that clients may choose, a setting is not one of the policy's, it
            goes beyond the server's cap, or two policies are named.
    """
    text, param = _named(options.policy, in_model, in_header)
    policy = own if text is None else _named_policy(text, param, own, allowed)
    asked = {"score_min": options.score_min, "alpha": options.alpha, "max_samples": options.max_samples}
    changes: dict[str, float] = {name: value for name, value in asked.items() if value is not None}
    if options.max_samples is not None:
        _require_within_cap(options.max_samples, own, "optscale.max_samples")
    known = {setting.name for setting in fields(policy)}  # type: ignore[arg-type]
    for name in changes:
        if name not in known:
            raise field_error(f"optscale.{name}", f"policy {policy.name!r} has no such setting")
    try:
        changed = replace(policy, **changes) if changes else policy  # type: ignore[type-var]
        allowed.require_settings(changed, own)
    except InputError as error:  # values that are not allowed, or do not go together
        raise field_error("optscale" if text is None else param, str(error)) from None
    return changed


def policy_field(options: OptscaleOptions, in_model: str | None, in_header: str | None) -> str:
    """The field that names a request's policy; without any the one in which it could be named."""
    return _named(options.policy, in_model, in_header)[1]


def _named(in_body: str | None, in_model: str | None, in_header: str | None) -> tuple[str | None, str]:
    """The policy's text, and the field that names it."""
    given = {_BODY: in_body, "model": in_model, POLICY_HEADER: in_header}
    named = [(text, param) for param, text in given.items() if text is not None]
    if not named:
        return None, _BODY
    text, param = named[0]
    for other, where in named[1:]:
        if other != text:
            raise field_error(where, f"names another policy than {param}")
    if len(text) > MAX_POLICY:
        raise field_error(param, f"a policy must have at most {MAX_POLICY} characters")
    return text, param


def _named_policy(text: str, param: str, own: Policy, allowed: ClientPolicies) -> Policy:
    name, _, rest = text.partition(":")
    keys = [part.partition("=")[0].strip() for part in rest.split(",")]
    for key in keys:
        if key in FILE_SETTINGS:
            raise field_error(param, f"{key} names a file on the server, which is the server's affair")
    try:
        allowed.require_name(name.strip())
        policy = parse_policy(text)
        require_servable(policy)
        if "max_samples" not in keys:  # its default is nobody's request
            cap = int(min(policy.max_samples, own.max_samples, allowed.cap(policy.name)))
            policy = replace(policy, max_samples=cap)  # type: ignore[type-var]
    except InputError as error:
        raise field_error(param, str(error)) from None
    _require_within_cap(policy.max_samples, own, param)
    return policy


def _require_within_cap(max_samples: int, own: Policy, param: str) -> None:
    if max_samples > own.max_samples:
        raise field_error(param, f"max_samples must be <= {own.max_samples}, this server's own cap, got {max_samples}")
