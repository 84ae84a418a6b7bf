"""How soon a command answers: by what it may not import, since times are the machine's."""

import json
import subprocess
import sys

import pytest

from optscale_predictor.cli import train_verb
from optscale_predictor.cli.main import main

HEAVY = (
    *("torch", "transformers", "peft", "pytorch_lightning", "datasets", "lm_eval", "pyarrow", "matplotlib"),
    *("scipy.stats", "scipy.optimize", "sklearn", "pandas", "lightgbm", "ray", "vllm", "aiohttp", "orjson"),
)
#: Runs commands one after the other, then groups of them each in a fork; shows what is imported after each, and what
#: was shown and said. What a command has imported stays for those after it; forks see nothing of one another.
SCRIPT = """
import contextlib, io, json, os, sys
from optscale_predictor.cli.main import main

def run(commands, stop_early=False):
    for command in commands:
        shown, said = io.StringIO(), FirstLine() if stop_early else io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
            main(command)
        tell(shown.getvalue(), said.getvalue())

def tell(shown, said):
    print(json.dumps([sorted(sys.modules), shown, said]), flush=True)

class FirstLine(io.StringIO):
    def write(self, text):
        sys.stdout = sys.__stdout__
        tell("", text)
        os._exit(0)

first, groups, until_first_line = json.loads(sys.argv[1])
run(first)
for commands in groups + until_first_line:
    if os.fork() == 0:
        run(commands, commands in until_first_line)
        os._exit(0)
    assert os.wait()[1] == 0
"""
QUICK = [[], ["--help"], ["--version"], ["train", "--help"], ["train", "fti"], ["anwser"]]
#: Mistakes, and what else may be imported by then; what a command has imported stays for those after it.
MISTAKES = {
    "nothing": (
        [
            ["answer", "--help"],
            ["answer", "1+2=", "--policy", "bestofn"],
            ["answer", "1+2=", "--temperature", "warm"],
            ["serve", "--policy", "bestofn"],
        ],
        (),
    ),
    "pools": ([["generate", "nowhere", "--questions", "nowhere.jsonl"], ["pool", "info", "nowhere"]], ("pyarrow",)),
    # jsonargparse looks the verb's own name up in the package, where it is a function of the library's.
    "replay": ([["replay", "nowhere", "--policies", "bestofn"]], ("pyarrow", "scipy.optimize")),
    "eval": ([["eval", "--tasks", "optscale_arithmetic", "--policies", "bestofn"]], ("lm_eval",)),
    "arguments of eval": (
        [
            ["eval", "--tasks", "optscale_arithmetic", "--model_args", "in_flight=none"],
            ["eval", "--tasks", "optscale_arithmetic", "--model_args", "predictr=nowhere"],
            ["eval", "--tasks", "optscale_arithmetic", "--model_args", "pool=nowhere"],
        ],
        ("lm_eval", "pyarrow", "scipy.optimize"),
    ),
}
ANSWER = ["answer", "12+34=", "--score_min", "0.5"]
EVALUATIONS = {
    "plain": [],
    "device": ["--device", "cpu"],
    "policies": ["--limit", "6", "--policies", "best_of_n self_consistency"],
}


@pytest.fixture(scope="module")
def loaded():
    """By group, what an interpreter has imported after each command; what that showed, and what it said of mistakes."""
    none, *groups = ([*MISTAKES[name][0]] for name in MISTAKES)
    until_first_line = [[["eval", "--tasks", "optscale_arithmetic", *asked]] for asked in EVALUATIONS.values()]
    # What has to import nothing comes first, and is there for the forks after it.
    given = [[*QUICK, *none], [*groups, [ANSWER]], until_first_line]
    ran = subprocess.run([sys.executable, "-c", SCRIPT, json.dumps(given)], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    rows = [(set(loaded), shown, said) for loaded, shown, said in map(json.loads, ran.stdout.splitlines())]
    sizes = {"quick": len(QUICK), **{name: len(MISTAKES[name][0]) for name in MISTAKES}, "answer": 1}
    sizes |= dict.fromkeys(EVALUATIONS, 1)
    assert len(rows) == sum(sizes.values())
    left = iter(rows)
    return {name: [next(left) for _ in range(size)] for name, size in sizes.items()}


def test_help_and_wrong_verbs_import_nothing_but_the_standard_library(loaded):
    for command, (modules, _, _) in zip(QUICK, loaded["quick"], strict=True):
        assert not modules & {*HEAVY, "numpy", "scipy", "jsonargparse", "yaml", "tqdm"}, command


@pytest.mark.parametrize("commands", MISTAKES)
def test_a_mistake_is_found_before_anything_heavy_is_imported(commands, loaded):
    given, allowed = MISTAKES[commands]
    for command, (modules, _, said) in zip(given, loaded[commands], strict=True):
        assert modules & set(HEAVY) <= {*allowed}, command
        assert "--help" in command or said.startswith("optscale: error: "), command


def test_an_answer_imports_what_it_draws_with_and_says_so_first(loaded):
    ((modules, shown, said),) = loaded["answer"]
    assert "torch" in modules and "stopped   " in shown
    assert not modules & {"lm_eval", "pytorch_lightning", "datasets", "matplotlib", "scipy.stats", "sklearn", "pandas"}
    # What only a pool, a predictor or a learnt prior needs.
    assert not modules & {"pyarrow", "scipy.interpolate", "optscale_predictor.predictor", "optscale_predictor.pools"}
    first, *others = said.splitlines()
    assert first.startswith("loading PyTorch, transformers and embedded:generator")
    assert not [line for line in others if "Loading weights" in line or "Warning" in line]


@pytest.mark.parametrize("asked", EVALUATIONS)
def test_an_evaluation_says_a_line_before_anything_heavy_is_imported(asked, loaded):
    ((modules, _, said),) = loaded[asked]
    assert said.startswith("loading PyTorch and lm-eval")
    allowed = {"lm_eval", "pyarrow", "scipy.optimize"}
    assert not ({*HEAVY, "optscale_predictor.predictor"} - allowed) & modules


@pytest.mark.parametrize("command", [["train"], ["train", "--help"], ["train", "-h", "-q"]])
def test_train_has_a_help_of_its_own(command, capsys):
    main(command)
    shown = capsys.readouterr().out
    assert shown.startswith("usage: optscale train fit") and "optscale train fit --help" in shown


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["fti"], "unknown command 'fti'; did you mean 'fit'?; the one command is fit"),
        (["--data.path", "x"], "--data.path: a command comes first, then its flags: optscale train fit --data.path"),
    ],
)
def test_a_training_without_its_command_is_told_so(command, says, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", *command])
    assert stopped.value.code == 2 and says in capsys.readouterr().err


def test_flags_that_the_help_names_are_there(capsys):
    """The help is written by hand: Lightning's own takes seconds to make."""
    from optscale_predictor.predictor.training.train_command import CONFIGS

    with pytest.raises(SystemExit):
        main(["train", "fit", "--help"])
    every = capsys.readouterr().out
    assert all(recipe.stem in train_verb._HELP for recipe in CONFIGS.glob("*.yaml"))
    named = [line.split()[0] for line in train_verb._HELP.splitlines() if line.startswith("  --")]
    assert len(named) >= 8 and all(f"{flag} " in every or f"{flag}\n" in every for flag in named)
