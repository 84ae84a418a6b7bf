"""URLs of servers: a scheme that is missing, and whatever else is no URL, is one line before anything is asked."""

import pytest

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.backends.server_urls import server_urls, shown
from optscale_predictor.backends.verifiers.judge import JudgeVerifier
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError

SCHEME = "must begin with http:// or https://, got '127.0.0.1:8000'; did you mean http://127.0.0.1:8000?"


def test_sound_urls_are_kept():
    listed = ["http://127.0.0.1:8000/v1", "HTTPS://user:word@host.example/v1/", "http://[::1]:80"]
    assert server_urls(f" {'  '.join(listed)} ", "base_url") == listed


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("127.0.0.1:8000", f"base_url {SCHEME}"),
        ("http://a 127.0.0.1:8000", f"base_url {SCHEME}"),
        ("localhost:8000/v1", "did you mean http://localhost:8000/v1?"),
        ("ftp://host/v1", "base_url must begin with http:// or https://, got 'ftp://host/v1'"),
        ("http:/host", "base_url must begin with http:// or https://, got 'http:/host'"),
        ("http://", "base_url: 'http://' is not a URL of a server"),
        ("http://:8000/v1", "is not a URL of a server"),
        ("http://host:many/v1", "is not a URL of a server"),
        ("http://host:70000", "is not a URL of a server"),
        ("http://[::1/v1", "is not a URL of a server"),
        ("\udcff", r"base_url must begin with http:// or https://, got '\udcff'"),
        ("  ", "base_url is empty"),
    ],
)
def test_anything_else_is_one_line(url, says):
    with pytest.raises(InputError) as raised:
        server_urls(url, "base_url")
    assert says in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("url", ["user:word@host:8000", "ftp://user:word@host", "http://user:word@host:x"])
def test_no_error_shows_a_password(url):
    with pytest.raises(InputError) as raised:
        server_urls(url, "base_url")
    assert "word" not in str(raised.value) and "host" in str(raised.value)
    assert shown(url).endswith(url.partition("@")[2])


@pytest.mark.parametrize(
    ("flags", "flag"),
    [
        (["generate", "pool", "--questions", "embedded:test:1", "--base_url", "127.0.0.1:8000"], "base_url"),
        (["answer", "1+1=", "--base_url", "127.0.0.1:8000"], "base_url"),
        (["serve", "--port", "0", "--base_url", "127.0.0.1:8000"], "base_url"),
        (["score", "pool", "--verifier", "judge:m", "--verifier_url", "127.0.0.1:8000"], "verifier_url"),
        (["eval", "--tasks", "optscale_arithmetic", "--model_args", "base_url=127.0.0.1:8000"], "base_url"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_every_command_names_its_flag(flags, flag, capsys):
    with pytest.raises(SystemExit) as ended:
        main(flags)
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and f"{flag} {SCHEME}" in said[-1]
    assert not any("Traceback" in line for line in said)


def test_the_library_names_its_argument():
    for make in (
        lambda: GeneratorOptions(base_url="127.0.0.1:8000"),
        lambda: OpenAIServerGenerator("127.0.0.1:8000", None, SamplingParams()),
        lambda: JudgeVerifier("m", "127.0.0.1:8000"),
    ):
        with pytest.raises(InputError, match="base_url must begin with http://"):
            make()


def test_a_combination_names_its_parts_before_their_urls():
    assert VerifierOptions("combined:folder", "score_a=http://127.0.0.1:8000").url
