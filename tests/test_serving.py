"""``optscale serve`` as the official client sees it: answers, their cost, streams, policies and conversations."""

import asyncio
import time

import openai
import pytest
from answering import connect, serving, tokens_of
from fitted_policies import folder_of
from served_optscale import ask, metrics_of, plain, scaler_of, served, written_generator
from served_world import ServedWorld
from stopped_clock import HUNG

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.questions.question import Question
from optscale_predictor.serving.replies import split


@pytest.fixture
def generator():
    with written_generator() as server:
        yield server


@pytest.fixture
def running(generator):
    """``optscale serve`` in front of it."""
    with served(scaler_of(generator.url), conversations=False) as server:
        yield server


def test_the_official_client_gets_the_chosen_sample_and_what_it_cost(generator, running):
    began = int(time.time())
    with running.client() as client:
        reply = ask(client, "1+1=", seed=7)
    assert began <= reply.created <= time.time()
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
    assert reply.model == "written" and reply.id.startswith("chatcmpl-")


def test_the_account_says_how_probable_the_answer_is_where_the_selection_knows(generator, running):
    selection = f"confidence:{folder_of()}"
    with running.client() as client:
        assert ask(client, "1+1=", seed=7).model_extra["optscale"]["confidence"] is None
    knowing = served(scaler_of(generator.url, selection=selection), conversations=False)
    with knowing as server, server.client() as client:
        told = ask(client, "1+1=", seed=7).model_extra["optscale"]["confidence"]
    (alone,) = scaler_of(generator.url, selection=selection).answer([Question("seed 7", "1+1=")])
    assert 0 < told < 1 and told == alone.confidence


def test_clients_do_not_learn_where_a_fitted_policy_lies(generator):
    folder = folder_of()
    fitted = served(scaler_of(generator.url, f"fitted:path={folder},price=0.1"), conversations=False)
    with fitted as server, server.client() as client:
        for asked in ({}, {"max_samples": 4}):
            reply = ask(client, "1+1=", seed=7, extra_body={"optscale": asked})
            assert folder not in reply.to_json() and "price=0.1" in reply.model_extra["optscale"]["policy"]
            assert reply.model_extra["optscale"]["confidence"] is not None


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


def test_all_samples_of_a_completion_are_texts_with_their_scores(generator, running):
    with running.client() as client:
        asking = {"model": "written", "prompt": "2+2=", "seed": 3}
        reply = client.completions.create(**asking, extra_body={"optscale": {"include_samples": True}})
    told = reply.model_extra["optscale"]["samples"]
    texts = [generator.text("2+2=", generator.bodies[0]["seed"], place) for place in range(3)]
    assert [one["text"] for one in told] == texts and [one["index"] for one in told] == [0, 1, 2]
    assert [one["score"] for one in told] == [float(text.split()[0]) for text in texts]
    assert [one["text"] for one in told if one["chosen"]] == [reply.choices[0].text]
    assert sum(one["tokens"] for one in told) == reply.usage.completion_tokens


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
        reply = ask(client, "1+1=", extra_body={"optscale": {"include_samples": True}})
    drawn = sum(body["n"] for body in generator.bodies)
    assert reply.usage.model_extra["samples"] == drawn > 3
    assert reply.usage.model_extra["refused_samples"] == drawn - 3
    told = reply.model_extra["optscale"]["samples"]  # all that was paid for
    assert [one["score"] for one in told] == [0.5] * 3 + [None] * (drawn - 3)
    assert [one.get("refused") for one in told] == [None] * 3 + ["it says so"] * (drawn - 3)
    assert [one["index"] for one in told] == list(range(drawn)) and sum(one["chosen"] for one in told[:3]) == 1
    assert sum(one["tokens"] for one in told) == reply.usage.completion_tokens
    texts = [refused("", 0, place) for body in generator.bodies for place in range(body["n"])]
    assert reply.usage.completion_tokens == sum(map(tokens_of, texts))


def test_without_a_verifier_there_are_no_scores(generator):
    scaler = OptScale(connect(generator.url), None, policy=parse_policy("self_consistency:max_samples=3"))
    with served(scaler, conversations=False) as server, server.client() as client:
        account = ask(client, "1+1=", extra_body={"optscale": {"include_samples": True}}).model_extra["optscale"]
    assert account["score"] is None and [one["score"] for one in account["samples"]] == [None] * 3
    assert "refused" not in account["samples"][0]


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
    assert ": keep-alive" in lines
    assert '"role": "assistant"' in lines[0] and lines.index(": keep-alive") < lines.index(data[1])
    assert data[-1] == "data: [DONE]"


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


def test_two_hundred_at_once(generator, running):
    async def all_of_them():
        async with running.async_client(timeout=HUNG) as client:
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


class Reader(Verifier):
    """Notes the questions that it is asked about."""

    def __init__(self):
        self.read = []

    def score(self, items):
        self.read += [item.question.text for item in items]
        return Scores.of([0.5] * len(items))

    def describe(self):
        return {"adapter": "reader"}


def test_a_whole_conversation_reaches_the_generator_and_the_verifier_reads_its_last_turn():
    """A real model behind a real chat endpoint; what it was asked is on record."""
    world, verifier = ServedWorld(owner="other", tells=""), Reader()
    with serving(world.app()) as url:
        generator = OpenAIServerGenerator(f"{url}/v1", None, SamplingParams(max_tokens=8))
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
    assert verifier.read == ["3+4="] and reply.usage.prompt_tokens == len("3+4=")


@pytest.mark.parametrize("text", ["", " ", "word", "a" * 100, "two words", "\n line\n\n  another   with a tail \n" * 5])
def test_pieces_are_the_text(text):
    pieces = list(split(text))
    assert "".join(pieces) == text and all(pieces)
