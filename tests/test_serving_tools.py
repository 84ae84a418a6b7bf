"""``optscale serve`` for agents: tools, JSON and log-probabilities go through, and samples agree on what they call."""

import json

import openai
import pytest
from served_optscale import ask, plain
from tool_server import WEATHER, call, calling, tools_served
from vendor_server import message

from optscale_predictor.backends.verifiers import Scores, Verifier

USER = {"role": "user", "content": "Is it warm in Paris?"}


class KeepsTexts(Verifier):
    """Scores a sample by its length, and keeps what it read."""

    def __init__(self):
        self.read = []

    def score(self, items):
        self.read += [item.text for item in items]
        return Scores.of([min(len(item.text) / 1000, 1.0) for item in items])

    def describe(self):
        return {"adapter": "keeps texts"}


def called(reply):
    """Names and arguments of a reply's tool calls."""
    return [(one.function.name, json.loads(one.function.arguments)) for one in reply.choices[0].message.tool_calls]


def test_samples_agree_on_what_they_call_however_it_is_written():
    paris = [call('{"city": "Paris", "days": 1}'), call('{"days":1.0,"city":"Paris"}')]
    samples = [
        calling(call({"city": "Rome"}, number=3)),
        calling(paris[0]),
        calling(call({"city": "Rome"}, name="climate")),
        calling(paris[1], content="I look."),
        message("It is warm.", "stop"),
    ]
    with tools_served(samples) as (upstream, server), server.client() as client:
        reply = ask(
            client, USER["content"], tools=[WEATHER], tool_choice="auto", parallel_tool_calls=False, temperature=0.5
        )
    assert called(reply) == [("weather", {"city": "Paris", "days": 1})]
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    assert choice.message.tool_calls[0].id == "call_1" and choice.message.role == "assistant"
    (body,) = upstream.bodies
    assert body["tools"] == [WEATHER] and body["tool_choice"] == "auto" and body["parallel_tool_calls"] is False
    assert body["n"] == 5 and body["temperature"] == 0.5 and body["messages"] == [USER]
    assert reply.usage.completion_tokens == 25 and reply.model_extra["optscale"]["stop_reason"] == "budget"


def test_calls_made_together_agree_in_any_order_and_broken_arguments_with_nothing():
    rome, oslo = call({"city": "Rome"}), call({"city": "Oslo"}, number=2)
    samples = [calling(call('{"city": ')), calling(call('{"city": ')), calling(rome, oslo), calling(oslo, rome)]
    with tools_served(samples, "self_consistency:max_samples=4") as (_, server), server.client() as client:
        reply = ask(client, USER["content"], tools=[WEATHER], extra_body={"optscale": {"include_samples": True}})
    assert called(reply) == [("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"})]
    told = reply.model_extra["optscale"]["samples"]
    assert [one["answer"] is None for one in told] == [True, True, False, False]
    assert told[2]["answer"] == told[3]["answer"] and [one["chosen"] for one in told] == [False, False, True, False]


def test_an_agents_whole_conversation_reaches_the_server_as_it_was():
    asked = call({"city": "Paris"})
    conversation = [
        {"role": "system", "content": "Be short."},
        {**USER, "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": asked["id"], "content": '{"celsius": 31}'},
    ]
    with tools_served([message("Yes, 31 degrees.")]) as (upstream, server), server.client() as client:
        reply = client.chat.completions.create(model="written", messages=conversation, tools=[WEATHER])
        # What came back is sent back as it is, which is how agents go on.
        conversation += [reply.choices[0].message.model_dump(), {"role": "user", "content": "And tomorrow?"}]
        client.chat.completions.create(model="written", messages=conversation, tools=[WEATHER])
    assert reply.choices[0].message.content == "Yes, 31 degrees." and reply.choices[0].finish_reason == "stop"
    first, second = upstream.bodies
    assert first["messages"] == conversation[:4]
    assert second["messages"][4:] == [{"role": "assistant", "content": "Yes, 31 degrees."}, conversation[-1]]


def test_arguments_as_an_object_and_calls_without_ids_become_what_clients_read():
    loose = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}}
    with tools_served([message("", "stop", tool_calls=[loose])]) as (_, server), server.client() as client:
        reply = ask(client, USER["content"], tools=[WEATHER])
    assert called(reply) == [("weather", {"city": "Paris"})]
    assert reply.choices[0].message.tool_calls[0].id and reply.choices[0].finish_reason == "tool_calls"


def test_a_verifier_reads_the_call():
    verifier = KeepsTexts()
    samples = [calling(call({"city": "Oslo"})), calling(call({"city": "Constantinople"}), content="I look.")]
    with tools_served(samples, "best_of_n:max_samples=2", verifier) as (_, server), server.client() as client:
        reply = ask(client, USER["content"], tools=[WEATHER])
    assert called(reply) == [("weather", {"city": "Constantinople"})]
    assert reply.choices[0].message.content == "I look."
    assert "weather" in verifier.read[0] and "Oslo" in verifier.read[0] and verifier.read[1].startswith("I look.\n")


def test_json_that_is_asked_for_agrees_as_json():
    schema = {"type": "json_schema", "json_schema": {"name": "sum", "schema": {"type": "object"}, "strict": True}}
    samples = [
        message('{"sum": 5}'),
        message('{"sum": 4, "unit": null}'),
        message("no JSON"),
        message('{"unit":null, "sum":4.0}'),
        message('{"sum": 5, "unit": null}'),
    ]
    with tools_served(samples) as (upstream, server), server.client() as client:
        reply = ask(client, "2+2=", response_format=schema)
        kind = ask(client, "2+2=", response_format={"type": "json_object"}, max_tokens=9)
    assert json.loads(reply.choices[0].message.content) == {"sum": 4, "unit": None}
    assert json.loads(kind.choices[0].message.content) == {"sum": 4, "unit": None}
    assert [body["response_format"] for body in upstream.bodies] == [schema, {"type": "json_object"}]


def test_log_probabilities_are_those_of_the_chosen_sample():
    samples = [message("so #### 3"), message("then #### 4"), message("thus #### 4")]
    with tools_served(samples, "self_consistency:max_samples=3") as (upstream, server), server.client() as client:
        reply = ask(client, "2+2=", logprobs=True, top_logprobs=2)
        without = ask(client, "2+2=")
        chunks = list(ask(client, "2+2=", logprobs=True, stream=True))
    (token,) = reply.choices[0].logprobs.content
    assert token.token == "then #### 4" == reply.choices[0].message.content and len(token.top_logprobs) == 2
    assert without.choices[0].logprobs is None and "logprobs" not in upstream.bodies[1]
    told = [one.choices[0] for one in chunks if one.choices[0].logprobs]
    assert [(one.delta.content, one.logprobs.content[0].token) for one in told] == [("then #### 4", "then #### 4")]


def test_all_samples_with_their_scores_are_in_the_reply_on_request_alone():
    samples = [message("so #### 3"), message("and therefore #### 4")]
    with tools_served(samples, "best_of_n:max_samples=2", KeepsTexts()) as (_, server), server.client() as client:
        without = ask(client, "2+2=")
        reply = ask(client, "2+2=", extra_body={"optscale": {"include_samples": True}})
        *_, last = ask(client, "2+2=", stream=True, extra_body={"optscale": {"include_samples": True}})
    assert "samples" not in without.model_extra["optscale"]
    first, second = reply.model_extra["optscale"]["samples"]
    assert first["message"]["content"] == "so #### 3" and second["message"]["content"] == "and therefore #### 4"
    assert (first["score"], second["score"]) == (0.009, 0.02) and (first["answer"], second["answer"]) == ("3", "4")
    assert (first["chosen"], second["chosen"]) == (False, True) and first["tokens"] == second["tokens"] == 5
    assert last.model_extra["optscale"]["samples"] == [first, second]


def test_a_streamed_call_is_what_the_clients_own_helper_puts_together():
    samples = [calling(call({"city": "Paris"}), content="I look.")]
    with (
        tools_served(samples) as (_, server),
        server.client() as client,
        client.chat.completions.stream(model="written", messages=[USER], tools=[WEATHER]) as stream,
    ):
        found = stream.get_final_completion().choices[0]
    assert found.message.content == "I look." and found.finish_reason == "tool_calls"
    assert json.loads(found.message.tool_calls[0].function.arguments) == {"city": "Paris"}


@pytest.fixture(scope="module")
def refusing():
    """A server whose generator is never asked, and a client that sends whatever it is given."""
    with tools_served([message("x")]) as (upstream, server), plain() as client:
        yield server, client
    assert upstream.bodies == []


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": "some"}, "tool_choice"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"tools": [{**WEATHER, "function": {"name": "\ud800"}}]}, "tools[0].function.name"),
        ({"tools": [{**WEATHER, "function": {"name": "f", "parameters": {"x": "\ud800"}}}]}, "tools"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "messages[0]"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{"id": "1"}]}]}, "messages[1].tool_calls[0].type"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
    ],
)
def test_what_cannot_be_passed_through_is_refused_by_its_name(refusing, given, param):
    server, client = refusing
    body = json.dumps({"model": "written", "messages": [USER], **given})
    reply = client.post(f"{server.url}/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param), reply.text


def test_what_the_server_behind_refuses_is_refused_in_its_words():
    with tools_served([message("x")], refuses=["tools"]) as (_, server), server.client() as client:
        with pytest.raises(openai.BadRequestError, match="tools is not supported by this model") as refused:
            ask(client, "1+1=", tools=[WEATHER])
        assert refused.value.code == "refused_by_generator"
        assert ask(client, "1+1=").choices[0].message.content == "x"  # it serves on


def test_a_server_that_tells_no_log_probabilities_is_no_answer_without_them():
    with tools_served([message([{"type": "text", "text": "x"}])]) as (upstream, server), server.client() as client:
        answer = upstream.answer
        upstream.answer = lambda body: answer({**body, "logprobs": False})
        with pytest.raises(openai.InternalServerError, match="no log-probabilities") as failed:
            ask(client, "1+1=", logprobs=True)
        assert failed.value.status_code == 502
