"""``optscale serve`` as the official client sees it, with a generator whose samples and waits the tests write."""

import asyncio
import http.client
import json
import socket
import struct
import time

import openai
import pytest
from answering import WrittenServer, serving, tokens_of
from prometheus_client.parser import text_string_to_metric_families
from served_optscale import plain, scaler_of, served, until
from served_world import ServedWorld

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.verifiers.function import FunctionVerifier
from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.questions.question import Question
from optscale_predictor.serving.api_errors import ApiError
from optscale_predictor.serving.replies import split
from optscale_predictor.serving.request_handler import Admission
from optscale_predictor.serving.serve_settings import require_servable

OPENAI_FIELDS = {"id", "object", "created", "model", "choices", "usage"}


def waits(prompt):
    """Seconds that the written server takes: what the prompt says after ``wait``."""
    return float(prompt.split("wait ")[1].split()[0]) if "wait " in prompt else 0.0


@pytest.fixture
def generator():
    """A written server, and its address."""
    server = WrittenServer(wait=waits)
    with serving(server.app()) as url:
        server.url = url
        yield server


@pytest.fixture
def running(generator):
    """``optscale serve`` in front of it."""
    with served(scaler_of(generator.url), conversations=False) as server:
        yield server


@pytest.fixture(scope="module")
def raw_client():
    with plain() as client:
        yield client


def ask(client, text, **options):
    return client.chat.completions.create(model="written", messages=[{"role": "user", "content": text}], **options)


def metrics_of(server):
    """What Prometheus' own parser reads, by name and labels."""
    with plain() as client:
        page = client.get(f"{server.url}/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
    }


def test_the_official_client_gets_the_chosen_sample_and_what_it_cost(generator, running):
    with running.client() as client:
        reply = ask(client, "1+1=", seed=7)
    (alone,) = scaler_of(generator.url).answer([Question("seed 7", "1+1=")])
    assert reply.choices[0].message.content == alone.text
    assert reply.choices[0].message.role == "assistant" and reply.choices[0].finish_reason == "stop"
    body = generator.bodies[0]
    texts = [generator.text("1+1=", body["seed"], place) for place in range(3)]
    assert alone.text == max(texts, key=lambda text: float(text.split()[0]))
    assert reply.usage.prompt_tokens == len("1+1=")
    assert reply.usage.completion_tokens == sum(map(tokens_of, texts))
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    extra = reply.usage.model_extra
    assert (extra["samples"], extra["cancelled_samples"]) == (3, 0)
    assert extra["chosen_tokens"] == tokens_of(alone.text)
    account = reply.model_extra["optscale"]
    assert account["score"] == float(alone.text.split()[0]) and account["stop_reason"] == "budget"
    assert account["policy"] == "best_of_n:max_samples=3" and account["needed"] == 3 and account["seconds"] >= 0
    assert reply.model == "written" and reply.id.startswith("chatcmpl-") and abs(reply.created - time.time()) < 60


def test_equal_seeds_give_equal_samples_and_no_seed_gives_others(generator, running):
    with running.client() as client:
        first, second, third = ask(client, "1+1=", seed=1), ask(client, "1+1=", seed=1), ask(client, "1+1=", seed=2)
        for _ in range(2):
            ask(client, "1+1=")
    assert first.choices == second.choices
    seeds = [body["seed"] for body in generator.bodies]
    assert seeds[0] == seeds[1] and len(set(seeds[1:])) == 4
    assert first.usage == second.usage and first.id != second.id != third.id


def test_completions_and_models_as_the_client_reads_them(generator, running):
    with running.client() as client:
        reply = client.completions.create(model="written", prompt="2+2=", seed=3)
        assert [model.id for model in client.models.list()] == ["written"]
        assert client.models.retrieve("written").owned_by == "optscale"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("other")
    (alone,) = scaler_of(generator.url).answer([Question("seed 3", "2+2=")])
    assert reply.choices[0].text == alone.text and reply.object == "text_completion"
    assert reply.usage.model_extra["samples"] == 3


def test_what_a_client_sets_reaches_the_generator(generator, running):
    with running.client() as client:
        ask(client, "1+1=", temperature=0.25, top_p=0.5, max_tokens=11, stop="###", user="somebody")
        ask(client, "1+1=", max_completion_tokens=13, stop=["a", "b"], n=1, response_format={"type": "text"})
    first, second = generator.bodies
    assert (first["temperature"], first["top_p"], first["max_tokens"], first["stop"]) == (0.25, 0.5, 11, ["###"])
    assert (second["temperature"], second["max_tokens"], second["stop"]) == (1.0, 13, ["a", "b"])


def test_samples_that_the_verifier_refuses_are_paid_for(generator):
    refused = lambda prompt, seed, place: "refused" if place % 2 else "0.5 #### 1"  # noqa: E731
    generator.text = refused
    with served(scaler_of(generator.url), conversations=False) as server, server.client() as client:
        reply = ask(client, "1+1=")
    drawn = sum(body["n"] for body in generator.bodies)
    assert reply.usage.model_extra["samples"] == drawn > 3
    texts = [refused("", 0, place) for body in generator.bodies for place in range(body["n"])]
    assert reply.usage.completion_tokens == sum(map(tokens_of, texts))


def test_a_stream_says_who_speaks_then_the_text_then_why_it_ends_then_what_it_cost(generator, running):
    generator.text = lambda prompt, seed, place: "0.5 " + "many words\n  and  spaces " * 3
    with running.client() as client:
        whole = ask(client, "1+1=", seed=5)
        chunks = list(ask(client, "1+1=", seed=5, stream=True, stream_options={"include_usage": True}))
        bare = list(ask(client, "1+1=", seed=5, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    assert deltas[0].role == "assistant" and not deltas[0].content
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    assert len([delta for delta in deltas if delta.content]) >= 3
    assert [chunk.choices[0].finish_reason for chunk in chunks[-3:-1]] == [None, "stop"]
    assert chunks[-2].model_extra["optscale"]["stop_reason"] == "budget"
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert all(chunk.usage is None for chunk in bare) and len(bare) == len(chunks) - 1


def test_a_streamed_completion(generator, running):
    with running.client() as client:
        text = client.completions.create(model="written", prompt="1+1=", seed=5).choices[0].text
        chunks = list(client.completions.create(model="written", prompt="1+1=", seed=5, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == text
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_stream_shows_signs_of_life_while_samples_are_drawn(generator):
    body = {"model": "written", "stream": True, "messages": [{"role": "user", "content": "wait 0.4 1+1="}]}
    with (
        served(scaler_of(generator.url), conversations=False, keep_alive=0.05) as server,
        plain() as client,
        client.stream("POST", f"{server.url}/v1/chat/completions", json=body) as reply,
    ):
        assert reply.headers["content-type"] == "text/event-stream"
        lines = list(reply.iter_lines())
    data = [line for line in lines if line.startswith("data: ")]
    assert 3 <= lines.count(": keep-alive") <= 12
    assert '"role": "assistant"' in lines[0] and lines.index(": keep-alive") < lines.index(data[1])
    assert data[-1] == "data: [DONE]"


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
    "timeout": ({"optscale": {"timeout": 31}}, "optscale.timeout"),
    "unknown wish": ({"optscale": {"wish": 1}}, "optscale.wish"),
    "no wishes": ({"optscale": [1]}, "optscale"),
}


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


def test_the_client_raises_its_own_errors(strict):
    with strict.client() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, "1+1=", n=2)
        assert refused.value.param == "n"
        with pytest.raises(openai.NotFoundError) as missing:
            client.chat.completions.create(model="gpt", messages=CHAT["messages"])
        assert missing.value.code == "model_not_found"


def test_a_key_is_asked_for_and_shown_to_nobody(generator, raw_client, caplog):
    with served(scaler_of(generator.url), conversations=False, api_key="se-cret") as server:
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


def test_a_client_may_wish_for_another_policy_within_the_servers_cap(generator):
    generator.text = lambda prompt, seed, place: "0.5 #### 1"
    scaler = scaler_of(generator.url, "best_of_n:max_samples=8")
    with served(scaler, conversations=False) as server, server.client() as client:
        fewer = ask(client, "1+1=", extra_body={"optscale": {"max_samples": 2}})
        ours = ask(client, "1+1=", extra_body={"optscale": {"policy": "optscale", "score_min": 0.4}})
        votes = ask(client, "1+1=", extra_body={"optscale": {"policy": "self_consistency:max_samples=5"}})
    assert fewer.usage.model_extra["samples"] == 2
    assert ours.model_extra["optscale"]["stop_reason"] == "reached" and ours.usage.model_extra["samples"] == 1
    assert "score_min=0.4" in ours.model_extra["optscale"]["policy"]
    assert "max_samples=8" in ours.model_extra["optscale"]["policy"]  # the policy's own default is 32
    assert votes.usage.model_extra["samples"] == 5


@pytest.mark.parametrize("policy", ["shared_budget", "clairvoyant", "oracle"])
def test_a_policy_that_no_server_can_run(policy):
    with pytest.raises(InputError, match=policy):
        require_servable(parse_policy(policy))


def test_two_hundred_at_once(generator, running):
    async def all_of_them():
        async with running.async_client(timeout=60) as client:
            return await asyncio.gather(*(ask(client, f"wait 0.02 {number}+1=", seed=number) for number in range(200)))

    replies = asyncio.run(all_of_them())
    for number, reply in enumerate(replies):
        prompt = f"wait 0.02 {number}+1="
        (body,) = [body for body in generator.bodies if body["prompt"] == prompt]
        texts = [generator.text(prompt, body["seed"], place) for place in range(3)]
        assert reply.choices[0].message.content in texts
        assert reply.usage.completion_tokens == sum(map(tokens_of, texts))
    running.wait_until_idle()
    figures = metrics_of(running)
    assert figures["optscale_requests_total", "answered"] == 200
    assert figures["optscale_samples_total",] == 600 == figures["optscale_stops_total", "budget"] * 3
    assert figures["optscale_tokens_total",] == sum(reply.usage.completion_tokens for reply in replies)
    assert figures["optscale_request_seconds_count",] == 200
    assert figures["optscale_request_seconds_bucket", "+Inf"] == 200


def test_beyond_what_may_wait_clients_are_told_to_come_back(generator):
    async def many(server):
        async with server.async_client() as client:
            asked = (ask(client, f"wait 0.3 {number}", stream=bool(number % 2)) for number in range(6))
            return await asyncio.gather(*asked, return_exceptions=True)

    with served(scaler_of(generator.url), conversations=False, max_in_flight=1, max_waiting=2) as server:
        replies = asyncio.run(many(server))
        busy = [reply for reply in replies if isinstance(reply, openai.RateLimitError)]
        assert len(busy) == 3 == len([reply for reply in replies if not isinstance(reply, Exception)])
        assert all(1 <= int(one.response.headers["Retry-After"]) <= 60 and one.code == "busy" for one in busy)
        server.wait_until_idle()
        assert generator.most == 1
        assert metrics_of(server)["optscale_requests_total", "busy"] == 3


def test_when_time_is_up_the_best_so_far_is_the_answer(generator):
    """The second draw takes longer than there is time for."""
    drawn = []
    generator.wait = lambda prompt: 0.0 if not drawn and not drawn.append(1) else 30.0
    generator.text = lambda prompt, seed, place: "0.5 #### 1"
    with (
        served(scaler_of(generator.url, "optscale:step=one,floor=0"), conversations=False) as server,
        server.client() as client,
    ):
        started = time.monotonic()
        reply = ask(client, "1+1=", extra_body={"optscale": {"timeout": 0.5}})
        assert 0.4 < time.monotonic() - started < 5
    assert reply.model_extra["optscale"]["stop_reason"] == "budget" and reply.usage.model_extra["samples"] == 1
    assert reply.usage.model_extra["cancelled_samples"] == 1
    until(lambda: generator.gone == 1)


def test_without_a_sample_in_time_there_is_no_answer(generator, running):
    wish = {"extra_body": {"optscale": {"timeout": 0.2}}}
    with running.client() as client:
        with pytest.raises(openai.InternalServerError) as late:
            ask(client, "wait 30 1+1=", **wish)
        assert late.value.status_code == 504 and late.value.code == "timeout"
        with pytest.raises(openai.APIError) as streamed:
            list(ask(client, "wait 30 1+1=", stream=True, **wish))
        assert "0.2 s" in streamed.value.message and streamed.value.code == "timeout"
    until(lambda: generator.gone == 2)
    running.wait_until_idle()
    assert metrics_of(running)["optscale_requests_total", "timed_out"] == 2


def test_the_wait_for_ones_turn_counts(generator):
    with served(scaler_of(generator.url), conversations=False, max_in_flight=1) as server:
        sleeper = asyncio.run_coroutine_threadsafe(_sleep_inside(server, 1.0), server.loop)
        until(lambda: server.admission.in_flight == 1)
        with server.client() as client, pytest.raises(openai.InternalServerError) as late:
            ask(client, "1+1=", extra_body={"optscale": {"timeout": 0.2}})
        assert late.value.status_code == 504 and "turn" in late.value.message
        assert server.admission.waiting == 0
        sleeper.result(5)
    assert generator.bodies == []


async def _sleep_inside(server, seconds):
    with server.admission.slot() as slot:
        await slot.granted()
        await asyncio.sleep(seconds)


def leave_by_time_out(server):
    with server.client(timeout=0.3) as client, pytest.raises(openai.APITimeoutError):
        ask(client, "wait 30 1+1=")


def leave_by_cancelling(server):
    async def leave():
        async with server.async_client() as client:
            asked = asyncio.create_task(ask(client, "wait 30 1+1="))
            await asyncio.sleep(0.3)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked

    asyncio.run(leave())


def leave_a_stream(server):
    with server.client() as client, ask(client, "wait 30 1+1=", stream=True) as stream:
        for _ in stream:
            until(lambda: server.application.handler._session._rounds._live == 1)
            time.sleep(0.1)
            break


def leave_with_a_reset(server):
    raw = json.dumps({**CHAT, "messages": [{"role": "user", "content": "wait 30 1+1="}]})
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.request("POST", "/v1/chat/completions", raw, {"Content-Type": "application/json"})
    time.sleep(0.3)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("leave", [leave_by_time_out, leave_by_cancelling, leave_a_stream, leave_with_a_reset])
def test_a_client_that_goes_away_takes_its_draws_with_it(generator, running, leave):
    with running.client() as client:
        ask(client, "1+1=")
    before, drawn = running.tasks(), len(generator.bodies)
    for _ in range(3):
        leave(running)
    until(lambda: generator.gone == 3, 3)  # promptly: the generator would have taken half a minute
    running.wait_until_idle(1)
    assert len(generator.bodies) == drawn + 3 and generator.now == 0
    until(lambda: running.tasks() <= before)
    figures = metrics_of(running)
    assert figures["optscale_requests_total", "left"] == 3
    assert figures["optscale_cancelled_samples_total",] == 9
    assert figures["optscale_requests_in_flight",] == figures["optscale_requests_waiting",] == 0
    session = running.application.handler._session
    assert (session._rounds._live, session.spending._reserved, session._answering) == (0, 0, set())
    with running.client() as client:
        assert ask(client, "1+1=").choices


def test_a_client_that_leaves_the_queue_leaves_its_place(generator):
    with served(scaler_of(generator.url), conversations=False, max_in_flight=1, max_waiting=1) as server:
        sleeper = asyncio.run_coroutine_threadsafe(_sleep_inside(server, 1.5), server.loop)
        until(lambda: server.admission.in_flight == 1)
        for _ in range(3):  # each finds the place that the one before has left
            with server.client(timeout=0.2) as client, pytest.raises(openai.APITimeoutError):
                ask(client, "1+1=")
            until(lambda: server.admission.waiting == 0, 1)
        sleeper.result(5)
        with server.client() as client:
            assert ask(client, "1+1=").choices
    assert len(generator.bodies) == 1


@pytest.mark.parametrize(
    ("status", "answered", "code"),
    [(400, 400, "refused_by_generator"), (500, 502, "bad_gateway"), (401, 502, "bad_gateway")],
)
def test_what_the_generator_says_no_to(generator, status, answered, code):
    generator.reply = lambda prompt: status
    with served(scaler_of(generator.url), conversations=False) as server, server.client() as client:
        with pytest.raises(openai.APIStatusError) as said:
            ask(client, "1+1=")
        assert (said.value.status_code, said.value.code) == (answered, code)
        assert generator.url not in said.value.message  # where the generator is, is nobody's business
        generator.reply = lambda prompt: 200
        assert ask(client, "1+1=").choices
        server.wait_until_idle()


def test_a_verifier_that_refuses_everything_is_not_the_clients_mistake(generator):
    generator.text = lambda prompt, seed, place: "refused"
    with (
        served(scaler_of(generator.url), conversations=False) as server,
        server.client() as client,
        pytest.raises(openai.InternalServerError) as said,
    ):
        ask(client, "1+1=")
    assert (said.value.status_code, said.value.code) == (502, "samples_refused")


class BrokenVerifier(FunctionVerifier):
    """Fails in a way that nobody foresaw."""

    def __init__(self):
        pass

    def score(self, items):
        raise ZeroDivisionError("a secret of the server")


def test_a_mistake_of_ours_is_logged_and_told_to_nobody(generator, caplog):
    scaler = scaler_of(generator.url, verifier=BrokenVerifier())
    with served(scaler, conversations=False) as server, server.client() as client:
        with pytest.raises(openai.InternalServerError) as said:
            ask(client, "1+1=")
        server.wait_until_idle()
    assert said.value.status_code == 500 and "secret" not in said.value.message
    assert "a secret of the server" in caplog.text and "ZeroDivisionError" in caplog.text


def test_a_generator_that_cannot_be_reached():
    generator = WrittenServer()
    with serving(generator.app()) as url:
        scaler = scaler_of(url, max_retries=1000)
    with served(scaler, conversations=False, generator_urls=(f"{url}/v1",)) as server, server.client() as client:
        with pytest.raises(openai.InternalServerError) as said:
            ask(client, "1+1=", extra_body={"optscale": {"timeout": 0.5}})
        assert (said.value.status_code, said.value.code) == (503, "unreachable")
        assert said.value.response.headers["Retry-After"] == "5"


def test_a_whole_conversation_reaches_the_generator_and_the_verifier_reads_its_last_turn():
    """A real model behind a real chat endpoint; what it was asked is on record."""
    world, read = ServedWorld(owner="other", tells=""), []

    def score(question, text):
        read.append(question)
        return 0.5

    with serving(world.app()) as url:
        generator = OpenAIServerGenerator(f"{url}/v1", None, SamplingParams(max_tokens=8))
        verifier = BrokenVerifier()
        verifier.score = lambda items: _scores(items, score)
        scaler = OptScale(generator, verifier, policy=parse_policy("best_of_n:max_samples=1"))
        with served(scaler) as server, server.client() as client:
            messages = [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "1+1="},
                {"role": "assistant", "content": "2", "refusal": None},
                {"role": "user", "content": [{"type": "text", "text": "3+"}, {"type": "text", "text": "4="}]},
            ]
            reply = client.chat.completions.create(model="written", messages=messages)
    assert world.bodies[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1+1="},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "3+4="},
    ]
    assert read == ["3+4="] and reply.usage.prompt_tokens == len("3+4=")


def _scores(items, score):
    from optscale_predictor.backends.verifiers import Scores

    return Scores.of([score(item.question.text, item.text) for item in items])


def test_the_entrance_lets_in_by_order_of_arrival_and_never_one_too_many():
    async def walk():
        admission, order, most = Admission(2, 3), [], 0

        async def stay(number):
            nonlocal most
            with admission.slot() as slot:
                await slot.granted()
                order.append(number)
                most = max(most, admission.in_flight)
                await asyncio.sleep(0.01)

        stays = [asyncio.create_task(stay(number)) for number in range(5)]
        await asyncio.sleep(0)
        assert (admission.in_flight, admission.waiting) == (2, 3)
        with pytest.raises(ApiError), admission.slot():
            pass
        stays[2].cancel()  # while it waits
        await asyncio.sleep(0)
        late = asyncio.create_task(stay(5))
        await asyncio.gather(*stays, late, return_exceptions=True)
        assert order == [0, 1, 3, 4, 5] and most == 2
        assert (admission.in_flight, admission.waiting) == (0, 0)

    asyncio.run(walk())


def test_a_turn_that_comes_while_its_owner_leaves_goes_to_the_next():
    async def walk():
        admission = Admission(1, 2)
        first, second, third = (admission.slot() for _ in range(3))
        for slot in (first, second, third):
            slot.__enter__()
        leaving = asyncio.create_task(second.granted())
        await asyncio.sleep(0)
        first.__exit__()
        leaving.cancel()  # its turn has just come
        with pytest.raises(asyncio.CancelledError):
            await leaving
        second.__exit__()
        await asyncio.wait_for(third.granted(), 1)
        third.__exit__()
        assert (admission.in_flight, admission.waiting) == (0, 0)

    asyncio.run(walk())


@pytest.mark.parametrize("text", ["", " ", "word", "a" * 100, "two words", "\n line\n\n  another   with a tail \n" * 5])
def test_pieces_are_the_text(text):
    pieces = list(split(text))
    assert "".join(pieces) == text and all(pieces)
