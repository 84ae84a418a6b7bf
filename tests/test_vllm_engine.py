"""vLLM in process, for real: in the environment that ``OPTSCALE_VLLM_PYTHON`` names, since it brings its own torch.

Without that interpreter the tests fail. What it prints is held against the model's own numbers here.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import optscale_predictor
from optscale_predictor.backends.generators import Request, SamplingParams, VLLMOptions
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.arithmetic import make_questions

PROMPTS = ["7+5=", "23+4+58=", "91+8+64+13+77=", "12+34+56+78+90+11+22+33+44=", "7"]
QUESTIONS, SAMPLES = 60, 16

SCRIPT = """
import json, sys
from dataclasses import asdict
from optscale_predictor.errors import InputError
from optscale_predictor.backends.generators import Request, SamplingParams, VLLMOptions
from optscale_predictor.backends.generators.vllm_engine import VLLMGenerator
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.questions.arithmetic import make_questions


def plain(results):
    return {request.question_id: [asdict(sample) for sample in samples] for request, samples in results}


class Lengths(Verifier):
    def score(self, items):
        return Scores.of([min(len(item.text) / 400, 1.0) for item in items])

    def describe(self):
        return {"adapter": "lengths"}


def answered(generator, asked):
    policy = parse_policy("best_of_n:max_samples=3")
    whole = [one.samples for one in OptScale(generator, Lengths(), policy=policy).answer(asked)]
    before = generator.usage.cancelled
    leaving = OptScale(generator, Lengths(), score_min=0.9).stream(asked)
    next(leaving)
    leaving.close()
    cancelled = generator.usage.cancelled - before
    again = [one.samples for one in OptScale(generator, Lengths(), policy=policy).answer(asked)]
    return {"answered": whole, "left_alone": cancelled, "answered_again": again}


def main(model, prompts, questions, samples):
    requests = [Request(str(index), prompt, index + 1) for index, prompt in enumerate(prompts)]
    options = VLLMOptions(dtype="float32", enforce_eager=True, max_model_len=512, more={"max_num_seqs": 32})
    generator = VLLMGenerator(model, SamplingParams(max_tokens=160), options=options)
    found = {}

    def draw(name, requests, **sampling):
        found[name] = plain(generator.with_sampling(SamplingParams(**sampling)).generate(requests))

    draw("greedy", requests, temperature=0.0)
    draw("first", requests, max_tokens=160)
    draw("again", requests, max_tokens=160)
    draw("told", requests, temperature=0.0, logprobs=True)
    draw("seeded", requests, max_tokens=160, seed=1)
    draw("short", requests, max_tokens=30)
    draw("stopped", requests, temperature=0.0, stop=("####",))
    draw("hot", [Request("q", prompts[3] + chr(10), 1024)], temperature=2.0, max_tokens=1)
    asked = make_questions(questions, 0, "test")
    spent = generator.usage.prompt_tokens
    draw("many", [Request(one.id, one.text, samples) for one in asked], max_tokens=160)
    found["prompt_tokens"] = generator.usage.prompt_tokens - spent
    order = [request.question_id for request, _ in generator.generate([Request("long", prompts[3], 8), *requests])]
    found["order"] = order
    left = generator.generate([Request("long", prompts[3], 24), Request("short", prompts[0], 1)])
    found["left"] = next(left)[0].question_id
    left.close()
    found["cancelled"] = generator.usage.cancelled
    draw("after", requests, max_tokens=160)
    try:
        for one, _ in generator.generate([Request("too long", "1+" * 300, 1), Request("kept", prompts[0], 1)]):
            found["kept"] = one.question_id
    except InputError as error:
        found["refused"] = str(error)
    found["described"] = dict(generator.describe())
    found["block"] = generator._engine.vllm_config.cache_config.block_size
    found |= answered(generator, asked[:20])
    print("RESULT" + json.dumps(found))


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
"""


def run_vllm(arguments: Sequence[str], timeout: float = 400) -> subprocess.CompletedProcess[str]:
    python = os.environ.get("OPTSCALE_VLLM_PYTHON")
    if not python:
        pytest.fail("the full tier needs vLLM: set OPTSCALE_VLLM_PYTHON to an interpreter that has it")
    root = str(Path(optscale_predictor.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [python, *arguments], env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything the engine drew, in one start."""
    script = tmp_path_factory.mktemp("vllm") / "script.py"
    script.write_text(SCRIPT)
    run = run_vllm([str(script), json.dumps(["embedded:generator", PROMPTS, QUESTIONS, SAMPLES])])
    lines = [line for line in run.stdout.splitlines() if line.startswith("RESULT")]
    if not lines:
        pytest.fail(f"no result:\n{run.stdout[-1000:]}\n{run.stderr[-3000:]}")
    return dict(json.loads(lines[0].removeprefix("RESULT")))


@pytest.mark.full
def test_log_probabilities_are_those_of_transformers(found: dict[str, Any]) -> None:
    params = SamplingParams(temperature=0.0, logprobs=True)
    loop = HuggingFaceGenerator("embedded:generator", params, device="cpu")
    for request, samples in loop.generate([Request(str(i), prompt, 1) for i, prompt in enumerate(PROMPTS)]):
        for one in found["told"][request.question_id]:
            assert samples[0].logprobs is not None and one["logprobs"]["self_certainty"] is None
            assert one["logprobs"]["mean"] == pytest.approx(samples[0].logprobs.mean, abs=1e-3)
            assert one["logprobs"]["lowest"] == pytest.approx(samples[0].logprobs.lowest, abs=1e-3)


@pytest.mark.full
def test_greedy_samples_are_those_of_transformers(found: dict[str, Any]) -> None:
    loop = HuggingFaceGenerator("embedded:generator", SamplingParams(temperature=0.0), device="cpu")
    for request, samples in loop.generate([Request(str(i), prompt, 1) for i, prompt in enumerate(PROMPTS)]):
        drawn = found["greedy"][request.question_id]
        assert len(drawn) == int(request.question_id) + 1
        for place, one in enumerate(drawn):
            assert (one["text"], one["num_tokens"], one["finish_reason"]) == (
                samples[0].text,
                0 if place else samples[0].num_tokens,  # drawn once: the copies cost nothing
                samples[0].finish_reason,
            )


@pytest.mark.full
def test_prompts_of_some_tens_of_tokens_are_kept_for_further_samples(found: dict[str, Any]) -> None:
    assert found["block"] <= 32  # of the prefix cache, which keeps whole blocks alone


@pytest.mark.full
def test_seeds_repeat_samples_and_other_seeds_do_not(found: dict[str, Any]) -> None:
    assert found["first"] == found["again"] == found["after"]
    assert found["first"] != found["seeded"]


@pytest.mark.full
def test_counts_and_finish_reasons_are_exact(found: dict[str, Any]) -> None:
    tokenizer, reasons, beyond = make_tokenizer(), set(), []
    for name in ("first", "short", "many"):
        for sample in (one for samples in found[name].values() for one in samples):
            written = len(tokenizer(sample["text"])["input_ids"])
            reasons.add(sample["finish_reason"])
            beyond.append(sample["num_tokens"] - written - (sample["finish_reason"] == "stop"))
    # One sample in a thousand has a token in it that no text shows (the unknown one).
    assert min(beyond) == 0
    assert np.mean(np.array(beyond) > 0) < 0.01
    assert reasons == {"stop", "length"}
    texts = [question.text for question in make_questions(QUESTIONS, 0, "test")]
    assert found["prompt_tokens"] == sum(map(len, texts))


@pytest.mark.full
def test_stop_strings_end_a_sample_and_are_cut(found: dict[str, Any]) -> None:
    tokenizer = make_tokenizer()
    for name, samples in found["stopped"].items():
        whole = found["greedy"][name][0]["text"]
        for place, sample in enumerate(samples):
            assert sample["text"] == whole.partition("####")[0]
            if "####" in whole and not place:
                assert sample["num_tokens"] == len(tokenizer(sample["text"] + "####")["input_ids"])
            assert sample["finish_reason"] == "stop"


@pytest.mark.full
def test_samples_of_one_request_are_independent_draws(found: dict[str, Any]) -> None:
    from transformers import AutoModelForCausalLM

    model = load_pretrained(AutoModelForCausalLM, "embedded:generator", "cpu")
    tokenizer = make_tokenizer()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([tokenizer(PROMPTS[3] + "\n")["input_ids"]])).logits[0, -1]
    probability = torch.softmax(logits / 2.0, -1)
    likely, chance = tokenizer.decode([int(probability.argmax())]), float(probability.max())
    hit = np.array([sample["text"] == likely for sample in found["hot"]["q"]])
    assert len(hit) == 1024
    assert abs(hit.mean() - chance) < 5 * (chance * (1 - chance) / 1024) ** 0.5
    pairs, both = hit.reshape(-1, 2).all(-1), chance**2
    assert abs(pairs.mean() - both) < 5 * (both * (1 - both) / 512) ** 0.5


@pytest.mark.full
def test_pass_rates_agree_with_transformers(found: dict[str, Any]) -> None:
    asked = {one.id: one for one in make_questions(QUESTIONS, 0, "test")}
    loop = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160), device="cpu")
    theirs = {
        one.question_id: samples
        for one, samples in loop.generate([Request(q.id, q.text, SAMPLES) for q in asked.values()])
    }
    rates = np.array(
        [
            [np.mean([extract_answer(one["text"]) == asked[id].gold for one in found["many"][id]]) for id in asked],
            [np.mean([extract_answer(one.text) == asked[id].gold for one in theirs[id]]) for id in asked],
        ]
    )
    spread = np.sqrt((rates * (1 - rates)).sum(0).mean() / SAMPLES / len(asked))
    assert 0.2 < rates[0].mean() < 0.9
    assert abs(rates[0].mean() - rates[1].mean()) < 4 * spread


@pytest.mark.full
def test_requests_come_back_as_they_finish_and_leaving_aborts_the_rest(found: dict[str, Any]) -> None:
    assert sorted(found["order"]) == sorted(["long", *map(str, range(len(PROMPTS)))])
    assert found["order"][0] != "long"
    assert (found["left"], found["cancelled"]) == ("short", 1)


@pytest.mark.full
def test_what_cannot_be_served_is_one_line(found: dict[str, Any]) -> None:
    says = "1 of 2 requests were refused; question 'too long': its prompt has 600 tokens, the model's context 512"
    assert found["refused"] == says and found["kept"] == "kept"
    missing = run_vllm(
        ["-m", "optscale_predictor", "generate", "unused", "--engine", "vllm", "--generator", "embedded:nothing"]
    )
    assert missing.returncode == 2
    line = missing.stderr.strip().splitlines()[-1]
    assert line.startswith("optscale: error: model 'embedded:nothing': none of that name is embedded")


@pytest.mark.full
def test_the_command_fills_a_pool(found: dict[str, Any], tmp_path: Path) -> None:
    command = ["-m", "optscale_predictor", "generate", str(tmp_path / "pool"), "--questions", "embedded:test:20"]
    command += ["--num_samples", "20", "--max_tokens", "160", "--engine", "vllm"]
    options = ["--vllm.dtype", "float32", "--vllm.enforce_eager", "true", "--vllm.max_model_len", "512"]
    run = run_vllm([*command, *options])
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.strip().endswith("400 samples of 20 questions")
    pool = Pool(tmp_path / "pool")
    assert set(pool.counts().values()) == {20}
    assert list(validate_pool(pool.folder)) == []
    settings = pool.manifest["settings"]["generator"]
    assert settings["adapter"] == "vllm"
    assert settings["dtype"] == found["described"]["dtype"] == "float32"


def test_without_vllm_the_extra_is_named() -> None:
    from importlib.util import find_spec

    from optscale_predictor.backends.options import GeneratorOptions

    if find_spec("vllm") is not None:
        pytest.skip("vLLM is installed here")
    with pytest.raises(InputError, match=r"vllm is not installed; run: pip install 'optscale-predictor\[vllm\]'"):
        GeneratorOptions("embedded:generator", SamplingParams(), engine="vllm").build()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"tensor_parallel_size": 0}, "tensor_parallel_size must be >= 1, got 0"),
        ({"gpu_memory_utilization": 1.5}, r"gpu_memory_utilization must lie in \(0, 1\], got 1.5"),
        ({"max_model_len": 1}, "max_model_len must be >= 2, got 1"),
    ],
)
def test_options_out_of_range_are_named(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        VLLMOptions(**wrong)


@pytest.mark.full
def test_questions_are_answered_by_an_engine_that_runs_and_left_alone_when_their_asker_goes(
    found: dict[str, Any],
) -> None:
    assert found["answered"] == found["answered_again"] == [3] * 20
    assert 0 < found["left_alone"] < 20
