"""The server generator: against faults in the fast tier, against a real vLLM in the full one.

The full tier starts vLLM with the interpreter that ``OPTSCALE_VLLM_PYTHON`` names; without it the test fails.
"""

import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from aiohttp import web
from answering import WrittenServer
from faulty_proxy import FaultyProxy
from served_world import ServedWorld, serving
from vllm_server import serving_vllm

from optscale_predictor.backends.generators import Request, SamplingParams, ServerOptions
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError
from optscale_predictor.pools.preparation import generate_pool
from optscale_predictor.questions.arithmetic import make_questions

EACH = 4  # samples of a request
REQUESTS = [Request(str(index), prompt, EACH) for index, prompt in enumerate(["91+8+64+13+77=", "23+4+58=", "7+5="])]


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
        ((200, b'{"data": []}'), "must be named; it serves: none"),
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


def drawn(url, requests, max_tokens=40, **options):
    """The shortest of the sums end by themselves within the limit, the longest do not."""
    generator = OpenAIServerGenerator(url + "/v1", None, SamplingParams(max_tokens=max_tokens), **options)
    return generator, {request: samples for request, samples in generator.generate(requests)}


def require_exact_counts(samples):
    """Every sample's tokens are those of its text (and its end)."""
    tokenizer = make_tokenizer()
    for sample in samples:
        assert sample.num_tokens == len(tokenizer(sample.text)["input_ids"]) + (sample.finish_reason == "stop")


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize(
    ("server", "asked"),
    [
        ({"tells": "token_ids"}, 3),
        ({"owner": "other", "tells": "logprobs"}, 3),
        ({"owner": "other", "tells": "nothing"}, 1 + 3 * EACH),
        ({"owner": "other", "refuses_logprobs": True}, 1 + 3 * EACH),
        ({"owner": "other", "knows_n": False}, 1 + 3 * EACH),
    ],
)
def test_tokens_are_counted_whatever_the_server_tells(server, asked, chat):
    world = ServedWorld(**server)
    with serving(world.app()) as url:
        generator, found = drawn(url, REQUESTS, chat=chat, concurrency=1)
    assert set(found) == set(REQUESTS)
    for samples in found.values():
        assert len(samples) == EACH
        require_exact_counts(samples)
    assert {sample.finish_reason for samples in found.values() for sample in samples} == {"stop", "length"}
    # One finds out what the server tells; and where all samples of a reply are equal, one more shows that they may be.
    assert asked <= len(world.bodies) <= asked + 1 + len(REQUESTS)
    spent = sum(sample.num_tokens for samples in found.values() for sample in samples)
    assert spent + generator.usage.discarded_tokens == world.tokens


def test_a_greedy_sample_is_drawn_once_and_stands_for_all():
    world = ServedWorld()
    with serving(world.app()) as url:
        generator = OpenAIServerGenerator(url + "/v1", None, SamplingParams(0.0, max_tokens=40))
        found = dict(generator.generate(REQUESTS))
    assert len(world.bodies) == len(REQUESTS)
    for samples in found.values():
        assert len(samples) == EACH and len({sample.text for sample in samples}) == 1
        require_exact_counts(samples[:1])
        assert [sample.num_tokens for sample in samples[1:]] == [0] * (EACH - 1)
    spent = sum(sample.num_tokens for samples in found.values() for sample in samples)
    assert spent == world.tokens


def test_as_many_requests_at_once_as_asked_for_and_no_more():
    server = WrittenServer(owner="llamacpp")  # which is asked for one sample at a time
    server.holds = lambda prompt: server.most < 4
    with serving(server.app()) as url:
        drawn(url, REQUESTS, concurrency=4)
    assert server.most == 4 and len(server.bodies) == 3 * EACH


def test_several_servers_share_the_work_and_a_dead_one_costs_nothing_but_time():
    worlds = [ServedWorld(), ServedWorld()]
    requests = [Request(str(index), "7+5=", 2) for index in range(16)]
    with serving(worlds[0].app()) as one, serving(worlds[1].app()) as two:
        generator = OpenAIServerGenerator(f"{one}/v1 {two}/v1", None, SamplingParams(max_tokens=8), concurrency=4)
        assert {request for request, _ in generator.generate(requests)} == set(requests)
        # Of the first four, two go to each; then whoever is faster gets more.
        assert min(len(world.bodies) for world in worlds) >= 2
        assert sum(len(world.bodies) for world in worlds) == len(requests)
        generator = OpenAIServerGenerator(f"{one}/v1 {two}/v1", None, SamplingParams(max_tokens=8), concurrency=4)
    with serving(worlds[0].app()) as one:
        generator._urls = [f"{one}/v1", "http://127.0.0.1:9/v1"]  # the other one died
        assert {request for request, _ in generator.generate(requests)} == set(requests)
    assert generator.usage.retries > 0


def test_faults_on_the_way_lose_nothing_and_double_nothing():
    world = ServedWorld()
    requests = [Request(str(index), f"{index}+7=", 4, first) for index in range(10, 40) for first in (0, 4)]
    with serving(world.app()) as url:
        proxy = FaultyProxy(url, share=0.3, delay=0.05)
        with serving(proxy.app()) as through:
            generator, found = drawn(through, requests, 8, concurrency=16)
    assert set(found) == set(requests)
    assert sum(map(len, found.values())) == 240
    for samples in found.values():
        require_exact_counts(samples)
    spoilt = sum(count for fault, count in proxy.faults.items() if fault not in ("none", "delay"))
    assert generator.usage.retries == spoilt > 0


def test_what_the_server_refuses_for_good_does_not_stop_the_others():
    world = ServedWorld()
    requests = [*REQUESTS, Request("long", "1+" * 400, 1)]
    found = []
    with serving(world.app()) as url:
        generator = OpenAIServerGenerator(url + "/v1", None, SamplingParams(max_tokens=40))
        with pytest.raises(RequestRefusedError, match=r"1 of 4 requests were refused; question 'long'.*400.*context"):
            for request, _ in generator.generate(requests):
                found.append(request)
    assert set(found) == set(REQUESTS)


def test_leaving_cancels_what_is_under_way():
    world = ServedWorld()
    with serving(world.app()) as url:
        generator = OpenAIServerGenerator(url + "/v1", None, SamplingParams(max_tokens=8), concurrency=8)
        results = generator.generate([Request(str(index), "7+5=", 2) for index in range(100)])
        next(results)
        results.close()
    assert len(world.bodies) < 100


def test_no_key_or_password_in_an_error(monkeypatch):
    monkeypatch.setenv("OPTSCALE_API_KEY", "a-secret-key")

    async def refuse(request):
        return web.json_response({"error": {"message": f"bad key {request.headers['Authorization']}"}}, status=422)

    app = web.Application()
    app.router.add_get("/v1/models", refuse)
    with serving(app) as url:
        for place in (url, url.replace("//", "//user:a-password@")):
            with pytest.raises(ServiceError, match=r"the server answered 422: bad key") as raised:
                OpenAIServerGenerator(place + "/v1", None, SamplingParams())
            assert not any(secret in str(raised.value) for secret in ("a-secret-key", "a-password"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"concurrency": 0}, "concurrency must be >= 1, got 0"),
        ({"options": {"timeout": 0}}, "timeout must be > 0"),
        ({"options": {"max_retries": -1}}, "max_retries must be >= 0"),
        ({"options": {"extra_body": {"seed": 1}}}, "extra_body may not set 'seed'"),
    ],
)
def test_options_out_of_range_are_named(options, says):
    with pytest.raises(InputError, match=says):
        if "options" in options:
            options = {"options": ServerOptions(**options["options"])}
        OpenAIServerGenerator("http://127.0.0.1:9/v1", None, SamplingParams(), **options)


def test_further_fields_reach_the_server():
    world = ServedWorld()
    with serving(world.app()) as url:
        generator, _ = drawn(url, REQUESTS[:1], options=ServerOptions(extra_body={"top_k": 20}))
    assert world.bodies[0]["top_k"] == 20 and generator.describe()["extra_body"] == {"top_k": 20}


@pytest.fixture(scope="module")
def vllm(tmp_path_factory):
    """A real vLLM that serves the embedded generator."""
    with serving_vllm(tmp_path_factory.mktemp("vllm"), resolve_model("embedded:generator")) as url:
        yield f"{url}/v1"


@pytest.mark.full
def test_real_server_samples_are_complete_counted_and_repeatable(vllm):
    tokenizer = make_tokenizer()
    generator = OpenAIServerGenerator(vllm, None, SamplingParams(max_tokens=160))
    first = {request.question_id: samples for request, samples in generator.generate(REQUESTS)}
    again = {request.question_id: samples for request, samples in generator.generate(REQUESTS)}
    assert first == again and first.keys() == {"0", "1", "2"}
    for samples in first.values():
        assert len(samples) == EACH
        for sample in samples:
            assert sample.num_tokens == len(tokenizer(sample.text)["input_ids"]) + (sample.finish_reason == "stop")
    assert len({sample.text for sample in first["0"]}) > 1  # five summands: hardly one sample is as another


@pytest.mark.full
def test_ten_thousand_samples_through_a_faulty_network(vllm, tmp_path):
    questions = make_questions(313, 0, "train")
    proxy = FaultyProxy(vllm.removesuffix("/v1"), share=0.2)
    before = generated_tokens(vllm)
    with serving(proxy.app()) as through:
        generator = OpenAIServerGenerator(f"{through}/v1", None, SamplingParams(max_tokens=160))
        pool = generate_pool(tmp_path / "pool", questions, generator, 32, progress=False)
    rows = pool.read()
    keys = zip(rows["question_id"].to_pylist(), rows["sample_index"].to_pylist(), strict=True)
    assert list(keys) == [(question.id, index) for question in questions for index in range(32)]
    # Text leaves out special tokens that the model happens to write in its middle, which were generated all the same.
    tokenizer = make_tokenizer()
    hidden = [hidden_tokens(row, tokenizer) for row in rows.to_pylist()]
    assert min(hidden) == 0 and np.mean(np.array(hidden) > 0) < 0.01
    spoilt = sum(proxy.faults.values()) - proxy.faults["none"]
    assert 0.15 < spoilt / sum(proxy.faults.values()) < 0.25
    ours = sum(rows["num_tokens"].to_pylist())
    assert ours + proxy.lost_tokens == generated_tokens(vllm) - before


def hidden_tokens(row, tokenizer):
    """How many more tokens a row counts than its text and its end have."""
    return row["num_tokens"] - len(tokenizer(row["text"])["input_ids"]) - (row["finish_reason"] == "stop")


def generated_tokens(url):
    """The server's own count."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/metrics") as reply:
        lines = reply.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:generation_tokens_total{"))


@pytest.mark.full
def test_real_server_refusals_are_one_line(vllm):
    with pytest.raises(ServiceError, match="serves no model 'other'"):
        OpenAIServerGenerator(vllm, "other", SamplingParams())
    generator = OpenAIServerGenerator(vllm, None, SamplingParams())
    with pytest.raises(ServiceError, match="the server answered 400"):
        list(generator.generate([Request("long", "1+" * 400, 1)]))
