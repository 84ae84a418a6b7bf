"""What a request may say: every field is honoured, or refused by its name in OpenAI's error shape."""

import json

import openai
import pytest
from answering import WrittenServer, connect, serving
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from served_optscale import ask, plain, scaler_of, served, written_generator

from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.serving import require_servable
from optscale_predictor.serving.api_errors import ApiError
from optscale_predictor.serving.request_bodies import ChatBody, CompletionBody, parse_body

CHAT = {"model": "written", "messages": [{"role": "user", "content": "1+1="}]}
REFUSED = {
    "n": ({"n": 2}, "n"),
    "tools": ({"tools": [{"type": "function"}]}, "tools"),
    "tool_choice": ({"tool_choice": "required"}, "tool_choice"),
    "logprobs": ({"logprobs": True}, "logprobs"),
    "logprobs of a completion": ({"logprobs": 0}, "logprobs"),
    "response_format": ({"response_format": {"type": "json_object"}}, "response_format"),
    "audio": ({"audio": {"voice": "x"}}, "audio"),
    "penalty": ({"presence_penalty": 0.5}, "presence_penalty"),
    "unknown": ({"top_k": 3}, "top_k"),
    "image": ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
    "role": ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    "tool call": (
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]}, *CHAT["messages"]]},
        "messages[0].tool_calls",
    ),
    "two messages": ({"messages": [{"role": "system", "content": "x"}, *CHAT["messages"]]}, "messages"),
    "no messages": ({"messages": []}, "messages"),
    "no content": ({"messages": [{"role": "user"}]}, "messages[0].content"),
    "empty": ({"messages": [{"role": "user", "content": " "}]}, "messages"),
    "assistant last": ({"messages": [*CHAT["messages"], {"role": "assistant", "content": "x"}]}, "messages"),
    "half a character": ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages"),
    "temperature": ({"temperature": -1}, "temperature"),
    "a temperature that overflows": ({"temperature": 1e-300}, "temperature"),
    "a nucleus that is empty": ({"top_p": 1e-300}, "top_p"),
    "more tokens than are counted": ({"max_tokens": 1 << 40}, "max_tokens"),
    "a stop string of a megabyte": ({"stop": "x" * 1001}, "stop"),
    "temperature as text": ({"temperature": "1"}, "temperature"),
    "not a number": ({"temperature": float("nan")}, "temperature"),
    "top_p": ({"top_p": 0}, "top_p"),
    "max_tokens": ({"max_tokens": 0}, "max_tokens"),
    "max_tokens as a fraction": ({"max_tokens": 1.5}, "max_tokens"),
    "two lengths": ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
    "stop": ({"stop": [""]}, "stop[0]"),
    "seed": ({"seed": 1 << 70}, "seed"),
    "stream": ({"stream": "yes"}, "stream"),
    "stream_options": ({"stream_options": {"include_usage": True}}, "stream_options"),
    "user": ({"user": 3}, "user"),
    "model": ({"model": None}, "model"),
    "policy": ({"optscale": {"policy": "best"}}, "optscale.policy"),
    "setting": ({"optscale": {"policy": "best_of_n:size=3"}}, "optscale.policy"),
    "joint policy": ({"optscale": {"policy": "shared_budget"}}, "optscale.policy"),
    "hindsight": ({"optscale": {"policy": "clairvoyant"}}, "optscale.policy"),
    "a file of the server": ({"optscale": {"policy": "cost_aware:calibration=/etc/passwd"}}, "optscale.policy"),
    "policy without its prior": ({"optscale": {"policy": "optscale_t"}}, "optscale.policy"),
    "alpha": ({"optscale": {"policy": "optscale", "alpha": 2}}, "optscale.alpha"),
    "alpha of a policy without": ({"optscale": {"alpha": 0.5}}, "optscale.alpha"),
    "cap": ({"optscale": {"max_samples": 4}}, "optscale.max_samples"),
    "cap in a policy": ({"optscale": {"policy": "best_of_n:max_samples=4"}}, "optscale.policy"),
    "no samples": ({"optscale": {"max_samples": 0}}, "optscale.max_samples"),
    "timeout": ({"optscale": {"timeout": 601}}, "optscale.timeout"),
    "unknown option": ({"optscale": {"size": 1}}, "optscale.size"),
    "a folder of the server": ({"optscale": {"policy": "fitted:path=/etc"}}, "optscale.policy"),
    "a selection": ({"optscale": {"selection": "confidence:/etc"}}, "optscale.selection"),
    "no options": ({"optscale": [1]}, "optscale"),
}


@pytest.fixture(scope="module")
def raw_client():
    with plain() as client:
        yield client


@pytest.fixture(scope="module")
def strict():
    """A server that only refuses: its generator is never asked."""
    generator = WrittenServer()
    with serving(generator.app()) as url, served(scaler_of(url), conversations=False, max_body=10_000) as server:
        yield server
    assert generator.bodies == []


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_cannot_be_honoured_is_refused_by_name(strict, raw_client, mistake):
    change, param = REFUSED[mistake]
    raw = json.dumps({**CHAT, **change})
    reply = raw_client.post(
        f"{strict.url}/v1/chat/completions", content=raw, headers={"Content-Type": "application/json"}
    )
    error = reply.json()["error"]
    assert (reply.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error"), error
    assert "\n" not in error["message"] and "/etc/passwd" not in error["message"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"content": b"{"}, 400),
        ({"content": b"[" * 9000}, 400),
        ({"content": b"[]"}, 400),
        ({"content": b'{"model": ' + b"9" * 5000 + b"}"}, 400),
        ({"content": b" " * 10_001}, 413),
        ({"headers": {"Content-Type": "text/plain"}}, 415),
        ({"headers": {"Content-Encoding": "gzip"}}, 415),
        ({"path": "/v1/nothing"}, 404),
        ({"method": "GET"}, 405),
        ({"content": json.dumps({**CHAT, "model": "other"}).encode()}, 404),
    ],
)
def test_a_request_that_is_none_is_an_error_in_the_same_shape(strict, raw_client, change, status):
    given = {"method": "POST", "path": "/v1/chat/completions", "content": json.dumps(CHAT).encode(), **change}
    headers = {"Content-Type": "application/json", **given.get("headers", {})}
    reply = raw_client.request(given["method"], strict.url + given["path"], content=given["content"], headers=headers)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


def test_a_base_url_without_its_end_is_recognised(strict, raw_client):
    for path, hinted in (("/chat/completions", True), ("/models", True), ("/nothing", False), ("/v1/nothing", False)):
        said = raw_client.post(f"{strict.url}{path}", json={}).json()["error"]["message"]
        assert ("the base URL ends in /v1" in said) == hinted, said


def test_a_policy_that_cannot_run_is_named_where_the_client_named_it():
    """A vote has no scores, of which best_of_n chooses the best."""
    generator = WrittenServer()
    with serving(generator.app()) as url:
        scaler = OptScale(connect(url), None, policy=parse_policy("self_consistency:max_samples=3"))
        with served(scaler, conversations=False) as server, server.client() as client:
            for given, param in (
                ({"model": "written:best_of_n:max_samples=2"}, "model"),
                ({"extra_body": {"optscale": {"policy": "best_of_n:max_samples=2"}}}, "optscale.policy"),
                ({"extra_headers": {"X-OptScale-Policy": "best_of_n:max_samples=2"}}, "X-OptScale-Policy"),
            ):
                with pytest.raises(openai.BadRequestError) as refused:
                    client.chat.completions.create(**{"model": "written", "messages": CHAT["messages"], **given})
                assert refused.value.param == param and "these need none: self_consistency" in refused.value.message
    assert generator.bodies == []


def test_the_client_raises_its_own_errors(strict):
    with strict.client() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, "1+1=", n=2)
        assert refused.value.param == "n"
        with pytest.raises(openai.NotFoundError) as missing:
            client.chat.completions.create(model="gpt", messages=CHAT["messages"])
        assert missing.value.code == "model_not_found"


def test_a_key_is_asked_for_and_shown_to_nobody(raw_client, caplog):
    with (
        written_generator() as generator,
        served(scaler_of(generator.url), conversations=False, api_key="se-cret") as server,
    ):
        for header in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "se-cret"},
            {"Authorization": "Bearer \xe9"},
        ):
            reply = raw_client.get(
                f"{server.url}/v1/models", headers={k: v.encode("latin-1") for k, v in header.items()}
            )
            assert reply.status_code == 401 and reply.json()["error"]["code"] == "invalid_api_key"
            assert "se-cret" not in reply.text
        assert raw_client.get(f"{server.url}/health").status_code == 200
        with server.client(api_key="se-cret") as client:
            assert ask(client, "1+1=").choices
        assert "se-cret" not in repr(server.application._settings)
    assert "se-cret" not in caplog.text


@pytest.mark.parametrize("policy", ["shared_budget", "clairvoyant", "oracle"])
def test_a_policy_that_no_server_can_run(policy):
    with pytest.raises(InputError, match=policy):
        require_servable(parse_policy(policy))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=200), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted(set(ChatBody.model_fields) | {"top_k"})


def refusal_of(body, model=ChatBody):
    with pytest.raises(ApiError) as refused:
        parse_body(json.dumps(body).encode(), model)
    return refused.value


@given(st.sampled_from(FIELDS), JSON)
def test_whatever_a_field_holds_it_is_parsed_or_refused_by_its_name_in_one_short_line(field, value):
    try:
        parse_body(json.dumps({**CHAT, field: value}).encode(), ChatBody)
    except ApiError as error:
        assert error.status == 400 and (error.param == field or error.param.startswith((f"{field}.", f"{field}[")))
        assert len(error.message) < 420 and "\n" not in error.message


@pytest.mark.parametrize("field", [*FIELDS, "optscale.timeout", "stream_options.include_usage"])
def test_null_counts_as_not_given(field):
    name, _, inner = field.partition(".")
    body = parse_body(json.dumps({**CHAT, name: {inner: None} if inner else CHAT.get(name)}).encode(), ChatBody)
    assert body.turns[0] == ("user", "1+1=")
    if name in ("model", "messages"):
        assert refusal_of({**CHAT, name: None}).message == f"{name}: must be given"


def test_a_body_full_of_mistakes_makes_one_error_of_each_kind():
    """The memory that a refusal takes does not grow with the body."""
    many = {f"field {number}": number for number in range(10_000)}
    for body in (
        {**CHAT, **many},
        {**CHAT, "messages": [many] * 100},
        {**CHAT, "messages": [3] * 10_000},
        {**CHAT, "messages": [{"role": "user", "content": [1] * 10_000}]},
        {**CHAT, "stop": [""] * 16},
        {**CHAT, "optscale": many},
    ):
        with pytest.raises(ValidationError) as raised:
            ChatBody.model_validate(body)
        assert raised.value.error_count() <= 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"temperature": -1}, "temperature: must be >= 0; got -1"),
        ({"temperature": float("nan")}, "temperature: must be a finite number; got NaN"),
        ({"top_p": 1.5}, "top_p: must be <= 1; got 1.5"),
        ({"max_tokens": "3"}, 'max_tokens: must be a whole number; got "3"'),
        ({"stream": 1}, "stream: must be true or false; got 1"),
        ({"user": 3}, "user: must be a string; got 3"),
        ({"n": True}, "n: one answer is chosen among many samples, so n can only be 1; got true"),
        ({"top_k": 3}, "top_k: this server does not know this field"),
        ({"a\nb": 3}, "a\\nb: this server does not know this field"),
        (
            {"optscale": {"max_sample": 3}},
            "optscale.max_sample: this server does not know this field; did you mean 'max_samples'?",
        ),
        ({"stop": ["x"] * 17}, 'stop: must have at most 16 items; got ["x", "x", "x", "x", "x", "x", "x", "x",...'),
        ({"optscale": [1]}, "optscale: must be an object; got [1]"),
        ({"optscale": {"policy": "x" * 501}}, "optscale.policy: must have at most 500 characters; got"),
        ({"messages": "1+1="}, 'messages: must be a list; got "1+1="'),
        ({"messages": []}, "messages: must not be empty; got []"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role: must be one of 'system', 'developer', "),
        ({"messages": [{"role": "user", "content": 3}]}, "must be a string or a list of text parts; got 3"),
        ({"messages": [{"role": "user", "content": "", "name": "x"}]}, "this server passes on text alone; got"),
    ],
)
def test_what_a_refusal_says(change, says):
    assert says in refusal_of({**CHAT, **change}).message


@pytest.mark.parametrize("prompt", ["", " ", [], ["a", "b"], [1, 2], 3, None])
def test_a_prompt_is_one_text(prompt):
    body = {"model": "written", "prompt": prompt}
    assert refusal_of(body, CompletionBody).param == "prompt"
    assert parse_body(b'{"model": "m", "prompt": ["1+1="]}', CompletionBody).prompt == "1+1="
