"""Runs one benchmark of the suite in processes of its own, with one build or two, and says what came of it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from _machine import busy, load_average, share_of_others
from _ratios import Found, read_found
from _suite import Benchmark

_GRACE = 10.0  # seconds between asking a benchmark to end and ending it


@dataclass(frozen=True)
class Plan:
    """How benchmarks are run.

    Attributes:
        scripts: The folder of their files.
        ours: The checkout that is measured.
        places: What fills their arguments' places, by name; ``build`` is the other checkout.
        repeats: Runs of each build, >= 1.
        limit: Seconds that one run may take, > 0.
        logs: Where their output goes, a file each.
    """

    scripts: Path
    ours: Path
    places: Mapping[str, str]
    repeats: int
    limit: float
    logs: Path


@dataclass(frozen=True)
class Outcome:
    """What came of a benchmark.

    Attributes:
        title: Which.
        state: ``done``, ``failed`` or ``missing``.
        baseline: What its ratios are against.
        ratios: The baseline's cost over ours, by what was compared; above 1, ours costs less.
        why: Why it failed, or what is missing.
        seconds: It took.
        work: Processor seconds of it and of everything that it started and that has ended: what it takes at least.
        others: Share of the machine's processor time that other programs had meanwhile, in [0, 1].
        load_before: Load average of the last minute when it began.
        load_after: And when it had ended.
        at: When it ended, in UTC.
    """

    title: str
    state: str
    baseline: str
    ratios: dict[str, float] = field(default_factory=dict)
    why: str = ""
    seconds: float = 0.0
    work: float = 0.0
    others: float = 0.0
    load_before: float = 0.0
    load_after: float = 0.0
    at: str = ""

    def as_dict(self) -> dict[str, object]:
        """As it is kept."""
        return asdict(self)

    def line(self) -> str:
        """In one line, for whoever waits."""
        if self.state != "done":
            return f"{self.state}: {self.why.splitlines()[-1] if self.why else 'it said nothing'}"
        told = ", ".join(f"{name} x {ratio:.3g}" for name, ratio in list(self.ratios.items())[:3])
        more = f" and {len(self.ratios) - 3} more" if len(self.ratios) > 3 else ""
        return f"{told}{more} ({self.seconds:.0f} s)"


class Failed(Exception):
    """A run that ended badly, or said nothing that can be read."""


def measure(one: Benchmark, plan: Plan) -> Outcome:
    """Runs a benchmark; its failure is an outcome."""
    if lacking := one.missing(plan.places):
        return Outcome(one.title, "missing", one.baseline, why="needs " + "; ".join(lacking))
    baseline = one.baseline.format_map(plan.places)
    before, started, load = busy(), time.monotonic(), load_average()
    state, why, ratios = "done", "", {}
    try:
        ratios = against_other_build(one, plan) if one.of_two_builds else dict(run(one, plan, plan.ours).figures)
    except Failed as failure:
        state, why = "failed", str(failure)
    seconds, after = time.monotonic() - started, busy()
    work, others = after.own - before.own, share_of_others(before, after)
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Outcome(one.title, state, baseline, ratios, why, seconds, work, others, load, load_average(), at)


def against_other_build(one: Benchmark, plan: Plan) -> dict[str, float]:
    """Both builds in turns, and the ratio of the least costs of each.

    Raises:
        Failed: A run failed, or builds have no cost in common.
    """
    trees = {"ours": plan.ours, "other": Path(plan.places["build"])}
    least: dict[str, dict[str, float]] = {side: {} for side in trees}
    for turn in range(min(plan.repeats, one.most_repeats)):
        # Each build goes first in every other turn: a machine that slows down meanwhile favours neither.
        for side, tree in list(trees.items())[:: 1 if turn % 2 == 0 else -1]:
            for name, cost in run(one, plan, tree).figures.items():
                least[side][name] = min(cost, least[side].get(name, cost))
    ratios = {name: least["other"][name] / cost for name, cost in least["ours"].items() if name in least["other"]}
    if not ratios:
        raise Failed("the two builds have no cost in common")
    return ratios


def run(one: Benchmark, plan: Plan, tree: Path) -> Found:
    """One run with the package of a checkout.

    Raises:
        Failed: It ends with another exit code than 0, takes too long, or its last line is not what was found.
    """
    command = [sys.executable, str(plan.scripts / f"{one.name}.py"), *one.filled(plan.places)]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONUNBUFFERED": "1"}
    path = plan.logs / f"{one.title}.log"
    with open(path, "a", encoding="utf-8") as log:
        log.write(f"$ PYTHONPATH={tree} {' '.join(command)}\n")
        log.flush()
        start = log.tell()
        code = _finished(command, environment, log, plan.limit)
    output = path.read_bytes()[start:].decode(errors="replace")
    if code != 0:
        ended = f"it took longer than {plan.limit:g} s" if code is None else f"exit code {code}"
        raise Failed("\n".join([*output.splitlines()[-3:], f"{ended}; see {path.name}"]))
    found = read_found(output)
    if found is None or (not found.baseline) != one.of_two_builds:
        raise Failed(f"its last line is not what it found; see {path.name}")
    return found


def _finished(command: list[str], environment: Mapping[str, str], log: IO[str], limit: float) -> int | None:
    """The exit code; None where it took too long and was ended, with everything that it had started."""
    with subprocess.Popen(command, stdout=log, stderr=log, env={**environment}, start_new_session=True) as process:
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends what is left of a run: it leads a group of its own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
