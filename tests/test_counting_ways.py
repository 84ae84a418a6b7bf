"""How a server tells its samples' tokens is found out by one request, however many are under way."""

import asyncio
import itertools

import pytest
from answering import WrittenServer
from served_world import serving
from vendor_server import VendorServer, counted, message

from optscale_predictor.backends import http_client
from optscale_predictor.backends.generators import Request, SamplingParams, ServerOptions
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator

QUESTIONS, SAMPLES, TOKENS = 12, 4, 5


@pytest.fixture(autouse=True)
def as_long_as_it_takes(monkeypatch):
    """The first reply is waited for however slow the machine is."""
    monkeypatch.setattr(http_client, "LONGEST_FINDING_OUT", 600.0)


LISTED = {"logprobs": {"content": [{"token": "12", "logprob": 0.0}] * TOKENS}}


def tells_nothing(body):
    return {"choices": [message(f"about {one}") for one in range(body["n"])], "usage": counted(TOKENS * body["n"])}


def tells_logprobs(body):
    told = LISTED if body.get("logprobs") else {}
    return {**tells_nothing(body), "choices": [message(f"about {one}") | told for one in range(body["n"])]}


def refuses_logprobs(body):
    if "logprobs" in body:
        return 400, {"error": {"message": "logprobs is not supported"}}
    return tells_nothing(body)


def asked(answer, owner="vendor", session=False):
    """The ``n`` of every request, in order, the samples, and the generator."""
    requests = [Request(str(number), "7+5=", SAMPLES) for number in range(QUESTIONS)]
    server = VendorServer(answer, owner)

    async def by_session(generator):
        async with generator.session() as drawing:
            return await asyncio.gather(*(drawing.draw(request, generator.sampling) for request in requests))

    with serving(server.app()) as url:
        options = ServerOptions(max_retries=0)
        generator = OpenAIServerGenerator(f"{url}/v1", None, SamplingParams(), True, QUESTIONS, options)
        drawn = asyncio.run(by_session(generator)) if session else [one for _, one in generator.generate(requests)]
    return [body["n"] for body in server.bodies], [sample for samples in drawn for sample in samples], generator


@pytest.mark.parametrize("session", [False, True])
@pytest.mark.parametrize("answer", [tells_nothing, refuses_logprobs])
def test_a_server_that_tells_of_no_sample_is_asked_for_several_once(answer, session):
    counts, samples, generator = asked(answer, session=session)
    assert sorted(counts) == [1] * QUESTIONS * SAMPLES + [SAMPLES]
    assert [sample.num_tokens for sample in samples] == [TOKENS] * QUESTIONS * SAMPLES
    # A refusal is free; the reply of the one request that found it out was paid for.
    assert generator.usage.discarded_tokens == (SAMPLES * TOKENS if answer is tells_nothing else 0)


def test_a_server_that_tells_has_one_request_for_each_question():
    counts, samples, generator = asked(tells_logprobs)
    assert counts == [SAMPLES] * QUESTIONS and generator.usage.discarded_tokens == 0
    assert [sample.num_tokens for sample in samples] == [TOKENS] * QUESTIONS * SAMPLES


def test_where_the_first_question_is_refused_another_one_finds_it_out():
    def answer(body):
        if body["messages"][0]["content"] == "question 0":
            return 422, {"error": {"message": "the prompt is too long"}}
        return tells_nothing(body)

    server = VendorServer(answer)
    requests = [Request(str(number), f"question {number}", SAMPLES) for number in range(QUESTIONS)]
    with serving(server.app()) as url:
        generator = OpenAIServerGenerator(f"{url}/v1", None, SamplingParams(), True, QUESTIONS, ServerOptions())
        with pytest.raises(ValueError, match="1 of 12 requests were refused"):
            list(generator.generate(requests))
    several = [body for body in server.bodies if body["n"] > 1 and body["messages"][0]["content"] != "question 0"]
    assert len(several) == 1


def test_a_first_reply_that_does_not_come_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(http_client, "LONGEST_FINDING_OUT", 0.05)
    server, looks = WrittenServer(owner="vendor"), itertools.count()
    # The first is answered when the last is under way, or when it is clear that it will not be.
    server.holds = lambda prompt: server.most < QUESTIONS and next(looks) < 2000
    requests = [Request(str(number), f"{number}", SAMPLES) for number in range(QUESTIONS)]
    with serving(server.app()) as url:
        generator = OpenAIServerGenerator(f"{url}/v1", None, SamplingParams(), False, QUESTIONS, ServerOptions())
        assert len(list(generator.generate(requests))) == QUESTIONS
    assert next(looks) < 2000
