"""``optscale serve`` as a command: how it starts, how it ends, and a generator that dies and comes back."""

import asyncio
import os
import re
import signal
import socket
import subprocess
from contextlib import ExitStack, contextmanager, suppress

import httpx2
import openai
import pytest
from _vllm import CONTEXT, ENGINE, environment, metric
from answering import WrittenServer, serving
from lasting_ports import unused_port
from served_optscale import async_client_of, client_of, command, metrics_of, plain, scaler_of, served, until
from stopped_clock import HUNG

from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.cli.main import main
from optscale_predictor.questions.arithmetic import make_questions

CLOSE = {"Connection": "close"}

#: One sample a question, whatever it is worth: what a generator behind another server should do. Loads no model.
PLAIN = ("--verifier", "none", "--policy", "self_consistency:max_samples=1", "--chat", "false")

BAD = {
    "port": (["--port", "70000"], "port must lie in [0, 65535], got 70000"),
    "host": (["--host", "no.such.host.invalid"], "cannot serve at no.such.host.invalid:8000"),
    "taken": (["--port", "{taken}"], "cannot serve at 127.0.0.1:{taken}: Address already in use"),
    "policy": (["--policy", "best"], "unknown policy 'best'"),
    "joint policy": (["--policy", "shared_budget"], "spends one budget on all questions"),
    "alpha": (["--alpha", "2"], "alpha must lie in (0, 1), got 2"),
    "max_in_flight": (["--max_in_flight", "0"], "max_in_flight must be >= 1, got 0"),
    "timeout": (["--timeout", "0"], "timeout must be > 0"),
    "name": (["--served_model_name", " "], "served_model_name is empty"),
    "generator": (["--port", "0", "--base_url", "http://127.0.0.1:9/v1", *PLAIN], "cannot connect; is the server up?"),
    "model": (["--port", "0", "--generator", "./nowhere"], "no config.json in folder"),
    "no verifier": (["--verifier", "none"], "'optscale' needs a verifier; these need none: self_consistency, "),
    "no scores": (["--verifier", "none", "--policy", "best_of_n:max_samples=4"], "'best_of_n' needs a verifier"),
    "no prior": (["--policy", "optscale_t"], "'optscale_t' needs a prior"),
    "no function": (["--verifier", "python:no_such_module:score"], "No module named 'no_such_module'"),
    "prompt": (["--prompt_file", "./nowhere"], "cannot read the prompt template"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_one_line_and_exit_code_2(mistake, capsys):
    with socket.create_server(("127.0.0.1", 0)) as place:
        flags, says = BAD[mistake]
        taken = place.getsockname()[1]
        flags, says = [flag.format(taken=taken) for flag in flags], says.format(taken=taken)
        with pytest.raises(SystemExit) as stopped:
            main(["serve", *flags])
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if "error:" in line]
    assert stopped.value.code == 2 and len(said) == 1 and says in said[0]
    assert not any("loading" in line for line in lines)


def ask(client, text, **options):
    return client.chat.completions.create(model="written", messages=[{"role": "user", "content": text}], **options)


@pytest.fixture
def generator():
    """Prompts that begin with ``held`` are answered when the test adds them to ``released``."""
    server = WrittenServer()
    server.released = set()
    server.holds = lambda prompt: prompt.startswith("held") and prompt not in server.released
    with serving(server.app()) as url:
        server.url = f"{url}/v1"
        yield server


def test_a_generator_that_dies_and_comes_back_costs_no_request(generator, caplog):
    """Three real servers in a row; the one in the middle is killed with requests under way, and started again."""
    caplog.set_level("INFO")
    port = str(unused_port())
    behind = ("--port", port, "--base_url", generator.url, *PLAIN)
    with command(*behind) as (middle, address):
        scaler = scaler_of(address, "best_of_n:max_samples=2", max_retries=1000, longest_wait=1.0)
        with served(scaler, conversations=False, timeout=600, generator_urls=(f"{address}/v1",)) as front:
            replies = asyncio.run(_with_a_death(front, middle, behind, generator))
            for number, reply in enumerate(replies):
                assert isinstance(reply, openai.types.chat.ChatCompletion), reply
                texts = {
                    generator.text(body["prompt"], body["seed"], 0)
                    for body in generator.bodies
                    if body["prompt"] == f"held {number}"
                }
                assert reply.choices[0].message.content in texts
                assert reply.usage.model_extra["samples"] == 2 and reply.usage.completion_tokens >= 2
            front.wait_until_idle()
            assert front.application.handler._session.budget.samples == 2 * len(replies)
            assert _generator_of(front) == ("up", 1.0)
    said = [line for line in caplog.messages if line.startswith(f"{address}/v1: ")]
    assert said == [f"{address}/v1: cannot reach it; retrying", f"{address}/v1: it is back"]


def _generator_of(front):
    with plain() as client:
        health = client.get(f"{front.url}/health")
    assert health.status_code == 200  # it serves: requests wait for the generator
    return health.json()["generator"], metrics_of(front)["optscale_generator_up",]


async def _with_a_death(front, middle, behind, generator):
    async with front.async_client() as client:
        tasks = [asyncio.create_task(ask(client, f"held {number}")) for number in range(20)]
        while generator.now < 10:
            await asyncio.sleep(0.01)
        middle.kill()
        middle.wait()
        late = asyncio.create_task(ask(client, "1", extra_body={"optscale": {"timeout": 0.4}}))
        with pytest.raises(openai.InternalServerError) as down:
            await late
        assert (down.value.status_code, down.value.code) == (503, "unreachable")
        assert await asyncio.to_thread(_generator_of, front) == ("down", 0.0)
        assert not any(task.done() and task.exception() for task in tasks)
        generator.released |= {f"held {number}" for number in range(20)}
        with command(*behind):
            return await asyncio.gather(*tasks, return_exceptions=True)


def test_told_to_stop_it_finishes_what_is_under_way(generator):
    with command("--port", "0", "--base_url", generator.url, "--grace", "600", *PLAIN) as (process, address):
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as stranger:
            stranger.sendall(b"NONSENSE\r\n\r\n")
            assert b" 400 " in stranger.recv(4096)
        reply = asyncio.run(_stopped_meanwhile(process, address, generator))
        assert reply.choices[0].message.content
        assert process.wait(HUNG) == 0
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{address}/health")
        said = process.stderr.read()
        assert "Traceback" not in said
        dated = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} 127\.0\.0\.1: malformed HTTP"
        assert re.search(dated, said, re.MULTILINE), said


async def _stopped_meanwhile(process, address, generator):
    async with async_client_of(address) as client:
        asked = asyncio.create_task(ask(client, "held"))
        while not generator.now:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(HUNG), httpx2.AsyncClient() as balancer:
            # Connections of their own, as a load balancer has: it is told to go elsewhere, and not that all is lost.
            while (health := await balancer.get(f"{address}/health", headers=CLOSE)).status_code == 200:
                await asyncio.sleep(0.01)
        assert (health.status_code, health.json()["status"], health.json()["in_flight"]) == (503, "stopping", 1)
        with pytest.raises(openai.InternalServerError) as refused:
            await ask(client, "1", extra_headers=CLOSE)
        assert (refused.value.status_code, refused.value.code) == (503, "stopping")
        generator.released.add("held")
        return await asked


def test_beyond_its_grace_the_best_sample_so_far_is_the_answer(generator):
    """What was paid for is not thrown away; who has nothing yet is told so."""
    generator.holds = lambda prompt: "nothing" in prompt or ("held" in prompt and len(generator.finished) >= 2)
    flags = ("--verifier", "none", "--policy", "asc_beta:max_samples=16,confidence=0.999,step=one", "--chat", "false")
    with command("--port", "0", "--base_url", generator.url, "--grace", "600", *flags) as (process, address):
        reply, nothing = asyncio.run(_hurried(process, address, generator))
        assert process.wait(HUNG) == 0
        said = process.stderr.read()
    assert reply.usage.model_extra["samples"] == 2 and reply.usage.model_extra["cancelled_samples"] >= 1
    assert reply.choices[0].message.content and reply.model_extra["optscale"]["stop_reason"] == "budget"
    assert (nothing.status_code, nothing.code) == (503, "stopping")
    assert "told to stop; requests under way: 2" in said and "answered with the samples they have: 2" in said


async def _hurried(process, address, generator):
    async with async_client_of(address) as client:
        some, none = (asyncio.create_task(ask(client, prompt)) for prompt in ("held", "nothing"))
        while len(generator.finished) < 2 or generator.now < 2:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(HUNG), httpx2.AsyncClient() as balancer:
            while (await balancer.get(f"{address}/health")).status_code == 200:
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(openai.InternalServerError) as told:
            await none
        return await some, told.value


def test_beyond_its_grace_it_says_so_and_ends(generator):
    with command("--port", "0", "--base_url", generator.url, "--grace", "0.3", *PLAIN) as (process, address):
        client = client_of(address)
        with client, ask(client, "held", stream=True) as stream:
            next(stream)
            until(lambda: generator.now == 1)
            process.send_signal(signal.SIGINT)
            with pytest.raises(openai.APIError) as said:
                list(stream)
        assert said.value.code == "stopping"
        assert process.wait(HUNG) == 0  # the generator never answers
    until(lambda: generator.gone == 1)


def test_the_embedded_world_served_to_many(tmp_path):
    """An engine in the server's process; more clients than places."""
    flags = ("--port", "0", "--max_tokens", "24", "--max_samples", "4", "--max_in_flight", "16")
    with command(*flags, OPTSCALE_SERVE_API_KEY="a-key") as (process, address):
        questions = [question.text for question in make_questions(30, 0, "test")]

        async def all_of_them():
            async with async_client_of(address, api_key="a-key") as client:
                return await asyncio.gather(
                    *(
                        client.chat.completions.create(
                            model="embedded:generator", messages=[{"role": "user", "content": text}]
                        )
                        for text in questions
                    )
                )

        replies = asyncio.run(all_of_them())
        assert all(reply.usage.completion_tokens >= reply.usage.model_extra["samples"] >= 1 for reply in replies)
        assert [reply.usage.prompt_tokens for reply in replies] == list(map(len, questions))
        assert {reply.model_extra["optscale"]["score"] is not None for reply in replies} == {True}
        talker = client_of(address, api_key="a-key")
        with talker, pytest.raises(openai.BadRequestError, match="no chat template"):
            turns = [{"role": role, "content": "1+1="} for role in ("system", "user")]
            talker.chat.completions.create(model="embedded:generator", messages=turns)
        stranger = client_of(address, api_key="wrong")
        with stranger, pytest.raises(openai.AuthenticationError):
            stranger.models.list()
        health = httpx2.get(f"{address}/health").json()
        assert health == {"status": "ok", "generator": "up", "in_flight": 0, "waiting": 0}
        process.send_signal(signal.SIGTERM)
        assert process.wait(HUNG) == 0
        assert "a-key" not in process.stdout.read() + process.stderr.read()


@contextmanager
def vllm_at(port, folder):
    """A vLLM with a chat template, at a port of our choice."""
    python, chat = os.environ.get("OPTSCALE_VLLM_PYTHON"), folder / "chat.jinja"
    if not python:
        pytest.fail("the full tier needs vLLM: set OPTSCALE_VLLM_PYTHON to an interpreter that has it")
    chat.write_text("{% for message in messages %}{{ message.content }}{% endfor %}")
    flags = ["--model", resolve_model("embedded:generator"), *ENGINE, *CONTEXT, "--port", str(port)]
    flags += ["--served-model-name", "world", "--chat-template", str(chat)]
    with open(folder / "vllm.log", "a") as log:
        process = subprocess.Popen(
            [python, "-m", "vllm.entrypoints.openai.api_server", *flags],
            stdout=log,
            stderr=log,
            env=environment(),
            cwd=folder,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its engine is a process of its own
            process.wait(HUNG)


def answers(url):
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.mark.full
def test_a_real_vllm_that_dies_and_comes_back(tmp_path):
    """Requests under way when vLLM is killed are all answered by the next one at its address; every token counts."""
    questions = [question.text for question in make_questions(40, 0, "test")]
    port = unused_port()
    behind = f"http://127.0.0.1:{port}"

    async def ask_all(address, meanwhile):
        async with async_client_of(address, timeout=600) as client:
            asked = (
                client.chat.completions.create(model="world", messages=[{"role": "user", "content": text}])
                for text in questions
            )
            _, *replies = await asyncio.gather(asyncio.to_thread(meanwhile), *asked)
            return replies

    with ExitStack() as servers:
        first = servers.enter_context(vllm_at(port, tmp_path))
        until(lambda: answers(f"{behind}/health"), 300)
        flags = ("--port", "0", "--base_url", f"{behind}/v1", "--policy", "best_of_n:max_samples=16")
        flags += ("--verifier", "embedded:verifier")
        _, address = servers.enter_context(command(*flags, "--max_tokens", "160", "--temperature", "2"))

        def die_and_come_back():
            until(lambda: metric(behind, "vllm:num_requests_running") > 0, 60)
            os.killpg(first.pid, signal.SIGKILL)
            first.wait(HUNG)
            servers.enter_context(vllm_at(port, tmp_path))

        replies = asyncio.run(ask_all(address, die_and_come_back))
        assert [reply.usage.model_extra["samples"] for reply in replies] == [16] * len(questions)
        counts = ((behind, "vllm:generation_tokens_total"), (address, "optscale_tokens_total"))
        before = [metric(*count) for count in counts]
        replies = asyncio.run(ask_all(address, lambda: None))
        spent = sum(reply.usage.completion_tokens for reply in replies)
        assert [metric(*count) - was for count, was in zip(counts, before, strict=True)] == [spent, spent]
        assert all(reply.usage.prompt_tokens >= len(text) for reply, text in zip(replies, questions, strict=True))
        assert metric(address, "optscale_requests_in_flight") == 0
