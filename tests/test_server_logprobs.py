"""Log-probabilities of servers, in each form that is in use; a server that tells none says so with its first reply."""

import math

import pytest
from vendor_server import VendorServer, connected, counted, draw, reply

from optscale_predictor.backends.generators import Request
from optscale_predictor.backends.verifiers.logprobs import LogprobVerifier
from optscale_predictor.errors import InputError, ServiceError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools.preparation import generate_pool
from optscale_predictor.questions.question import Question

TOLD = [-0.25, -1.5, -0.5, 0.0]
CHAT = {"content": [{"token": "x", "logprob": one, "top_logprobs": []} for one in TOLD]}
COMPLETION = {"tokens": ["x"] * 4, "token_logprobs": TOLD, "top_logprobs": [{}] * 4, "text_offset": [0] * 4}


def completion(text, logprobs, count=1, **more):
    choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": logprobs, **more}
    return {"choices": [choice] * count, "usage": counted(4 * count)}


def of_chat(body):
    whole = reply("<think>7 and 5</think>12", counted(4 * body["n"]), count=body["n"])
    return {**whole, "choices": [{**choice, "logprobs": CHAT} for choice in whole["choices"]]}


def of_completions(body):
    return completion("12", COMPLETION, body["n"])


def of_llama_cpp(body):
    """As its ``/v1/completions`` does: in a chat's form, one choice, and none where no alternatives are asked for."""
    return completion("12", CHAT if body.get("logprobs") else None)


@pytest.mark.parametrize(
    ("answer", "chat", "asked"),
    [
        (of_chat, True, {"logprobs": True, "top_logprobs": 1}),
        (of_completions, False, {"logprobs": 1}),
        (of_llama_cpp, False, {"logprobs": 1}),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("thinking", ["keep", "strip"])
def test_every_form_is_read_over_all_tokens(answer, chat, asked, count, thinking):
    samples, server, _ = draw(answer, count=count, chat=chat, logprobs=True, thinking=thinking)
    assert [sample.logprobs.mean for sample in samples] == [pytest.approx(sum(TOLD) / 4)] * count
    assert all(sample.logprobs.self_certainty is None for sample in samples)
    assert all(sample.text.endswith("12") and sample.num_tokens == 4 for sample in samples)
    assert all(asked.items() <= body.items() for body in server.bodies)


def test_vllms_token_ids_and_log_probabilities_come_in_one_reply():
    server = VendorServer(lambda body: completion("12", COMPLETION, body["n"], token_ids=[0] * 4), "vllm")
    with connected(server, False, logprobs=True) as generator:
        ((_, samples),) = generator.generate([Request("q", "7+5=", 3)])
    assert [sample.num_tokens for sample in samples] == [4] * 3 and samples[2].logprobs.lowest[0] == -0.5625
    (body,) = server.bodies
    assert body["return_token_ids"] and body["logprobs"] == 1 and body["n"] == 3


@pytest.mark.parametrize("logprobs", [None, {}, {"content": []}, {"token_logprobs": None, "content": None}])
@pytest.mark.parametrize("count", [1, 2])
def test_a_server_that_ignores_the_wish_is_told_with_its_first_reply(logprobs, count):
    server = VendorServer(lambda body: completion("12", logprobs, body["n"]))
    with connected(server, False, logprobs=True) as generator, pytest.raises(ServiceError) as raised:
        list(generator.generate([Request("q", "7+5=", count)]))
    assert "the server returns no log-probabilities, which it was asked for" in str(raised.value)
    assert "\n" not in str(raised.value) and len(server.bodies) == 1


def test_a_server_that_refuses_the_wish_is_asked_once_and_not_without_it():
    server = VendorServer(lambda body: (400, {"error": {"message": "logprobs is not supported"}}))
    with (
        connected(server, False, logprobs=True) as generator,
        pytest.raises(ServiceError, match="is not supported; samples"),
    ):
        list(generator.generate([Request("q", "7+5=", 2)]))
    assert len(server.bodies) == 1


def test_numbers_that_are_none_are_asked_for_again_and_an_empty_sample_has_none():
    replies = iter([{"token_logprobs": [None, -1.0]}, {"token_logprobs": [-(10**400)]}, COMPLETION])
    samples, server, _ = draw(lambda _: completion("12", next(replies)), chat=False, logprobs=True)
    assert len(server.bodies) == 3 and samples[0].logprobs.mean == pytest.approx(-0.5625)
    samples, _, _ = draw(lambda _: completion("", {"token_logprobs": []}), chat=False, logprobs=True)
    assert samples[0].logprobs is None and samples[0].text == ""


def test_answers_are_scored_by_them_live_and_self_certainty_is_refused_before_anything_is_asked(tmp_path):
    server = VendorServer(of_completions)
    policy = parse_policy("best_of_n:max_samples=2")
    with connected(server, False) as generator:
        scaler = OptScale(generator, LogprobVerifier("logprobs:mean"), policy=policy)
        (answer,) = scaler.answer([Question("q", "7+5=")])
        assert list(answer.scores) == [pytest.approx(math.exp(-0.5625))] * 2
        asked = len(server.bodies)
        with pytest.raises(InputError, match="self-certainty needs each token's whole distribution"):
            OptScale(generator, LogprobVerifier("logprobs:self_certainty"), policy=policy)
        assert len(server.bodies) == asked
        generate_pool(tmp_path / "pool", [Question("q", "7+5=")], scaler.generator, 2, progress=False)
