"""Flags of optscale eval: which become arguments of our model, and which are handed on to lm-eval."""

import json
import subprocess
from dataclasses import fields

import pytest

from optscale_predictor.backends.option_flags import flag_names
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.eval_checks import check, own_tasks, require_device
from optscale_predictor.evaluation.lm_eval.eval_command import evaluate
from optscale_predictor.evaluation.lm_eval.eval_flags import TASKS, read_flags
from optscale_predictor.evaluation.lm_eval.harness_process import harness
from optscale_predictor.evaluation.lm_eval.model_args import EvaluationOptions
from optscale_predictor.policies import POLICIES

ARITHMETIC = ["--tasks", "optscale_arithmetic"]


def test_our_flags_become_arguments_of_our_model():
    given = ["--policies", "esc:window=2,max_samples=4 best_of_n", "--tasks", "x", "--output_path", "out"]
    read = read_flags(given)
    assert str(read.record) == "out/records" and read.tasks == ("x",) and read.ours
    assert read.parsed.model_args == {
        "policies": "esc:window=2,max_samples=4 best_of_n",
        "record": "out/records",
    }
    assert (read.parsed.model, read.parsed.include_path) == ("optscale", str(TASKS))
    assert not {"policies", "record"} & vars(read.parsed).keys()  # lm-eval knows no such flags


@pytest.mark.parametrize("flag", ["--output_path", "--output", "--out", "-o"])
def test_a_flag_means_to_us_what_it_means_to_lm_eval(flag):
    """lm-eval took --output for --output_path, we did not see it, and no record was written."""
    read = read_flags([*ARITHMETIC, flag, "out"])
    assert read.parsed.output_path == "out" and str(read.record) == "out/records"
    assert str(read_flags([*ARITHMETIC, f"{flag}=out" if flag != "-o" else "-oout"]).record) == "out/records"


def test_a_file_of_settings_says_what_flags_say(tmp_path):
    """A run by --config left no record where the file named --output_path, and asked lm-eval's own model."""
    file = tmp_path / "settings.yaml"
    file.write_text(
        "tasks: [optscale_arithmetic]\noutput_path: out\nmodel_args: {policy: esc, seed: 3}\n"
        "limit: 2\ninclude_path: mine\n"
    )
    read = read_flags(["--config", str(file)])
    assert read.parsed.model == "optscale" and read.tasks == ("optscale_arithmetic",)
    assert read.parsed.model_args == {"policy": "esc", "seed": 3, "record": "out/records"}
    assert read.parsed.include_path == [str(TASKS), "mine"] and read.settings["limit"] == 2
    over = read_flags(["--config", str(file), "--output", "other", "--model_args", "policy=best_of_n"])
    assert over.parsed.model_args == {"policy": "best_of_n", "record": "other/records"}
    file.write_text("model_args: policy=esc,max_samples=4\n")
    assert read_flags(["--config", str(file)]).parsed.model_args == {"policy": "esc", "max_samples": 4}


def test_results_in_a_file_have_their_record_beside_it():
    assert str(read_flags([*ARITHMETIC, "-o", "runs/mine.json"]).record) == "runs/records"


def test_prompts_come_from_files_for_every_model(tmp_path):
    (tmp_path / "system.txt").write_text("Be careful.\n")
    given = [
        "--system_file",
        str(tmp_path / "system.txt"),
        "--prompt_file",
        "p.txt",
        "--metadata",
        '{"questions": "q"}',
    ]
    for model in ("optscale", "hf"):
        read = read_flags(["--model", model, *ARITHMETIC, *given])
        assert read.parsed.system_instruction == "Be careful." and not hasattr(read.parsed, "system_file")
        assert read.parsed.metadata == read.settings["metadata"] == {"questions": "q", "prompt": "p.txt"}
    with pytest.raises(InputError, match="the system prompt is given twice"):
        read_flags([*ARITHMETIC, *given, "--system_instruction", "Hurry."])
    (tmp_path / "p.txt").write_text("{question}!")
    prompt = ["--prompt_file", str(tmp_path / "p.txt")]
    check(read_flags([*ARITHMETIC, *prompt]))
    for task in ("optscale_gsm8k", "gsm8k"):
        with pytest.raises(InputError, match=f"--prompt_file: task {task} asks as lm-eval's own does"):
            check(read_flags(["--tasks", task, *prompt]))


def test_another_model_is_lm_evals_own_business(tmp_path):
    read = read_flags(["--model", "hf", *ARITHMETIC, "--output_path", str(tmp_path)])
    assert not read.ours and read.record is None and read.parsed.model_args is None
    check(read)
    for flag in ("--policies", "--record"):
        with pytest.raises(InputError, match=f"{flag} is for --model optscale, and --model is hf"):
            read_flags(["--model=hf", flag, "esc"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--policies"], "argument --policies/--policy: expected one argument"),
        (["--policies", " "], "--policies is empty"),
        (["--polices", "esc"], "unrecognized arguments: --polices esc; did you mean '--policies'?"),
        (["--m", "x"], "ambiguous option: --m could match"),
        (["--seed", "x"], "argument --seed: invalid value: 'x'"),
        (["--policies", "esc", "--model_args", "policies=esc"], "policies is given twice"),
        (["--config", "{tmp}/none.yaml"], "none.yaml"),
        (["--config", "{tmp}/wrong.yaml"], "'task' is no flag of lm-eval's; did you mean 'tasks'?"),
        (["--config", "{tmp}/list.yaml"], "a file of settings has a flag of lm-eval's and its value in each line"),
        (["--samples", "{{x"], "argument --samples/-E: invalid value"),
        (["ls", "everything"], "invalid choice: 'everything'"),
    ],
)
def test_flags_that_are_none_are_one_line(given, says, tmp_path):
    (tmp_path / "wrong.yaml").write_text("task: optscale_arithmetic\n")
    (tmp_path / "list.yaml").write_text("- optscale_arithmetic\n")
    with pytest.raises(InputError) as raised:
        read_flags([part.format(tmp=tmp_path) for part in given])
    assert says in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "name --tasks: optscale_aime24, "),
        (["--tasks", "optscale_arithmatic"], "no task 'optscale_arithmatic'; did you mean 'optscale_arithmetic'?"),
        ([*ARITHMETIC, "--limit", "0"], "--limit must be > 0, got 0"),
        ([*ARITHMETIC, "--policies", "bestofn"], "unknown policy 'bestofn'; did you mean 'best_of_n'?"),
        (
            [*ARITHMETIC, "--model_args", "policy=esc:windw=2"],
            "policy 'esc' has no setting 'windw'; did you mean 'window'?",
        ),
        ([*ARITHMETIC, "--model_args", "bas_url=x"], "--model_args: there is no 'bas_url'; did you mean 'base_url'?"),
        (
            [*ARITHMETIC, "--policies", "best_of_n", "--model_args", "score_min=0.9"],
            "score_min=0.9 in --model_args is a setting of policy=, and none is named beside --policies",
        ),
        ([*ARITHMETIC, "--model_args", "temperature=warm"], "--temperature must be a number, got 'warm'"),
        ([*ARITHMETIC, "--model_args", "selection=best"], "unknown selection 'best'"),
        ([*ARITHMETIC, "--model_args", "prior=vague"], "prior must be learnt"),
        ([*ARITHMETIC, "--model_args", "limit_tokens=0"], "max_tokens of all questions must be >= 1"),
        ([*ARITHMETIC, "--model_args", "pool={tmp}"], "not a pool"),
        ([*ARITHMETIC, "--gen_kwargs", "temperature=0.5"], "holds for samples only with do_sample=true beside it"),
        ([*ARITHMETIC, "--gen_kwargs", "top_k=5"], "--gen_kwargs top_k: this model does not follow it"),
        ([*ARITHMETIC, "--max_batch_size", "4"], "--max_batch_size is not used by this model"),
        ([*ARITHMETIC, "--device", "mps"], "--device mps: models run on the first GPU, or on the CPU"),
        ([*ARITHMETIC, "--metadata", '{{"question": "f"}}'], "our tasks have no 'question'; did you mean 'questions'?"),
        ([*ARITHMETIC, "--metadata", '{{"questions": "{tmp}/column.jsonl"}}'], "column 'question' is missing"),
        ([*ARITHMETIC, "--output", "{tmp}/column.jsonl/below"], "cannot write: Not a directory"),
        ([*ARITHMETIC, "--record", "{tmp}/column.jsonl"], "cannot write: Not a directory"),
        ([*ARITHMETIC, "--use_cache", "{tmp}/column.jsonl/cache"], "cannot write: "),
    ],
)
def test_what_is_wrong_is_found_before_anything_loads(given, says, tmp_path):
    (tmp_path / "column.jsonl").write_text('{"text": "1+2="}\n')
    read = read_flags([part.format(tmp=tmp_path) for part in given])
    with pytest.raises(InputError) as raised:
        check(read)
    assert says in str(raised.value) and "\n" not in str(raised.value)


def test_the_help_has_ours_before_lm_evals_own(capsys):
    with pytest.raises(SystemExit) as stopped:
        read_flags(["--help"])
    shown = capsys.readouterr().out
    arguments = [*flag_names(GeneratorOptions()), *flag_names(VerifierOptions()), "server.timeout", "vllm.dtype"]
    arguments += [one.name for one in fields(EvaluationOptions)]
    named = {line.strip().partition(":")[0] for line in shown.splitlines() if line.startswith("  ")}
    assert {*own_tasks(), *POLICIES, *(set(arguments) - {"server", "vllm"})} <= named and stopped.value.code == 0
    order = [
        "usage: optscale eval",
        "--policies",
        "examples",
        "policies, as",
        "\nour tasks",
        "\n--model_args of our",
        "--limit <",
    ]
    places = [shown.index(one) for one in order]
    assert places == sorted(places)


@pytest.mark.parametrize(("gpu", "fits"), [(False, "cpu"), (True, "cuda"), (True, "cuda:0")])
def test_a_device_holds_or_is_refused(gpu, fits, monkeypatch):
    """--device cuda ran on the CPU where there was no GPU, and --device cpu on the GPU where there was one."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    require_device(read_flags([*ARITHMETIC, "--device", fits]))
    with pytest.raises(InputError, match="torch finds no GPU here" if not gpu else "models run on the GPU"):
        require_device(read_flags([*ARITHMETIC, "--device", "cpu" if gpu else "cuda"]))


def test_lm_evals_index_is_read_where_its_tasks_are_asked_for(monkeypatch):
    from lm_eval import tasks
    from lm_eval.tasks import manager
    from lm_eval.tasks._index import TaskIndex

    read = []
    monkeypatch.setattr(manager.TaskIndex, "build", staticmethod(lambda paths, **_: read.extend(paths) or {}))
    theirs = tasks.TaskManager
    for own in (True, False):
        read.clear()
        with harness(own_tasks_alone=own):
            tasks.TaskManager(include_path=str(TASKS))
        assert [path.name for path in read] == (["tasks"] if own else ["tasks", "tasks"])
    assert tasks.TaskManager is theirs and TaskIndex is manager.TaskIndex and "optscale_arithmetic" in own_tasks()


def test_where_there_is_no_repository_git_says_nothing(tmp_path, monkeypatch, capfd):
    import lm_eval.evaluator

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with harness(own_tasks_alone=True):
        assert lm_eval.evaluator.get_git_commit_hash() is None
        for command in (
            ["init", "-q"],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
        ):
            subprocess.run(["git", *command], check=True, capture_output=True)
        assert len(str(lm_eval.evaluator.get_git_commit_hash())) >= 7
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("lm_eval_tasks")
def test_lm_evals_table_can_be_left_out_for_ours(tmp_path, capsys):
    """It has the width of the longest policy's settings."""
    asked = [*ARITHMETIC, "--limit", "2", "--output_path", str(tmp_path), "--policies", "best_of_n:max_samples=4"]
    evaluate(asked, their_table=False)
    shown = capsys.readouterr().out
    assert "|Metric" not in shown.replace(" ", "") and "\n| policy " in shown
    assert max(len(line) for line in shown.splitlines() if line.startswith("|")) <= 100


@pytest.mark.usefixtures("lm_eval_tasks")
def test_results_that_were_not_written_are_a_failure(tmp_path, capsys, monkeypatch):
    """lm-eval warns, and ended with exit code 0."""
    from lm_eval.loggers import EvaluationTracker

    from optscale_predictor.cli.main import main

    monkeypatch.setattr("logging.raiseExceptions", False)
    monkeypatch.setattr(
        EvaluationTracker, "save_results_aggregated", lambda *_, **__: None
    )  # as it ends on a full disk
    command = [
        "eval",
        *ARITHMETIC,
        "--limit",
        "1",
        "--output",
        str(tmp_path / "out"),
        "--policies",
        "best_of_n:max_samples=1",
    ]
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 2 and "lm-eval could not write its results" in capsys.readouterr().err
    facts = json.loads((tmp_path / "out" / "records" / "optscale_arithmetic" / "run.json").read_text())
    assert facts["samples"] == 1  # the record is there all the same
