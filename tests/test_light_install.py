"""What needs no model runs where torch and its like are not installed: a vote, replays, reports; the rest says so."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path

import pytest
from recorded_runs import record_run, sums_pool
from served_optscale import client_of
from served_world import serving
from small_pools import write_scored
from tool_server import WEATHER, call, calling
from vendor_server import VendorServer

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

#: Runs a command, or several and shows how each ended, where the packages that stand before ``--`` are not found.
WITHOUT = """
import contextlib, io, json, sys
at = sys.argv.index("--")
absent, commands = set(sys.argv[1:at]), sys.argv[at + 1 :]

class Finder:
    def __init__(self, behind):
        self.behind = behind
    def __getattr__(self, name):
        return getattr(self.behind, name)
    def find_spec(self, name, *place):
        return None if name.partition(".")[0] in absent else self.behind.find_spec(name, *place)

sys.meta_path[:] = map(Finder, sys.meta_path)
from optscale_predictor.cli.main import main
if " " not in commands[0]:
    sys.exit(main(commands))
for command in commands:
    shown, said, code = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said):
        try:
            main(command.split())
        except SystemExit as stopped:
            code = stopped.code
    print(json.dumps([code, shown.getvalue(), said.getvalue()]))
"""
EXTRAS = ("eval", "ray", "plot", "fit", "baselines", "gguf")
#: What works, and what it shows.
SHOWN = {
    "replay pool --policies optscale --num_orders 1 --prior learnt --output replayed": "| optscale |",
    "replay pool --policies best_of_n --num_orders 1 --prior_pool pool": "| best_of_n |",
    "tune pool --num_orders 1 --output tuned": "settings chosen on",
    "report run --output reported": "report.html",
    "report pool --num_orders 1 --output replayed_report": "report.html",
    "calibrate pool calibration.json": "fitted to all 8 questions",
    "pool validate pool": "sound: 24 samples",
}
REFUSED = ("answer 1+2=", "generate filled --questions embedded:test:2", "replay pool --predictor nowhere")


def name_of(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9_.-]+", requirement).group().lower().replace("_", "-")


def left_out() -> list[str]:
    """What the core's dependencies beyond the group, and those of the extras, are imported as."""
    group = {name_of(one) for one in PROJECT["dependency-groups"]["light"]}
    extras = PROJECT["project"]["optional-dependencies"]
    needed = [*PROJECT["project"]["dependencies"], *(one for extra in EXTRAS for one in extras[extra])]
    absent = {name_of(one) for one in needed} - group
    imported = importlib.metadata.packages_distributions()
    return sorted(name for name, made_by in imported.items() if absent & {name_of(one) for one in made_by})


@contextmanager
def served_without(*flags: str, folder: Path):
    """``optscale serve`` without what the light install leaves out; yields its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT, *left_out(), "--", "serve", "--port", "0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
    )
    try:
        said = process.stdout.readline()
        assert " at http" in said, process.communicate()[1]
        yield said.partition(" at ")[2].partition("/v1")[0]
    finally:
        process.kill()
        process.communicate()


def test_the_group_is_part_of_what_the_package_needs():
    """With the same bounds, so that there is one place that says which versions work."""
    given = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["server"]]
    assert set(PROJECT["dependency-groups"]["light"]) <= set(given)
    assert {"torch", "transformers", "peft", "pytorch_lightning", "datasets", "matplotlib"} <= set(left_out())


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Exit code, output and errors of each command: one process, without what the light install leaves out."""
    folder = tmp_path_factory.mktemp("recorded")
    record_run(folder / "run", sums_pool(folder / "pool", questions=8, depth=3))
    made = subprocess.run(
        [sys.executable, "-c", WITHOUT, *left_out(), "--", *SHOWN, *REFUSED],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        check=True,
    )
    yield dict(zip([*SHOWN, *REFUSED], map(json.loads, made.stdout.splitlines()), strict=True))
    assert not list(folder.glob("**/*.png"))


@pytest.mark.parametrize("command", SHOWN)
def test_recorded_samples_are_worked_on_without_torch(command, ran):
    """Replays and reports imported torch through the predictor's package, and a report needed its pictures."""
    code, shown, said = ran[command]
    assert code is None and SHOWN[command] in shown, said
    assert said.count("no pictures, only pages and tables: ") == ("--output" in command)


@pytest.mark.parametrize("command", REFUSED)
def test_what_needs_torch_says_so_in_one_line(command, ran):
    code, _, said = ran[command]
    lines = [line for line in said.splitlines() if not line.startswith("loading ")]
    line = (
        "optscale: error: torch is not installed, which a light install leaves out; run: pip install optscale-predictor"
    )
    assert (code, lines) == (2, [line])


def answers(body):
    samples = [calling(call({"city": city})) for city in ("Rome", "Paris", "Paris")]
    choices = [{**one, "index": place, "token_ids": [7] * 5} for place, one in enumerate(samples[: body["n"]])]
    usage = {"prompt_tokens": 9, "completion_tokens": 5 * len(choices), "total_tokens": 9 + 5 * len(choices)}
    return {"object": "chat.completion", "choices": choices, "usage": usage}


@pytest.mark.parametrize(
    ("policy", "verifier", "city", "reason"),
    [
        ("self_consistency:max_samples=3", "none", "Paris", "budget"),
        ("optscale:score_min=0.4", "python:short:score", "Rome", "reached"),  # the posterior and N* are arrays
    ],
)
def test_tool_calls_are_voted_on_and_scored_without_torch(policy, verifier, city, reason, tmp_path):
    (tmp_path / "short.py").write_text("def score(questions, texts):\n    return [0.5 for _ in texts]\n")
    upstream = VendorServer(answers, owner="vllm")
    with (
        serving(upstream.app()) as url,
        served_without(
            "--base_url", f"{url}/v1", "--policy", policy, "--verifier", verifier, folder=tmp_path
        ) as served,
        client_of(served) as client,
    ):
        reply = client.chat.completions.create(
            model="model", messages=[{"role": "user", "content": "Is it warm?"}], tools=[WEATHER]
        )
    assert json.loads(reply.choices[0].message.tool_calls[0].function.arguments) == {"city": city}
    assert reply.model_extra["optscale"]["stop_reason"] == reason and upstream.bodies[0]["tools"] == [WEATHER]


def test_targets_are_made_without_torch(tmp_path):
    """Which takes seconds to import, and 200 MB."""
    pool = write_scored(tmp_path / "pool", samples=8).folder
    words = ["targets", str(pool), "--output", str(tmp_path / "targets.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "torch", "--", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("Error")) == (0, 0), done.stderr
