"""The OpenAPI document is true: of the routes, of what requests may say, and of every reply."""

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from served_optscale import plain, scaler_of, served, written_generator
from test_serving_requests import CHAT, FIELDS, JSON, REFUSED
from tool_server import WEATHER, call, calling, tools_served
from vendor_server import message

from optscale_predictor.serving import ClientPolicies, ServeSettings
from optscale_predictor.serving.api_errors import ApiError
from optscale_predictor.serving.full_chat_body import FullChatBody
from optscale_predictor.serving.openapi_document import openapi_document
from optscale_predictor.serving.request_bodies import ChatBody, CompletionBody, parse_body
from optscale_predictor.serving.requested_policy import policy_in_model

SETTINGS = ServeSettings("written", timeout=30.0, client_policies=ClientPolicies.parse("best_of_n esc optscale"))
DOCUMENT = openapi_document(SETTINGS, 3)
FULL_DOCUMENT = openapi_document(replace(SETTINGS, chat_fields=True), 3)

#: Refusals of ``REFUSED`` that no schema can say: they depend on several fields, or on what a policy takes.
BEYOND_SCHEMAS = {
    *("two messages", "empty", "assistant last", "half a character", "two lengths", "stream_options", "setting"),
    *("alpha of a policy without", "cap in a policy"),
}


def checker(document, *steps):
    """A validator of a schema of the document, which may refer to others."""
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    registry = Registry().with_resource("urn:openapi", DRAFT202012.create_resource(document))
    return Draft202012Validator({"$ref": f"urn:openapi#{pointer}"}, registry=registry)


def of_reply(document, method, path, status):
    steps = ("paths", path, method, "responses", str(status), "content", "application/json", "schema")
    return checker(document, *steps)


BODIES = {"ChatBody": ChatBody, "CompletionBody": CompletionBody}
CHECKERS = {name: checker(DOCUMENT, "components", "schemas", name) for name in BODIES}
BODIES["FullChatBody"] = FullChatBody
CHECKERS["FullChatBody"] = checker(FULL_DOCUMENT, "components", "schemas", "FullChatBody")


def is_taken(body, name):
    """Whether the server takes a body, before it looks at several fields together."""
    try:
        parsed = parse_body(json.dumps(body).encode(), BODIES[name])
    except ApiError:
        return False
    options = parsed.optscale
    try:
        named = [options.policy, policy_in_model(parsed.model, "written")]
    except ApiError:
        return False
    known = [one.partition(":")[0].strip() in SETTINGS.client_policies.allowed for one in named if one is not None]
    return all(known) and (options.timeout or 0) <= 30 and (options.max_samples or 0) <= 3


def agree(body, name="ChatBody"):
    said = CHECKERS[name].is_valid(body)
    assert said == is_taken(body, name), f"the document says {said} of {json.dumps(body)[:300]}"


def test_every_schema_is_one():
    for document in (DOCUMENT, FULL_DOCUMENT):
        for schema in document["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)
        assert json.loads(json.dumps(document, allow_nan=False)) == document


@given(st.sampled_from(FIELDS), JSON)
@example("max_tokens", 3.0)
@example("max_tokens", 1 << 31)
@example("n", 1.0)
@example("n", True)
@example("temperature", 1e-300)
@example("temperature", 0)
@example("top_p", 1e-300)
@example("presence_penalty", -0.0)
@example("response_format", {"type": "text"})
@example("modalities", ["text"])
@example("stop", ["a"] * 17)
@example("optscale", {"policy": "esc:window=3", "timeout": 30, "max_samples": 3.0})
@example("optscale", {"policy": "beacon"})
@example("optscale", {"policy": "optscaler"})
@example("optscale", {"timeout": 31})
@example("optscale", {"timeout": None, "size": None})
@example("optscale", {"include_samples": True})
@example("optscale", {"include_samples": 1})
@example("model", "written:esc:window=3")
@example("model", "written:")
@example("model", "written:beacon")
@example("model", "writtenesc")
@example("messages", [{"role": "user", "content": [{"type": "text", "text": "x", "size": None}], "name": ""}])
def test_what_the_document_says_of_a_field_is_what_the_server_takes(field, value):
    if value == value and "Infinity" not in json.dumps(value) and "NaN" not in json.dumps(value):  # else no JSON
        agree({**CHAT, field: value})


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FULL_FIELDS = sorted(set(FullChatBody.model_fields) - {"model"})


@given(st.sampled_from(FULL_FIELDS), JSON)
@example("tools", [WEATHER])
@example("tools", [{**WEATHER, "function": {"name": "f", "parameters": {"x": [None]}, "strict": None}}])
@example("tools", [{"type": "function", "function": {"name": "f", "size": 1}}])
@example("tools", [{"type": "custom", "custom": {"name": "f"}}])
@example("tools", {})
@example("tool_choice", "required")
@example("tool_choice", "some")
@example("tool_choice", {"type": "function", "function": {"name": "f"}})
@example("tool_choice", {"type": "function", "function": {}})
@example("tool_choice", {"type": "allowed_tools"})
@example("parallel_tool_calls", 1)
@example("response_format", {"type": "json_object"})
@example("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}})
@example("response_format", {"type": "grammar"})
@example("logprobs", True)
@example("logprobs", 1)
@example("top_logprobs", 20.0)
@example("top_logprobs", 21)
@example("messages", [{"role": "user", "content": "x", "name": "ann"}])
@example("messages", [{"role": "user", "content": "x", "tool_calls": [CALL]}])
@example("messages", [{"role": "user", "content": None}])
@example("messages", [{"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None}])
@example("messages", [{"role": "assistant", "content": "x", "tool_calls": [{**CALL, "id": 1}]}])
@example("messages", [{"role": "assistant", "content": "x", "refusal": "no"}])
@example("messages", [{"role": "tool", "content": [{"type": "text", "text": "x"}], "tool_call_id": "1"}])
@example("messages", [{"role": "tool", "content": "x"}])
@example("messages", [{"role": "function", "content": "x"}])
@example("messages", [{"content": "x"}])
@example("messages", ["x"])
def test_what_the_document_says_of_a_full_chats_field_is_what_the_server_takes(field, value):
    if value == value and "Infinity" not in json.dumps(value) and "NaN" not in json.dumps(value):
        agree({**CHAT, field: value}, "FullChatBody")


@given(st.text() | st.lists(st.text(), max_size=2) | st.integers())
@example(["1+1="])
@example([" "])
@example("\u00a0")
def test_what_the_document_says_of_a_prompt_is_what_the_server_takes(prompt):
    agree({"model": "written", "prompt": prompt}, "CompletionBody")


@pytest.mark.parametrize("mistake", sorted(set(REFUSED) - {"not a number"}))  # which is no JSON
def test_what_is_refused_by_its_name_is_refused_by_the_document(mistake):
    body = {**CHAT, **REFUSED[mistake][0]}
    assert CHECKERS["ChatBody"].is_valid(body) == (mistake in BEYOND_SCHEMAS)


def test_routes_and_replies_are_what_the_servers_document_says():
    with (
        written_generator() as generator,
        served(scaler_of(generator.url), conversations=False) as server,
        plain() as client,
    ):
        document = client.get(f"{server.url}/openapi.json").json()
        routes = {
            (route.method.lower(), resource.canonical.replace("{name:.+}", "{name}"))
            for resource in server.application.app().router.resources()
            for route in resource
            if route.method != "HEAD"
        }
        assert routes == {(method, path) for path, methods in document["paths"].items() for method in methods}
        body = {"model": "written", "messages": CHAT["messages"]}
        for method, path, sent, status in (
            ("post", "/v1/chat/completions", body, 200),
            ("post", "/v1/completions", {"model": "written", "prompt": "1+1="}, 200),
            ("post", "/v1/chat/completions", {**body, "optscale": {"policy": "optscale"}}, 200),
            ("post", "/v1/chat/completions", {**body, "optscale": {"include_samples": True}}, 200),
            ("post", "/v1/chat/completions", {**body, "model": "written:best_of_n:max_samples=2"}, 200),
            ("post", "/v1/chat/completions", {**body, "model": "written:oracle"}, 400),
            ("post", "/v1/chat/completions", {**body, "n": 2}, 400),
            ("post", "/v1/chat/completions", {**body, "model": "other"}, 404),
            ("get", "/v1/models", None, 200),
            ("get", "/v1/models/{name}", None, 404),
            ("get", "/v1/models/written:best_of_n:max_samples=2", None, 200),
            ("get", "/v1/models/written:oracle", None, 400),
            ("get", "/openapi.json", None, 200),
            ("get", "/health", None, 200),
        ):
            reply = client.request(method.upper(), server.url + path, json=sent)
            assert reply.status_code == status, reply.text
            route = "/v1/models/{name}" if path.startswith("/v1/models/") else path
            of_reply(document, method, route, status).validate(reply.json())
        model = client.get(f"{server.url}/v1/models/written").json()
        of_reply(document, "get", "/v1/models/{name}", 200).validate(model)
        assert client.get(f"{server.url}/metrics").headers["content-type"].startswith("text/plain")


def test_replies_that_call_tools_are_what_the_document_says():
    samples = [calling(call({"city": "Rome"}), content="I look."), message("It is warm."), calling(call({}))]
    with tools_served(samples, "self_consistency:max_samples=3") as (_, server), plain() as client:
        document = client.get(f"{server.url}/openapi.json").json()
        for more in (
            {"tools": [WEATHER]},
            {"logprobs": True},
            {"tools": [WEATHER], "optscale": {"include_samples": True}},
        ):
            reply = client.post(f"{server.url}/v1/chat/completions", json={**CHAT, **more})
            of_reply(document, "post", "/v1/chat/completions", 200).validate(reply.json())


def test_a_policy_in_the_header_is_that_of_the_request():
    path = "/v1/chat/completions"
    with (
        written_generator() as generator,
        served(scaler_of(generator.url), conversations=False) as server,
        plain() as client,
    ):
        for policy, status in (("best_of_n:max_samples=2", 200), ("oracle", 400), ("esc:size=3", 400)):
            reply = client.post(server.url + path, json=CHAT, headers={"X-OptScale-Policy": policy})
            assert reply.status_code == status, reply.text
            if status == 200:
                assert reply.json()["optscale"]["policy"] == policy and reply.json()["usage"]["samples"] == 2
            else:
                assert reply.json()["error"]["param"] == "X-OptScale-Policy"


def test_with_a_key_the_document_asks_for_it_and_is_behind_it():
    with (
        written_generator() as generator,
        served(scaler_of(generator.url), api_key="se-cret") as server,
        plain() as client,
    ):
        refused = client.get(f"{server.url}/openapi.json")
        assert refused.status_code == 401
        document = client.get(f"{server.url}/openapi.json", headers={"Authorization": "Bearer se-cret"}).json()
    of_reply(document, "get", "/v1/models", 401).validate(refused.json())
    assert "se-cret" not in json.dumps(document)
    secured = {path for path, methods in document["paths"].items() for one in methods.values() if "security" in one}
    assert secured == set(document["paths"]) - {"/health", "/metrics"}
