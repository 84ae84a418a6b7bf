"""The suite of benchmarks: which there are, and how small ones of its kind are run, kept and told."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import _machine
import _server_process
import pytest
import run_all
from _outcomes import Outcome, Plan, measure
from _ratios import Found, read_found
from _results import results_page
from _suite import BENCHMARKS, NOT_RUN, OTHER_BUILD, PLACES, Benchmark
from stopped_clock import HUNG

FOLDER = Path(run_all.__file__).parent
RATIOS = "from _ratios import print_ratios\nprint('a table')\nprint_ratios('the usual way', {'seconds': 2.0})\n"
#: Costs as many seconds as the build says that it takes.
COSTS = """
from pathlib import Path
import os
from _ratios import print_costs
tree = Path(os.environ["PYTHONPATH"])
took = (tree / "takes").read_text().split()
runs = tree / "runs"
number = len(runs.read_text()) if runs.exists() else 0
runs.write_text("x" * (number + 1))
print_costs({"s, it": float(took[number]), f"only {tree.name}": 1.0})
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    scripts, ours, other, logs = (tmp_path / name for name in ("scripts", "ours", "other", "logs"))
    for folder in (scripts, ours, other, logs):
        folder.mkdir()
    (scripts / "_ratios.py").write_text((FOLDER / "_ratios.py").read_text())
    return Plan(scripts, ours, {"build": str(other), "commit": "abc1234"}, 3, 60.0, logs)


def script(plan, text, name="one"):
    (plan.scripts / f"{name}.py").write_text(text)
    return Benchmark(name, (), "the usual way")


def test_every_benchmark_is_run_or_says_why_not():
    files = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")}
    listed = {one.name for one in BENCHMARKS}
    assert not listed & NOT_RUN.keys()
    assert listed | NOT_RUN.keys() == files


def test_titles_are_different():
    titles = [one.title for one in BENCHMARKS]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("one", BENCHMARKS, ids=lambda one: one.title)
def test_every_size_is_one_that_the_benchmark_knows(one):
    """Read in its file: its help would import PyTorch, sixteen times."""
    source = (FOLDER / f"{one.name}.py").read_text()
    flags = [text for text in one.filled(dict.fromkeys(PLACES, "")) if text.startswith("--")]
    assert [flag for flag in flags if f'add_argument("{flag}"' not in source] == []


def test_what_a_benchmark_found(plan):
    outcome = measure(script(plan, RATIOS), plan)
    assert outcome.state == "done"
    assert outcome.ratios == {"seconds": 2.0}
    assert 0 <= outcome.others <= 1
    assert outcome.seconds > 0


def test_two_builds_are_compared_by_their_least_costs(plan):
    (plan.ours / "takes").write_text("3 2 9")
    (Path(plan.places["build"]) / "takes").write_text("8 6 7")
    script(plan, COSTS)
    outcome = measure(Benchmark("one", (), OTHER_BUILD), plan)
    assert outcome.ratios == {"s, it": 3.0}
    assert outcome.baseline == "the build of abc1234"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("raise SystemExit('no such thing')", "no such thing"),
        ("print('done')", "its last line is not what it found"),
        ('print(\'{"costs": {"s": 1.0}}\')', "its last line is not what it found"),  # and it has a baseline of its own
        (f"{RATIOS}print('and more')", "its last line is not what it found"),
    ],
)
def test_a_benchmark_that_fails_says_how(plan, text, said):
    outcome = measure(script(plan, text), plan)
    assert outcome.state == "failed"
    assert said in outcome.why


def test_one_that_takes_too_long_is_ended_with_what_it_started(plan, tmp_path, monkeypatch):
    started = tmp_path / "pid"
    text = "import os, subprocess, sys, time\n"
    text += "one = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    text += f"open({str(tmp_path / 'part')!r}, 'w').write(str(one.pid))\n"
    text += f"os.replace({str(tmp_path / 'part')!r}, {str(started)!r})\ntime.sleep(600)\n"
    wait = subprocess.Popen.wait

    def waited(process, seconds=None):
        """The limit is over once the other process has been started."""
        if seconds == 60.0:
            while not started.exists():
                time.sleep(0.01)
            seconds = 0.0
        return wait(process, seconds)

    monkeypatch.setattr(subprocess.Popen, "wait", waited)
    outcome = measure(script(plan, text), plan)
    assert "longer than 60 s" in outcome.why
    while not ended(started.read_text()):
        time.sleep(0.01)


#: Answers ``/health``, has a process of its own, and does not end when it is told to.
STUBBORN = """
import http.server, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
one = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(one.pid).encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
"""


def test_a_server_that_does_not_end_is_ended_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(_server_process, "_END", 0.0)
    port = _server_process.free_port()
    command = [sys.executable, "-c", STUBBORN, str(port)]
    with _server_process.running("stubborn", command, port, tmp_path, os.environ, HUNG) as address:
        with urllib.request.urlopen(f"{address}/health") as reply:
            own = int(reply.read())
        assert not ended(own)
    while not ended(own):
        time.sleep(0.01)


def ended(process):
    """Whether it is gone, or waits to be asked how it ended."""
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_what_cannot_run_is_named_with_what_it_lacks(plan, tmp_path):
    script(plan, RATIOS)
    places = {"data": str(tmp_path)}
    one = Benchmark("one", ("--vllm", "{vllm}"), "the usual way", modules=("no_such_package",))
    assert measure(one, plan).why == "needs an interpreter that has vLLM (--vllm_python); the package no_such_package"
    with_file = Benchmark("one", ("--data", "{data}/rows.jsonl"), "the usual way")
    assert with_file.missing(places) == ["the file rows.jsonl of --data"]
    (tmp_path / "rows.jsonl").touch()
    assert with_file.missing(places) == []
    assert measure(Benchmark("one", (), OTHER_BUILD), Plan(plan.scripts, plan.ours, {}, 1, 60.0, plan.logs)).state == (
        "missing"
    )


def test_outcomes_are_kept_as_they_come_and_failures_are_not(plan, tmp_path, capsys):
    good, bad = script(plan, RATIOS, "good"), script(plan, "raise SystemExit(1)", "bad")
    page = tmp_path / "RESULTS.md"
    folder = plan.logs
    first = run_all.run_all([bad, good], plan, folder, page)
    assert [one.state for one in first] == ["failed", "done"]
    assert "[1/2] bad ... failed" in capsys.readouterr().out
    runs = {name: (folder / f"{name}.log").read_text().count("$ ") for name in ("good", "bad")}
    script(plan, RATIOS, "bad")
    second = run_all.run_all([bad, good], plan, folder, page)
    assert [one.state for one in second] == ["done", "done"]
    assert second[1] == first[1]
    assert (folder / "bad.log").read_text().count("$ ") == runs["bad"] + 1
    assert (folder / "good.log").read_text().count("$ ") == runs["good"]
    run_all.run_all([good], plan, folder, page, again=True)
    assert (folder / "good.log").read_text().count("$ ") == runs["good"] + 1
    late = script(plan, RATIOS, "late")
    assert [one.title for one in run_all.run_all([late, bad], plan, folder, page, within=0.0)] == ["bad"]
    assert "- `late`: not yet run" in page.read_text()
    # A call for one alone leaves the other's line on the page, whatever else was given.
    plan = replace(plan, places={**plan.places, "vllm": "/x/python"})
    run_all.run_all([bad], plan, folder, page, suite=[bad, good, Benchmark("later", (), "")])
    assert "| good | the usual way |" in page.read_text() and "- `later`: not yet run" in page.read_text()
    assert (folder / "bad.log").read_text().count("$ ") == runs["bad"] + 1


def test_the_page_has_every_ratio_and_every_lack(plan):
    done = Outcome(
        "fast", "done", "the usual way", {"seconds": 2.345, "tokens": 1.0}, "", 12.0, 7.0, 0.25, 1.0, 2.0, "now"
    )
    failed = Outcome("broken", "failed", "", why="one, in /home/me/one.py:3\ntwo of 1/2; see '/x/y/a.log'")
    missing = Outcome("absent", "missing", "", why="needs a car")
    chosen = [Benchmark(name, (), "") for name in ("fast", "broken", "absent", "later")]
    page = results_page([done, failed, missing], chosen, "abc", {"commit": "def", "vllm": "/x/python"})
    row = "| fast | the usual way | seconds | 2.35 | 1 to 2.35, 2 ratios | 12 | 7 | 25% | 1.0 / 2.0 | now |"
    assert row in page
    assert "| fast | seconds | 2.35 |\n| fast | tokens | 1 |" in page
    assert "- `broken`: one, in one.py:3 / two of 1/2; see 'a.log'" in page
    assert "- `absent`: needs a car" in page
    assert "- `later`: not yet run" in page
    assert "/x/python" not in page


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ('a\n{"baseline": "b", "ratios": {"s": 2}}\n\n', Found("b", {"s": 2})),
        ('{"costs": {"s": 0.5}}', Found("", {"s": 0.5})),
        ("", None),
        ("[1]", None),
        ('{"baseline": "b", "ratios": {}}', None),
        ('{"baseline": "b", "ratios": {"s": 0}}', None),
        ('{"baseline": "b", "ratios": {"s": NaN}}', None),
        ('{"ratios": {"s": 1}}', None),
        ('{"baseline": "b", "costs": {"s": 1}}', None),
    ],
)
def test_the_last_line_is_read_as_it_was_written(output, found):
    assert read_found(output) == found


def test_what_others_use_of_the_machine():
    before, after = _machine.Busy(100.0, 40.0, 5.0), _machine.Busy(120.0, 55.0, 10.0)
    assert _machine.share_of_others(before, after) == 0.5
    assert _machine.share_of_others(before, before) == 0.0
    assert json.dumps(_machine.describe())
