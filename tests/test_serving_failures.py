"""What a client is told when the generator, the verifier or the server itself fails."""

import openai
import pytest
from answering import WrittenServer, serving
from served_optscale import ask, scaler_of, served, written_generator

from optscale_predictor.backends.verifiers.model_free import FunctionVerifier


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
