"""Options of a server and what is said of its samples, through every command that draws from one."""

import asyncio
import json
import pickle

import pytest
from served_optscale import client_of, command
from served_world import serving
from vendor_server import THIRTY_WORDS, VendorServer, reply

from optscale_predictor.backends.generators import Request, SamplingParams, ServerOptions
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.options import GeneratorOptions
from optscale_predictor.backends.verifiers.model_free import GoldVerifier
from optscale_predictor.cli.main import main
from optscale_predictor.errors import RequestRefusedError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.questions.question import Question

ESTIMATES = "warning: the tokens of {} samples are estimated from their text"


@pytest.fixture
def seedless():
    """A server that takes no seed, and tells no tokens."""

    def answer(body):
        refused = 400, {"error": {"message": "seed is not supported", "param": "seed"}}
        return refused if "seed" in body else reply(THIRTY_WORDS, None)

    server = VendorServer(answer)
    with serving(server.app()) as url:
        server.url = f"{url}/v1"
        yield server


def test_generate_draws_without_a_seed(seedless, tmp_path, capsys):
    (tmp_path / "questions.jsonl").write_text('{"question": "7+5="}\n')
    drawing = ["generate", str(tmp_path / "pool"), "--num_samples", "3"]
    drawing += ["--questions", str(tmp_path / "questions.jsonl")]
    server = ["--base_url", seedless.url, "--chat", "true"]
    with pytest.raises(SystemExit) as stopped:
        main([*drawing, *server])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "--server.send_seed false" in said and "Traceback" not in said
    assert len(seedless.bodies) == 1
    main([*drawing, *server, "--server.send_seed", "false", "--server.longest_wait", "1"])
    assert capsys.readouterr().err.count(ESTIMATES.format(3)) == 1


def test_answer_draws_without_a_seed(seedless, capsys):
    flags = ["--base_url", seedless.url, "--chat", "true", "--server.send_seed", "false"]
    rule = ["--policy", "best_of_n:max_samples=2", "--verifier", "embedded:verifier"]
    main(["answer", "7+5=", *flags, *rule, "--json_lines", "true"])
    captured = capsys.readouterr()
    assert json.loads(captured.out)["samples"] == 2
    assert captured.err.count(ESTIMATES.format(2)) == 1


@pytest.mark.usefixtures("lm_eval_tasks")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # lm-eval's own
def test_eval_draws_without_a_seed(seedless, tmp_path, capsys):
    given = f"base_url={seedless.url},chat=True,policy=best_of_n,max_samples=2,server.send_seed=False,concurrency=1"
    given += ",verifier=embedded:verifier"
    flags = ["--tasks", "optscale_arithmetic", "--limit", "2", "--output_path", str(tmp_path)]
    main(["eval", *flags, "--model_args", given])
    assert not any("seed" in body for body in seedless.bodies)
    assert capsys.readouterr().err.count(ESTIMATES.format(4)) == 1


def test_serve_draws_without_a_seed(seedless):
    rule = ("--verifier", "none", "--policy", "self_consistency:max_samples=2")
    flags = ("--base_url", seedless.url, "--chat", "true", "--server.send_seed", "false", *rule)
    with command(*flags) as (_, address), client_of(address) as client:
        asked = [{"role": "user", "content": "7+5="}]
        answered = client.chat.completions.create(model="model", messages=asked)
    assert answered.choices[0].message.content == THIRTY_WORDS and not any("seed" in body for body in seedless.bodies)


def test_a_worker_elsewhere_draws_without_a_seed(seedless):
    spec = GeneratorOptions("model", base_url=seedless.url, chat=True, server=ServerOptions(send_seed=False))
    generator = pickle.loads(pickle.dumps(spec)).build()
    ((_, (sample,)),) = generator.generate([Request("q", "7+5=", 1)])
    assert sample.seed is None and "seed" not in seedless.bodies[0]


def test_a_question_that_the_server_refuses_ends_no_other_live():
    def answer(body):
        long = body["messages"][0]["content"] == "long"
        return {"error": {"message": "too long", "code": 400}} if long else reply("#### 12", None)

    questions = [Question(name, "long" if name == "b" else "7+5=", "12") for name in "abc"]
    found = []
    with serving(VendorServer(answer).app()) as url:
        generator = OpenAIServerGenerator(f"{url}/v1", None, SamplingParams(), chat=True)
        scaler = OptScale(generator, GoldVerifier(), policy=parse_policy("best_of_n:max_samples=2"))

        async def run():
            async for answer in scaler.astream(questions):
                found.append(answer.question_id)

        with pytest.raises(RequestRefusedError, match="1 of 3 questions were refused"):
            asyncio.run(run())
    assert sorted(found) == ["a", "c"]
