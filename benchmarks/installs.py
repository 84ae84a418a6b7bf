"""Whether the package installs and runs in clean environments: Python by extra by newest or lowest versions.

    python benchmarks/installs.py --pythons python3.11 python3.12 python3.13 --sets light core --versions newest lowest

Each row is a new environment in a temporary folder: the package of this checkout with what its set needs, torch first
in the version of ``constraints.txt``. ``newest`` leaves the rest to pip; ``lowest`` holds every package that
``pyproject.toml`` names for the set to its lower bound, but for torch, whose bound ``--torch 2.6.0`` tries. Then the
set's commands run in a folder outside the checkout. Printed are a table, and to standard error the last lines
of what failed. An environment is removed before the next one is made: the largest takes six gigabytes.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LIGHT, CORE = "light", "core"
_BOUND = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(\[[^]]*\])?\s*>=\s*(?P<lowest>[^,; ]+)")
_LAST_LINES = 12  # of what failed

_SAMPLES = "\n".join(
    f'{{"question_id": "q{question}", "question": "{question}+1=", "gold": "{question + 1}", "sample_index": {index}, '
    f'"text": "The answer is {question + index % 2}.", "answer": "{question + index % 2}", "num_tokens": 6, '
    f'"score": {0.2 + 0.6 * (index % 2)}}}'
    for question in range(12)
    for index in range(4)
)
_POLICIES = "'best_of_n:max_samples=4 self_consistency:max_samples=4 optscale:score_min=0.7,max_samples=4'"
_POOL = (
    "optscale generate pool --questions embedded:train:24 --num_samples 4 --max_tokens 96",
    "optscale score pool --verifier embedded:verifier",
)
#: What runs in an environment, by set; ``samples.jsonl`` lies in the folder, a server of completions is at ``{url}``.
#: All but the light one have the core.
COMMANDS: Mapping[str, Sequence[str]] = {
    LIGHT: (
        "optscale pool import imported samples.jsonl",
        "optscale pool info imported",
        "optscale answer '1+2=' --base_url {url}/v1 --verifier none --policy self_consistency:max_samples=3",
        "optscale answer '1+2=' --base_url {url}/v1 --verifier none --policy esc:max_samples=8",
        "python -c 'import pydantic, prometheus_client, optscale_predictor.serving.application'",
    ),
    CORE: (
        *_POOL,
        f"optscale replay pool --policies {_POLICIES}",
        "optscale targets pool --output targets.parquet",
        "optscale train fit --config arithmetic --data.path targets.parquet --model.output predictor "
        "--trainer.max_epochs 1",
        "optscale predict predictor embedded:test:3",
        "optscale answer '12+34=' --max_samples 4",
    ),
    "eval": ("optscale eval --tasks optscale_arithmetic --limit 2 --policies best_of_n:max_samples=2",),
    "server": ("python -c 'import httptools, optscale_predictor.serving.application'", "optscale serve --help"),
    "plot": (*_POOL, f"optscale report pool --policies {_POLICIES} --output report"),
    "fit": (*_POOL, "optscale fit-policy pool --output policy"),
    "demo": (
        "optscale demo --output demo --train_questions 24 --test_questions 8 --samples 4 --epochs 1 --live_questions 2",
    ),
}


class Upstream(BaseHTTPRequestHandler):
    """As much of a completions server as a vote asks: every sample says the same."""

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """Which models there are."""
        self._say({"object": "list", "data": [{"id": "one", "object": "model"}]})

    def do_POST(self) -> None:
        """As many samples as are asked for."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = asked.get("n", 1)
        choices = [{"index": index, "text": "It is 3.", "finish_reason": "stop"} for index in range(number)]
        usage = {"prompt_tokens": 4, "completion_tokens": 4 * number, "total_tokens": 4 + 4 * number}
        self._say({"object": "text_completion", "choices": choices, "usage": usage})

    def _say(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pythons", nargs="+", default=[sys.executable], help="interpreters to make environments with")
    parser.add_argument("--sets", nargs="+", default=[LIGHT, CORE], choices=COMMANDS, help="light, core, or extras")
    parser.add_argument("--versions", nargs="+", default=["newest", "lowest"], choices=("newest", "lowest"))
    parser.add_argument("--torch", default=_pinned("torch"), help="its version; that of constraints.txt by default")
    flags = parser.parse_args()
    failures, upstream = 0, ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{upstream.server_port}"
    print("| Python | set | versions | installed | ran |\n| --- | --- | --- | --- | --- |")
    for python in flags.pythons:
        for kind in flags.sets:
            for versions in flags.versions:
                with tempfile.TemporaryDirectory() as folder:
                    row, failed = try_one(python, kind, versions, flags.torch, Path(folder), url)
                print(f"| {' | '.join(row)} |", flush=True)
                if failed:
                    failures += 1
                    print(f"{' '.join(row[:3])}: {failed}", file=sys.stderr, flush=True)
    sys.exit(1 if failures else 0)


def try_one(python: str, kind: str, versions: str, torch: str, folder: Path, url: str) -> tuple[list[str], str]:
    """Makes one environment and runs its set's commands.

    Args:
        python: The interpreter.
        kind: The set, of :data:`COMMANDS`.
        versions: ``newest`` or ``lowest``.
        torch: Its version, where the set needs it.
        folder: An empty one.
        url: Of a server of completions.

    Returns:
        The table's row, and the last lines of what failed; empty where nothing did.
    """
    number = _said([python, "-c", "import platform; print(platform.python_version())"]).strip()
    row = [number, kind, versions]
    clock = time.monotonic()
    for step in install_steps(python, kind, versions, torch, folder):
        ran = subprocess.run(step, capture_output=True, text=True, cwd=folder)
        if ran.returncode:
            return [*row, "no", ""], _ends(step, ran)
    there = folder / "env" / "bin"
    size = sum(file.lstat().st_size for file in (folder / "env").rglob("*") if file.is_file())
    row.append(f"{size / 1e6:,.0f} MB in {time.monotonic() - clock:.0f} s{_torch_of(there)}")
    work = folder / "work"
    work.mkdir()
    (work / "samples.jsonl").write_text(_SAMPLES + "\n")
    environment = {**os.environ, "PATH": f"{there}{os.pathsep}{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    commands = ("optscale --version", "optscale --help", *COMMANDS[kind])
    for command in commands:
        words = shlex.split(command.replace("{url}", url))
        words[0] = shutil.which(words[0], path=str(there)) or words[0]
        ran = subprocess.run(words, capture_output=True, text=True, cwd=work, env=environment)
        if ran.returncode:
            return [*row, "no"], _ends([command], ran)
    return [*row, f"{len(commands)} commands"], ""


def install_steps(python: str, kind: str, versions: str, torch: str, folder: Path) -> list[list[str]]:
    """The commands that make an environment, in ``folder / "env"``."""
    there = str(folder / "env" / "bin" / "python")
    pip = [there, "-m", "pip", "install", "-q", "--no-compile"]
    limits: list[str] = []
    if versions == "lowest":
        (folder / "lowest.txt").write_text("\n".join(lowest_versions(kind)) + "\n")
        limits = ["-c", "lowest.txt"]
    steps = [[python, "-m", "venv", str(folder / "env")], [*pip, "--upgrade", "pip"]]
    if kind == LIGHT:
        group = [*pip, *limits, *PROJECT["dependency-groups"][LIGHT]]
        return [*steps, group, [*pip, "--no-deps", str(ROOT)]]
    extra = "" if kind == CORE else f"[{kind}]"
    return [*steps, [*pip, f"torch=={torch}"], [*pip, *limits, f"{ROOT}{extra}"]]


def lowest_versions(kind: str) -> list[str]:
    """``name==lower bound`` of each package that ``pyproject.toml`` names for a set, extras' extras included.

    Args:
        kind: ``light``, ``core`` or an extra. torch is left out.
    """
    if kind == LIGHT:
        named = list(PROJECT["dependency-groups"][LIGHT])
    else:
        named = [*PROJECT["project"]["dependencies"], *(() if kind == CORE else _of_extra(kind))]
    bounds = [found for one in named if (found := _BOUND.match(one)) and found["name"] != "torch"]
    return [f"{found['name']}=={found['lowest']}" for found in bounds]


def _of_extra(extra: str) -> list[str]:
    found = []
    for one in PROJECT["project"]["optional-dependencies"][extra]:
        inside = re.fullmatch(r"optscale-predictor\[(.*)\]", one)
        found += [part for name in inside[1].split(",") for part in _of_extra(name)] if inside else [one]
    return found


def _pinned(package: str) -> str:
    text = (ROOT / "constraints.txt").read_text()
    return next(line.partition("==")[2] for line in text.splitlines() if line.startswith(f"{package}=="))


def _torch_of(there: Path) -> str:
    said = _said([str(there / "python"), "-m", "pip", "list", "--format=freeze"])
    found = re.search(r"^torch==(.+)$", said, re.M)
    return f", torch {found[1]}" if found else ""


def _said(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _ends(command: Sequence[str], ran: "subprocess.CompletedProcess[str]") -> str:
    said = (ran.stdout + ran.stderr).splitlines()
    lines = [line for line in said if line.strip() and not line.startswith("WARNING: ")]
    return "\n    ".join([f"exit code {ran.returncode} of {' '.join(command)}", *lines[-_LAST_LINES:]])


if __name__ == "__main__":
    main()
