"""The command line: bad input is one clear line and exit code 2, for every mistake a user is likely to make."""

import json
import subprocess
import sys

import pytest
from fitted_policies import folder_of
from recorded_runs import sums_pool
from synthetic_pool import write_pool

from optscale_predictor.backends.generators import SamplingParams, ServerOptions
from optscale_predictor.backends.option_flags import flag_names
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.cli.main import main
from optscale_predictor.cli.serve_command import within_requests
from optscale_predictor.cli.verb_flags import verb_arguments, verb_parser
from optscale_predictor.cli.verbs import POOL_VERBS, VERBS
from optscale_predictor.replays import setting_grids

BAD = {
    "unknown policy": (["answer", "1+2=", "--policy", "best"], "unknown policy 'best'"),
    "alpha": (["answer", "1+2=", "--alpha", "1.5"], "alpha must lie in (0, 1), got 1.5"),
    "no such file": (
        ["generate", "{tmp}/pool", "--questions", "{tmp}/none.jsonl"],
        "none.jsonl: cannot read",
    ),
    "empty file": (["generate", "{tmp}/pool", "--questions", "{tmp}/empty.jsonl"], "empty.jsonl: no questions in it"),
    "broken JSON": (["generate", "{tmp}/pool", "--questions", "{tmp}/broken.jsonl"], "broken.jsonl:2: not valid JSON"),
    "missing column": (["generate", "{tmp}/pool", "--questions", "{tmp}/column.jsonl"], "column 'question' is missing"),
    "same id twice": (["generate", "{tmp}/pool", "--questions", "{tmp}/twice.jsonl"], "question id 'a' occurs twice"),
    "missing model": (["answer", "1+2=", "--generator", "{tmp}/no/model"], "no config.json in folder"),
    "missing verifier": (["answer", "1+2=", "--verifier", "./nowhere"], "no config.json in folder"),
    "missing predictor": (["answer", "1+2=", "--predictor", "{tmp}/none"], "no such folder"),
    "server down": (
        ["answer", "1+2=", "--base_url", "http://127.0.0.1:9/v1", "--verifier", "embedded:verifier"],
        "cannot connect; is the server up?",
    ),
    "no pool": (["score", "{tmp}"], "not a pool (no manifest.json)"),
    "no python verifier": (["answer", "1+2=", "--verifier", "python:none:f"], "No module named 'none'"),
    "temperature": (
        ["answer", "1+2=", "--temperature", "-1"],
        "temperature must be 0 or lie in [1e-06, 1e+06], got -1",
    ),
    "server option": (["generate", "{tmp}/pool", "--server.timeout", "-1"], "timeout must be > 0, got -1.0"),
    "server's own field": (
        ["generate", "{tmp}/pool", "--server.extra_body", '{{"seed": 1}}'],
        "extra_body may not set 'seed'",
    ),
    "vllm option": (
        ["generate", "{tmp}/pool", "--vllm.tensor_parallel_size", "0"],
        "tensor_parallel_size must be >= 1, got 0",
    ),
    "ray option": (["generate", "{tmp}/pool", "--ray.generation.actors", "0"], "actors must be >= 1, got 0"),
    "answer's selection": (["answer", "1+2=", "--selection", "best"], "unknown selection 'best'; known: best_score"),
    "serve's selection": (["serve", "--selection", "confidence:{tmp}"], "no fitted policy (fitted_policy.json"),
    "replay's selection": (["replay", "{tmp}", "--selection", "confidence:{tmp}"], "no fitted policy (fitted_policy"),
    "a prior that is none": (["answer", "1+2=", "--prior", "vague"], "prior must be learnt or learnt:block=NUMBER"),
    "serve's prior": (["serve", "--prior", "learnt:block=0"], "block must be >= 1, got 0"),
    "foreign characters": (["answer", ""], "question is empty"),
    "bytes that are no text": (["answer", "1+2=\udcff"], "the question: holds half of a surrogate pair"),
    "prompt": (["answer", "1+2=", "--prompt_file", "{tmp}/empty.jsonl"], "has no {question} in it"),
    "eval policy": (["eval", "--tasks", "optscale_arithmetic", "--model_args", "policy=best"], "unknown policy 'best'"),
    "eval alpha": (["eval", "--tasks", "optscale_arithmetic", "--model_args", "alpha=1.5"], "alpha must lie in (0, 1)"),
    "train data": (["train", "fit", "--config", "{train}", "--data.path", "{tmp}/none.parquet"], "cannot read targets"),
}


#: For samples whose text nobody looks at.
SHORT = ("--max_tokens", "4")


@pytest.fixture
def files(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    good = json.dumps({"question": "1+2="})
    (tmp_path / "broken.jsonl").write_text(f'{good}\n{{"question": \n{good}\n')
    (tmp_path / "column.jsonl").write_text('{"text": "1+2="}\n')
    (tmp_path / "twice.jsonl").write_text('{"id": "a", "question": "1"}\n{"id": "a", "question": "2"}\n')
    return tmp_path


@pytest.mark.parametrize("mistake", BAD)
def test_bad_input_is_one_line_and_exit_code_2(mistake, files, capsys, monkeypatch):
    # lm-eval's log handler keeps the stream of the test that imported it, which is closed by now.
    monkeypatch.setattr("logging.raiseExceptions", False)
    from optscale_predictor.predictor.training.train_command import CONFIGS

    command, says = BAD[mistake]
    filled = [part.format(tmp=files, train=CONFIGS / "arithmetic.yaml", question="{question}") for part in command]
    with pytest.raises(SystemExit) as stopped:
        main(filled)
    error = capsys.readouterr().err
    said = [line for line in error.splitlines() if "error:" in line]
    assert stopped.value.code == 2
    assert "Traceback" not in error
    assert len(said) == 1 and says in said[0]


def test_answer_shows_what_was_drawn_and_why_it_stopped(capsys):
    main(["answer", "12+34=", "--score_min", "0.5"])
    shown = capsys.readouterr().out
    assert "sample  score   best    N*" in shown
    assert "stopped   " in shown and "samples, " in shown


def test_answer_tells_no_scores_where_there_is_no_verifier(capsys):
    command = ["answer", "12+34=", "--verifier", "none", "--policy", "self_consistency:max_samples=2"]
    main(command)
    shown = capsys.readouterr().out
    assert "score" not in shown and "0.000" not in shown and "after 2 samples" in shown
    main([*command, "--json_lines", "true"])
    assert json.loads(capsys.readouterr().out)["score"] is None


def test_answer_reads_a_file_and_writes_json_lines(tmp_path, capsys):
    (tmp_path / "q.jsonl").write_text('{"id": "x", "question": "12+34="}\n{"id": "y", "question": "5+6+7="}\n')
    main(["answer", str(tmp_path / "q.jsonl"), "--json_lines", "true", "--policy", "best_of_n:max_samples=3"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == ["x", "y"]
    assert all(row["samples"] == 3 and row["tokens"] > 3 and row["stop_reason"] == "budget" for row in rows)


def test_answer_says_how_probable_its_answer_is_where_the_selection_knows(capsys):
    command = ["answer", "12+34=", "--policy", "best_of_n:max_samples=3", "--selection", f"confidence:{folder_of()}"]
    main([*command, "--json_lines", "true"])
    told = json.loads(capsys.readouterr().out)["confidence"]
    main(command)
    assert 0 < told < 1 and f", right with probability {told:.3f})" in capsys.readouterr().out
    main([*command[:4], "--json_lines", "true"])
    assert json.loads(capsys.readouterr().out)["confidence"] is None
    main(command[:4])
    assert "right with" not in capsys.readouterr().out


def test_replay_chooses_by_the_selection_that_it_is_given(tmp_path, capsys):
    pool = write_pool(
        tmp_path / "pool", [[0.9, 0.2, 0.3]] * 2, answer=[["1", "2", "2"]] * 2, correct=[[True, False, False]] * 2
    )
    accuracies = {}
    for selection in ("best_score", "majority"):
        main(["replay", str(pool.folder), "--policies", "best_of_n:max_samples=3", "--selection", selection])
        accuracies[selection] = "1.000 ±" in capsys.readouterr().out
    assert accuracies == {"best_score": True, "majority": False}


def test_answers_in_a_file_go_on_where_they_were(tmp_path, capsys):
    questions, output = tmp_path / "q.jsonl", tmp_path / "a.jsonl"
    questions.write_text("".join(f'{{"id": "{name}", "question": "1{name}+34="}}\n' for name in range(4)))
    command = ["answer", str(questions), "--policy", "best_of_n:max_samples=2", "--output", str(output)]
    main([*command, "--pool", str(tmp_path / "pool")])
    whole = output.read_text().splitlines(keepends=True)
    assert len(whole) == 4 and capsys.readouterr().out.startswith("4 questions, 8 samples")
    output.write_text("".join(whole[:2]) + whole[2][:40])  # as a kill leaves it
    main([*command, "--pool", str(tmp_path / "pool")])
    assert capsys.readouterr().out.startswith("2 questions")
    answers = [{**json.loads(line), "seconds": 0} for line in output.read_text().splitlines()]
    assert sorted(answers, key=lambda one: one["id"]) == sorted(
        ({**json.loads(line), "seconds": 0} for line in whole), key=lambda one: one["id"]
    )
    for place, says in ((questions, "not an answer of"), (output / "below", "cannot write: Not a directory")):
        with pytest.raises(SystemExit) as stopped:
            main([*command[:-1], str(place)])
        assert stopped.value.code == 2 and says in capsys.readouterr().err


def test_answers_in_a_file_go_on_with_what_was_learnt_of_them(tmp_path, capsys):
    """A run that was cut short twice answers as one that was not."""
    (tmp_path / "q.jsonl").write_text("".join(f'{{"id": "{name}", "question": "1{name}+34="}}\n' for name in range(7)))
    policy = "cost_aware:max_samples=4,sample_price=0.05"
    command = ["answer", str(tmp_path / "q.jsonl"), "--policy", policy, "--prior", "learnt:block=1", "--output"]
    found = []
    for name, kept in (("whole", []), ("cut", [3, 5])):
        output = tmp_path / f"{name}.jsonl"
        for number in (*kept, None):
            main([*command, str(output), "--pool", str(tmp_path / f"{name}_pool")])
            rows = [{**json.loads(line), "seconds": 0} for line in output.read_text().splitlines()]
            assert len(rows) == 7
            output.write_text("".join(output.read_text().splitlines(keepends=True)[:number]))
        found.append(sorted(rows, key=lambda one: one["id"]))
    # What a sample is read with is a matter of timing, and changes a score's last digits.
    scores = [[score for row in rows for score in [row.pop("score"), *row.pop("scores")]] for rows in found]
    assert found[0] == found[1] and "2 questions" in capsys.readouterr().out
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


@pytest.mark.parametrize("verb", ["replay", "tune"])
def test_a_prior_is_learnt_from_a_pool_or_given_but_not_both(verb, tmp_path, capsys, monkeypatch):
    grids = setting_grids._grids
    few = ("optscale, no prior", "optscale", "cost_aware, score")  # a prior is learnt anew for each setting
    monkeypatch.setattr(
        setting_grids,
        "_grids",
        lambda *given: ((label, texts[:1], prior) for label, texts, prior in grids(*given) if label in few),
    )
    pool = str(sums_pool(tmp_path / "pool", questions=24, depth=4).folder)
    named = ["--policies", "cost_aware:max_samples=4,sample_price=0.1"] if verb == "replay" else []
    told = []
    for given in ([], ["--prior", "learnt:block=1"], ["--prior", "learnt:block=24"]):
        main([verb, pool, "--num_orders", "1", *named, *given])
        told.append(capsys.readouterr().out)
    assert told[0] != told[1]
    if verb == "replay":  # all of the questions are in the first block
        assert told[0] == told[2]
    for given, says in (
        (["--prior", "learnt", "--prior_pool", pool], "prior 'learnt' is learnt: give it without a predictor and"),
        (["--prior", "vague"], "prior must be learnt or learnt:block=NUMBER, got 'vague'"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([verb, pool, *named, *given])
        assert stopped.value.code == 2 and says in capsys.readouterr().err


def test_pool_shows_what_it_holds(tmp_path, capsys):
    main(["generate", str(tmp_path / "pool"), "--questions", "embedded:train:3", "--num_samples", "2", *SHORT])
    main(["pool", "info", str(tmp_path / "pool")])
    shown = capsys.readouterr().out
    assert "questions  3" in shown and "samples    6 (2 to 2 a question)" in shown and "score      0 scored" in shown


def test_lists_of_any_length_stand_before_or_after_flags(tmp_path, capsys):
    """jsonargparse takes a positional list as one JSON list; here it may be written as shells expand it."""
    names = [str(tmp_path / name) for name in ("a", "b", "c [1]")]
    for name in names:
        main(["generate", name, "--questions", "embedded:train:2", "--num_samples", "2", *SHORT])
    output = str(tmp_path / "out")
    main(["pool", "merge", names[0], "--shard_samples=2", names[1], "--output", output, names[2]])
    assert f"{output}: 4 samples of 2 questions from 3 pools" in capsys.readouterr().out


def test_settings_beside_a_policy_are_its_own(capsys):
    """They went unheard where a policy was named."""
    main(["answer", "12+34=", "--policy", "best_of_n", "--max_samples", "3"])
    assert "after 3 samples" in capsys.readouterr().out
    for flags, says in (
        (["--policy", "best_of_n:max_samples=8", "--max_samples", "3"], "max_samples is given twice"),
        (
            ["--policy", "self_consistency", "--score_min", "0.5"],
            "policy 'self_consistency' has no setting 'score_min'",
        ),
    ):
        for verb in (["answer", "12+34="], ["serve", "--port", "0"]):
            with pytest.raises(SystemExit):
                main([*verb, *flags])
            assert says in capsys.readouterr().err


def test_a_verbs_line_in_the_help_is_its_docstrings():
    for name, verb in VERBS.items():
        if not verb.passed_on:
            assert verb.load().__doc__.splitlines()[0] == verb.summary, name


def test_the_help_of_all_verbs_imports_none():
    code = "import sys; from optscale_predictor.cli.main import main; main(['--help']); print(sorted(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = shown.splitlines()[-1]
    assert not any(f"'{name}'" in loaded for name in ("jsonargparse", "numpy", "torch", "pyarrow"))


@pytest.mark.parametrize("verb", ["answer", "serve", "generate", "score"])
def test_options_are_the_same_flags_in_every_verb(verb):
    parser = verb_parser(VERBS[verb].load(), verb)
    flags = {flag for flag in vars(parser.get_defaults())}
    assert set(flag_names(VerifierOptions())) <= flags
    assert verb == "score" or set(flag_names(GeneratorOptions())) <= flags
    described = parser.format_help()
    assert "Softmax temperature, 0 or in [1e-6, 1e6]; 0 is greedy." in described or verb == "score"


def test_flags_become_options():
    function = VERBS["answer"].load()
    flags = ["1+2=", "--generator", "m", "--temperature", "0.5", "--stop", '["#"]', "--server.timeout", "600"]
    given = verb_arguments(function, "answer", [*flags, "--verifier", "none", "--verifier_layout", "qwen"])
    sampling = SamplingParams(temperature=0.5, stop=("#",))
    assert given["generator"] == GeneratorOptions("m", sampling, server=ServerOptions(timeout=600.0))
    assert given["verifier"] == VerifierOptions("none", layout="qwen") and not given["verifier"].wanted
    assert given["question"] == "1+2=" and given["policy"] == "optscale"


@pytest.mark.parametrize(("flags", "seconds"), [([], 30.0), (["--server.timeout", "600"], 600.0)])
def test_a_try_may_take_a_request_s_time_unless_it_is_told_its_own(flags, seconds):
    """A given 600 was taken for the default, and the request's time put in its place."""
    generator = verb_arguments(VERBS["serve"].load(), "serve", flags)["generator"]
    assert within_requests(generator, 30.0).server.seconds == seconds
    assert within_requests(generator, 30.0).server.max_retries == 10_000


def test_help_lists_every_verb():
    shown = subprocess.run([sys.executable, "-m", "optscale_predictor", "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    assert all(verb.partition(" ")[2] or verb in shown.stdout for verb in VERBS)
    verbs = subprocess.run(
        [sys.executable, "-m", "optscale_predictor", "pool", "--help"], capture_output=True, text=True
    )
    assert all(verb in verbs.stdout for verb in POOL_VERBS)
