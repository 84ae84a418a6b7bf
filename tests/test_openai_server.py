"""The server generator: against faults in the fast tier, against a real vLLM in the full one.

The full tier starts vLLM with the interpreter that ``OPTSCALE_VLLM_PYTHON`` names; without it the test fails.
"""

import os
import socket
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from optscale_predictor.errors import ServiceError
from optscale_predictor.generators import Request, SamplingParams
from optscale_predictor.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.models import resolve_model
from optscale_predictor.world.tokenizer import make_tokenizer

REQUESTS = [Request(str(index), prompt, 6) for index, prompt in enumerate(["7+5=", "23+4+58=", "91+8+64+13+77="])]


@pytest.fixture
def faulty():
    """A server that answers every request with what the test puts in ``reply``: (status, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = self.server.reply
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def connect(server, **options):
    return OpenAIServerGenerator(f"http://127.0.0.1:{server.server_port}/v1", None, SamplingParams(), **options)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((500, b"{}"), "the server answered 500"),
        ((401, b'{"error": "no"}'), r"refuses the key \(401\)"),
        ((200, b"<html>hello</html>"), "is this an OpenAI-compatible server"),
        ((200, b'{"data": []}'), "serves no model None; it serves: none"),
    ],
)
def test_faults_are_one_line(faulty, reply, says, monkeypatch):
    monkeypatch.setenv("OPTSCALE_API_KEY", "a-secret-key")
    faulty.reply = reply
    with pytest.raises(ServiceError, match=says) as raised:
        connect(faulty)
    assert "\n" not in str(raised.value) and "a-secret-key" not in str(raised.value)


def test_a_closed_port_is_one_line():
    with pytest.raises(ServiceError, match="cannot connect; is the server up"):
        OpenAIServerGenerator("http://127.0.0.1:9/v1", None, SamplingParams())


@pytest.fixture(scope="module")
def vllm(tmp_path_factory):
    """A real vLLM that serves the embedded generator."""
    python = os.environ.get("OPTSCALE_VLLM_PYTHON")
    if not python:
        pytest.fail("the full tier needs vLLM: set OPTSCALE_VLLM_PYTHON to an interpreter that has it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", resolve_model("embedded:generator")]
    command += ["--dtype", "float32", "--enforce-eager", "--max-model-len", "512", "--port", str(port)]
    # The CPU build fails where it splits a seeded prompt over two steps: room for whole prompts.
    command += ["--max-num-batched-tokens", "32768"]
    log = tmp_path_factory.mktemp("vllm") / "log"
    with open(log, "w") as file:
        server = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}, cwd=log.parent
        )
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and server.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except OSError:
                time.sleep(1)
        else:
            pytest.fail(f"vLLM did not start:\n{log.read_text()[-2000:]}")
        yield f"http://127.0.0.1:{port}/v1"
        server.terminate()
        server.wait(60)


@pytest.mark.full
def test_real_server_samples_are_complete_counted_and_repeatable(vllm):
    tokenizer = make_tokenizer()
    generator = OpenAIServerGenerator(vllm, None, SamplingParams(max_tokens=160))
    first = {request.question_id: samples for request, samples in generator.generate(REQUESTS)}
    again = {request.question_id: samples for request, samples in generator.generate(REQUESTS)}
    assert first == again and first.keys() == {"0", "1", "2"}
    for samples in first.values():
        assert len(samples) == 6
        for sample in samples:
            assert sample.num_tokens == len(tokenizer(sample.text)["input_ids"]) + (sample.finish_reason == "stop")
    assert len({sample.text for sample in first["2"]}) > 1


@pytest.mark.full
def test_real_server_refusals_are_one_line(vllm):
    with pytest.raises(ServiceError, match="serves no model 'other'"):
        OpenAIServerGenerator(vllm, "other", SamplingParams())
    generator = OpenAIServerGenerator(vllm, None, SamplingParams())
    with pytest.raises(ServiceError, match="the server answered 400"):
        list(generator.generate([Request("long", "1+" * 400, 1)]))
