"""The server's description of itself, as an OpenAPI document: ``GET /openapi.json``.

What a request may say comes from the models that check it, with the bounds that the operator has set. What no schema
can say (that the last message must be the user's, which settings a policy has) is a 400 with the field's name.
"""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from optscale_predictor._support.version import __version__
from optscale_predictor.policies import StopReason
from optscale_predictor.serving.body_fields import MAX_POLICY
from optscale_predictor.serving.full_chat_body import chat_body
from optscale_predictor.serving.request_bodies import CompletionBody, RequestBody
from optscale_predictor.serving.requested_policy import POLICY_HEADER, model_pattern, policy_pattern
from optscale_predictor.serving.serve_settings import ServeSettings

_Schema = dict[str, Any]

_CHAT, _COMPLETION = "A chat completion.", "A completion of a prompt."
_TEXT: _Schema = {"type": "string"}
_COUNT: _Schema = {"type": "integer", "minimum": 0}
_NULL: _Schema = {"type": "null"}
_REASONS = {
    "400": "A field cannot be honoured, or this is no HTTP.",
    "401": "The API key is missing or wrong.",
    "404": "There is no such model, or no such path.",
    "408": "The body did not come.",
    "413": "The body is too large.",
    "415": "The body is not said to be JSON, or is compressed.",
    "417": "An expectation other than 100-continue.",
    "429": "Too many questions wait; Retry-After says when to come back.",
    "500": "The server made a mistake.",
    "502": "The generator or the verifier failed.",
    "503": "They cannot be reached, or the server is full, or about to stop.",
    "504": "No sample in the request's time.",
}


def openapi_document(settings: ServeSettings, max_samples: int) -> _Schema:
    """The document, in JSON's types.

    Args:
        settings: The server's.
        max_samples: The cap of the server's own policy, which clients may not exceed; >= 1.
    """
    document: _Schema = {
        "openapi": "3.1.0",
        "info": {"title": "optscale serve", "version": __version__, "description": "Answers chosen among samples."},
        "paths": {
            "/v1/chat/completions": {"post": _asking(chat_body(settings).__name__, "ChatCompletion", _CHAT, settings)},
            "/v1/completions": {"post": _asking("CompletionBody", "Completion", _COMPLETION, settings)},
            "/v1/models": {"get": _getting("Models", "The served model, as a list.")},
            "/v1/models/{name}": {
                "get": {**_getting("Model", "The served model.", "400", "404"), "parameters": [_NAME]}
            },
            "/openapi.json": {"get": _getting("Document", "This document.")},
            "/health": {"get": _health()},
            "/metrics": {"get": _replying("The counts, for Prometheus.", "text/plain", _TEXT)},
        },
        "components": {"schemas": {**_requests(settings, max_samples), **_REPLIES}},
    }
    if settings.api_key:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, methods in document["paths"].items():
            for operation in methods.values() if path.startswith(("/v1/", "/openapi")) else ():
                operation["security"] = [{"key": []}]
                operation["responses"]["401"] = _error("401")
    return document


def _requests(settings: ServeSettings, max_samples: int) -> _Schema:
    """The schemas of bodies: the models' own, with null for what is not given, and with the operator's bounds."""
    bodies: list[type[RequestBody]] = [chat_body(settings), CompletionBody]
    _, found = models_json_schema(
        [(body, "validation") for body in bodies], ref_template="#/components/schemas/{model}"
    )
    schemas: _Schema = found["$defs"]
    for schema in schemas.values():
        required = schema.get("required", [])
        for name, field in schema.get("properties", {}).items():
            kept = {key: value for key, value in field.items() if key not in ("title", "default")}
            settled = name in required or _NULL in kept.get("anyOf", [])
            schema["properties"][name] = kept if settled else {"anyOf": [kept, _NULL]}
        schema["additionalProperties"] = _NULL  # an unknown field that says nothing is as good as none
    for body in bodies:
        schemas[body.__name__]["properties"]["model"] = _model_name(settings)
    options = schemas["OptscaleOptions"]["properties"]
    _bound(options["timeout"], maximum=settings.timeout)
    _bound(options["max_samples"], maximum=max_samples)
    _bound(options["policy"], pattern=policy_pattern(settings.client_policies))
    options["policy"]["description"] = f"Clients may choose: {settings.client_policies}"
    return schemas


def _model_name(settings: ServeSettings) -> _Schema:
    """The served model's name, with or without a policy behind it."""
    most = len(settings.name) + 1 + MAX_POLICY
    pattern = model_pattern(settings.name, settings.client_policies)
    return {"anyOf": [{"const": settings.name}, {"type": "string", "pattern": pattern, "maxLength": most}]}


def _bound(field: _Schema, **limits: object) -> None:
    """Adds bounds to what an optional field may be, beside null."""
    for form in field["anyOf"]:
        if form != _NULL:
            form.update(limits)


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: _Schema) -> _Schema:
    return {"application/json": {"schema": schema}}


def _error(status: str) -> _Schema:
    return {"description": _REASONS[status], "content": _json(_ref("Error"))}


def _replying(about: str, kind: str, schema: _Schema) -> _Schema:
    return {"responses": {"200": {"description": about, "content": {kind: {"schema": schema}}}}}


def _getting(schema: str, about: str, *statuses: str) -> _Schema:
    found = _replying(about, "application/json", _ref(schema))
    found["responses"].update({status: _error(status) for status in statuses})
    return found


def _asking(body: str, reply: str, about: str, settings: ServeSettings) -> _Schema:
    operation = _getting(reply, about, *(status for status in _REASONS if status != "401"))
    # Of what: readers of OpenAPI 3.1 disagree on whether a schema is of the stream or of each event.
    events = {"description": "Events `data: {JSON}`, the last one `data: [DONE]`."}
    operation["responses"]["200"]["content"]["text/event-stream"] = {"schema": events}
    policy = {"type": "string", "pattern": policy_pattern(settings.client_policies), "maxLength": MAX_POLICY}
    header = {"name": POLICY_HEADER, "in": "header", "required": False, "schema": policy}
    return {"parameters": [header], "requestBody": {"required": True, "content": _json(_ref(body))}, **operation}


def _health() -> _Schema:
    operation = _getting("Health", "It serves.")
    about = "It is about to stop, or the engine in its process has failed."
    operation["responses"]["503"] = {"description": about, "content": _json(_ref("Health"))}
    return operation


def _object(properties: Mapping[str, _Schema], **optional: _Schema) -> _Schema:
    """An object that has all of these properties, and no other but the optional ones."""
    return {
        "type": "object",
        "properties": {**properties, **optional},
        "required": list(properties),
        "additionalProperties": False,
    }


def _nullable(schema: _Schema) -> _Schema:
    return {"anyOf": [schema, _NULL]}


def _completion(kind: str, content: Mapping[str, _Schema]) -> _Schema:
    told = _nullable({"type": "object"})
    choice = _object({"index": {"const": 0}, **content, "logprobs": told, "finish_reason": _ENDING})
    head = {"id": _TEXT, "object": {"const": kind}, "created": _COUNT, "model": _TEXT}
    choices = {"type": "array", "items": choice, "minItems": 1, "maxItems": 1}
    return _object({**head, "choices": choices, "usage": _ref("Usage"), "optscale": _ref("Account")})


_NAME = {"name": "name", "in": "path", "required": True, "schema": _TEXT}
_COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "samples",
    "cancelled_samples",
    "refused_samples",
    "chosen_tokens",
)
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_ENDING = {"enum": ["stop", "length", "content_filter", "tool_calls"]}
_CALL = _object({"id": _TEXT, "type": {"const": "function"}, "function": _object({"name": _TEXT, "arguments": _TEXT})})
_MESSAGE = _object(
    {"role": {"const": "assistant"}, "content": _nullable(_TEXT), "refusal": _NULL},
    tool_calls={"type": "array", "items": _CALL, "minItems": 1},
)
_SAMPLE = _object(
    {
        "index": _COUNT,
        "chosen": {"type": "boolean"},
        "score": _nullable(_SHARE),
        "answer": _nullable(_TEXT),
        "finish_reason": _ENDING,
        "tokens": _COUNT,
    },
    message=_MESSAGE,  # of a chat
    text=_TEXT,  # of a completion
    refused=_TEXT,  # of one that has no score: why the verifier refused it
)
_REPLIES: _Schema = {
    "ChatCompletion": _completion("chat.completion", {"message": _MESSAGE}),
    "Completion": _completion("text_completion", {"text": _TEXT}),
    "Usage": _object({name: _COUNT for name in _COUNTS}),
    "Account": _object(
        {
            "score": _nullable(_SHARE),
            "confidence": _nullable(_SHARE),
            "stop_reason": {"enum": [reason.value for reason in StopReason]},
            "hit": _nullable({"type": "boolean"}),
            "needed": _nullable({"type": "number", "minimum": 1}),
            "policy": _TEXT,
            "seconds": {"type": "number", "minimum": 0},
        },
        samples={"type": "array", "items": _ref("Sample")},
    ),
    "Sample": _SAMPLE,
    "Model": _object({"id": _TEXT, "object": {"const": "model"}, "created": _COUNT, "owned_by": _TEXT}),
    "Models": _object({"object": {"const": "list"}, "data": {"type": "array", "items": _ref("Model")}}),
    "Health": _object(
        {
            "status": {"enum": ["ok", "stopping", "engine failed"]},
            "generator": {"enum": ["up", "down"]},
            "in_flight": _COUNT,
            "waiting": _COUNT,
        }
    ),
    "Document": {"type": "object", "required": ["openapi", "info", "paths"]},
    "Error": _object(
        {
            "error": _object(
                {
                    "message": _TEXT,
                    "type": {
                        "enum": ["invalid_request_error", "authentication_error", "rate_limit_error", "server_error"]
                    },
                    "param": _nullable(_TEXT),
                    "code": _nullable(_TEXT),
                }
            )
        }
    ),
}
