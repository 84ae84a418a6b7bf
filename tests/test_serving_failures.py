"""What a client is told when the generator, the verifier or the server itself fails."""

import json
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from answering import WrittenServer, serving
from served_optscale import ask, metrics_of, plain, scaler_of, served, written_generator
from vendor_server import VendorServer, connected, counted, reply

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.backends.verifiers.model_free import FunctionVerifier
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import BestOfN, parse_policy


@pytest.fixture
def generator():
    with written_generator() as server:
        yield server


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


def test_every_token_of_the_generator_is_in_usage_and_metrics_whether_its_reply_could_be_used_or_not():
    """Samples of one reply whose tokens it does not tell apart are drawn again, one by one; their tokens are spent."""

    def answer(body):
        if "refused" in body["messages"][-1]["content"] and body["n"] == 1:
            return 400, {"error": {"message": "no"}}
        return reply("12", counted(20 * body["n"]), count=body["n"])

    engine = VendorServer(answer)
    with connected(engine, max_tokens=50) as generator:
        scaler = OptScale(generator, None, policy=parse_policy("self_consistency:max_samples=3"))
        with served(scaler, conversations=False) as server, server.client() as client:
            with pytest.raises(openai.BadRequestError):
                ask(client, "refused")
            server.wait_until_idle()
            assert metrics_of(server)["optscale_tokens_total",] == 60  # though nobody was told
            assert ask(client, "7+5=").usage.completion_tokens == 60 + 3 * 20
            assert metrics_of(server)["optscale_tokens_total",] == 60 + 120
    assert [body["n"] for body in engine.bodies][-4:] == [3, 1, 1, 1]


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


def always_raises(question, text):
    raise KeyError("no such key")


def too_few(questions, texts):
    return [0.5] * (len(texts) - 1)


def beyond_one(question, text):
    return 7.0


@pytest.mark.parametrize(
    ("function", "code", "reason"),
    [
        ("always_raises", "verifier_failed", "KeyError: 'no such key'"),
        ("too_few", "verifier_failed", "returned 0 scores for 1 samples"),
        ("beyond_one", "samples_refused", "7"),
    ],
)
def test_a_users_verifier_that_fails_is_told_with_its_reason(generator, caplog, function, code, reason):
    scaler = scaler_of(generator.url, "best_of_n:max_samples=1", verifier=FunctionVerifier(f"{__name__}:{function}"))
    with served(scaler, conversations=False) as server, server.client() as client:
        with pytest.raises(openai.InternalServerError) as said:
            ask(client, "1+1=")
        server.wait_until_idle()
        assert metrics_of(server)["optscale_requests_total", "unavailable"] == 1
    assert (said.value.status_code, said.value.code) == (502, code) and reason in said.value.message
    assert reason in caplog.text and "Traceback" not in caplog.text


def test_a_generator_that_cannot_be_reached():
    generator = WrittenServer()
    with serving(generator.app()) as url:
        scaler = scaler_of(url, max_retries=1000)
    with served(scaler, conversations=False, generator_urls=(f"{url}/v1",)) as server, server.client() as client:
        with pytest.raises(openai.InternalServerError) as said:
            ask(client, "1+1=", extra_body={"optscale": {"timeout": 0.5}})
        assert (said.value.status_code, said.value.code) == (503, "unreachable")
        assert said.value.response.headers["Retry-After"] == "5"


class Divides(Verifier):
    """Raises where it sees the question ``7+5=``."""

    def score(self, items):
        return Scores.of([1 / (item.question.text != "7+5=") / 2 for item in items])

    def describe(self):
        return {"adapter": "divides"}


def test_twenty_clients_are_answered_whatever_one_sends():
    """The values of the request that once failed a whole round, and a verifier that stumbles over one question."""
    from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator

    model = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=4), device="cpu")
    scaler = OptScale(model, Divides(), policy=BestOfN(2))
    strange = [{"top_p": 1e-300}, {"temperature": 1e-300}, {"temperature": 1e300}, {"text": "7+5="}]
    asked = [{"text": f"{number}+1="} for number in range(10, 30)] + strange

    def reply_to(url, given):
        body = {"model": "embedded", "messages": [{"role": "user", "content": given.get("text", "1+1=")}], **given}
        body.pop("text", None)
        with plain() as client:
            headers = {"Content-Type": "application/json"}
            return client.post(f"{url}/v1/chat/completions", content=json.dumps(body), headers=headers)

    with (
        served(scaler, name="embedded", conversations=False, timeout=600.0) as server,
        ThreadPoolExecutor(len(asked)) as threads,
    ):
        replies = list(threads.map(lambda given: reply_to(server.url, given), asked))
    assert [reply.status_code for reply in replies] == [200] * 20 + [400, 400, 400, 500]
    assert [reply.json()["error"]["param"] for reply in replies[20:]] == ["top_p", "temperature", "temperature", None]
