"""The tutorial, run as it stands: every command in order, in a folder of its own, and its Python."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page, in order: their language and their text."""
    return FENCE.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))


@pytest.mark.full
def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    """All of it but the installation; the commands of this environment, and nothing of the shell's own."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(ROOT)
    for language, text in blocks("tutorial.md"):
        if "pip install" in text:
            continue
        start = ["bash", "-euc", text] if language == "bash" else [sys.executable, "-c", text]
        ran = subprocess.run(start, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, f"{text}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*")}
    assert {"report/report.html", "policy/fitted_policy.json", "predictor/optscale_config.json"} <= made
    assert (tmp_path / "priors.jsonl").read_text(encoding="utf-8").count("\n") == 1
