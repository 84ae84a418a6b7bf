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
SCRIPT = """
import contextlib, io, json, sys
from optscale_predictor.cli.main import main
for command in json.loads(sys.argv[1]):
    shown, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        main(command)
    print(json.dumps([sorted(sys.modules), shown.getvalue(), said.getvalue()]))
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
#: Runs a command until its first line, and shows that with all that was imported by then.
FIRST_LINE = """
import json, os, sys
from optscale_predictor.cli.main import main

class FirstLine:
    def write(self, text):
        print(json.dumps([sorted(sys.modules), text]), flush=True)
        os._exit(0)
    def flush(self):
        pass
    def isatty(self):
        return False

sys.stderr = FirstLine()
main(sys.argv[1:])
"""


def loaded_by(*commands):
    """What a fresh interpreter has imported after each command; what that showed, and what it said of mistakes."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT, json.dumps(commands)], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    return [(set(loaded), shown, said) for loaded, shown, said in map(json.loads, ran.stdout.splitlines())]


def test_help_and_wrong_verbs_import_nothing_but_the_standard_library():
    for command, (loaded, _, _) in zip(QUICK, loaded_by(*QUICK), strict=True):
        assert not loaded & {*HEAVY, "numpy", "scipy", "jsonargparse", "yaml", "tqdm"}, command


@pytest.mark.parametrize("commands", MISTAKES)
def test_a_mistake_is_found_before_anything_heavy_is_imported(commands):
    given, allowed = MISTAKES[commands]
    for command, (loaded, _, said) in zip(given, loaded_by(*given), strict=True):
        assert loaded & set(HEAVY) <= {*allowed}, command
        assert "--help" in command or said.startswith("optscale: error: "), command


def test_an_answer_imports_what_it_draws_with_and_says_so_first():
    ((loaded, shown, said),) = loaded_by(["answer", "12+34=", "--score_min", "0.5"])
    assert "torch" in loaded and "stopped   " in shown
    assert not loaded & {"lm_eval", "pytorch_lightning", "datasets", "matplotlib", "scipy.stats", "sklearn", "pandas"}
    # What only a pool, a predictor or a learnt prior needs.
    assert not loaded & {"pyarrow", "scipy.interpolate", "optscale_predictor.predictor", "optscale_predictor.pools"}
    first, *others = said.splitlines()
    assert first.startswith("loading PyTorch, transformers and embedded:generator")
    assert not [line for line in others if "Loading weights" in line or "Warning" in line]


@pytest.mark.parametrize(
    "asked", [[], ["--device", "cpu"], ["--limit", "6", "--policies", "best_of_n self_consistency"]]
)
def test_an_evaluation_says_a_line_before_anything_heavy_is_imported(asked):
    command = ["eval", "--tasks", "optscale_arithmetic", *asked]
    ran = subprocess.run([sys.executable, "-c", FIRST_LINE, *command], capture_output=True, text=True, check=True)
    loaded, said = json.loads(ran.stdout)
    assert said.startswith("loading PyTorch and lm-eval")
    allowed = {"lm_eval", "pyarrow", "scipy.optimize"}
    assert not ({*HEAVY, "optscale_predictor.predictor"} - allowed) & set(loaded)


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
