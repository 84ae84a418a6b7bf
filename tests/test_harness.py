"""lm-eval for real: the embedded models in process, its own table's numbers, its cache, its samples."""

import json
import pickle

import pytest
from lm_eval.api.registry import get_model
from tiny_prms import make_skywork

from optscale_predictor.cli import main
from optscale_predictor.errors import InputError
from optscale_predictor.generators import SamplingParams
from optscale_predictor.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.harness.chosen_text import ChosenText
from optscale_predictor.harness.model import OptScaleLM
from optscale_predictor.harness.run import TASKS, with_defaults
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.preparation import generate_pool, score_pool
from optscale_predictor.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.world.arithmetic import make_questions

# lm-eval 0.4.13 itself: a deprecated call, and database handles left to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

POLICY = "policy=optscale,score_min=0.7,max_samples=6"


def run(folder, model_args, *flags):
    command = ["eval", "--tasks", "optscale_arithmetic", "--limit", "6", "--log_samples", "--output_path", str(folder)]
    main([*command, "--model_args", model_args, *flags])
    (results,) = folder.rglob("results_*.json")
    (samples,) = folder.rglob("samples_*.jsonl")
    measured = json.loads(results.read_text())["results"]["optscale_arithmetic"]
    return measured, [json.loads(line) for line in samples.read_text().splitlines()]


def test_a_run_measures_what_the_loop_drew(tmp_path):
    measured, samples = run(tmp_path, POLICY)
    questions = make_questions(200, 0, "test")[:6]
    engine = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160))
    policy = parse_policy("optscale:score_min=0.7,max_samples=6")
    scaler = OptScale(engine, LikelihoodVerifier("embedded:verifier"), policy=policy)
    ids = [type(question)(f"optscale_arithmetic/{index}", question.text) for index, question in enumerate(questions)]
    answers = scaler.answer(ids)
    assert [row["samples"] for row in samples] == [answer.samples for answer in answers]
    assert [row["tokens"] for row in samples] == [answer.tokens for answer in answers]
    assert measured["samples,none"] == pytest.approx(sum(answer.samples for answer in answers) / 6)
    assert all(f"{metric}_stderr,none" in measured for metric in ("exact_match", "samples", "tokens"))
    right = [float(answer.answer == question.gold) for answer, question in zip(answers, questions, strict=True)]
    assert [row["exact_match"] for row in samples] == right


def test_a_process_reward_model_verifies(tmp_path):
    folder = make_skywork(tmp_path / "prm")
    reading = "verifier_layout=skywork,verifier_aggregate=last,verifier_separator=\\n"
    measured, samples = run(tmp_path, f"verifier={folder},{reading},policy=best_of_n,max_samples=2")
    assert [row["samples"] for row in samples] == [2] * 6 and measured["samples,none"] == 2
    with pytest.raises(SystemExit):  # its tokenizer has no such marker
        run(tmp_path, f"verifier={folder},verifier_layout=qwen,policy=best_of_n,max_samples=2")


def test_cache_serves_the_same_run_and_refuses_another(tmp_path):
    cache = str(tmp_path / "cache")
    first, _ = run(tmp_path / "first", POLICY, "--use_cache", cache)
    again, _ = run(tmp_path / "again", POLICY, "--use_cache", cache)
    metrics = ("exact_match,none", "samples,none", "tokens,none")
    assert [first[name] for name in metrics] == [again[name] for name in metrics]
    for other in (POLICY.replace("6", "2"), f"{POLICY},seed=7"):
        with pytest.raises(SystemExit) as stopped:
            run(tmp_path / other, other, "--use_cache", cache)
        assert stopped.value.code == 2


def test_a_pool_replays_through_the_same_task(tmp_path):
    questions = make_questions(200, 0, "test")[:6]
    engine = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160))
    generate_pool(tmp_path / "pool", questions, engine, 6, progress=False)
    score_pool(tmp_path / "pool", LikelihoodVerifier("embedded:verifier"), progress=False)
    one, samples = run(tmp_path / "one", f"pool={tmp_path / 'pool'},{POLICY}")
    two, _ = run(tmp_path / "two", f"pool={tmp_path / 'pool'},{POLICY}")
    assert one["samples,none"] == two["samples,none"] and one["tokens,none"] == two["tokens,none"]
    assert all(1 <= row["samples"] <= 6 for row in samples)


def test_the_answer_survives_pickling():
    chosen = ChosenText("#### 3", 4, 50, "reached", 0.9)
    again = pickle.loads(pickle.dumps(chosen))
    assert (again, again.samples, again.tokens, again.stop_reason, again.score) == ("#### 3", 4, 50, "reached", 0.9)


def test_the_other_models_stay_registered():
    assert get_model("hf") is not None and get_model("optscale") is OptScaleLM


def test_flags_are_handed_on():
    assert with_defaults(["--tasks", "x"]) == [
        "run",
        "--tasks",
        "x",
        "--model",
        "optscale",
        "--include_path",
        str(TASKS),
    ]
    assert "optscale" not in with_defaults(["--model", "hf"])


def test_likelihoods_are_refused_in_one_line():
    model = OptScaleLM(policy="best_of_n", max_samples=1)
    with pytest.raises(InputError, match="cannot use it"):
        model.loglikelihood([])


def test_examples_that_a_questions_file_cannot_give_are_one_line(tmp_path):
    (tmp_path / "q.jsonl").write_text('{"question": "1+2=", "answer": "3"}\n')
    given = json.dumps({"questions": str(tmp_path / "q.jsonl")})
    with pytest.raises(SystemExit) as stopped:
        main(["eval", "--tasks", "optscale_gsm8k", "--metadata", given, "--model_args", POLICY])
    assert stopped.value.code == 2
