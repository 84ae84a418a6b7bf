"""A vote among the samples of another server runs where torch and its like are not installed."""

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
from served_optscale import client_of
from served_world import serving
from small_pools import write_scored
from tool_server import WEATHER, call, calling
from vendor_server import VendorServer

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

#: Runs the command where the packages that follow it, up to ``--``, cannot be imported.
WITHOUT = """
import sys
from optscale_predictor.cli.main import main
at = sys.argv.index("--")
sys.modules.update(dict.fromkeys(sys.argv[1:at]))
sys.argv[1:] = sys.argv[at + 1 :]
main()
"""


def name_of(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9_.-]+", requirement).group().lower().replace("_", "-")


def left_out() -> list[str]:
    """What the core's dependencies beyond the group are imported as."""
    group = {name_of(one) for one in PROJECT["dependency-groups"]["light"]}
    absent = {name_of(one) for one in PROJECT["project"]["dependencies"]} - group
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
    assert {"torch", "transformers", "peft", "pytorch_lightning", "datasets"} <= set(left_out())


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


@pytest.mark.parametrize(
    "command",
    [
        "replay {pool} --policies optscale",
        "report {pool} --policies optscale --output {out}",
        "targets {pool} --output {out}/targets.parquet",
    ],
    ids=lambda command: command.split()[0],
)
def test_recorded_samples_are_read_without_torch(command, tmp_path):
    """Which takes seconds to import, and 200 MB."""
    pool = write_scored(tmp_path / "pool", samples=8).folder
    words = command.format(pool=pool, out=tmp_path / "out").split()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "torch", "--", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("Error")) == (0, 0), done.stderr
