"""Every benchmark that can run here, small, in one table of ratios: ``make bench``.

    python benchmarks/run_all.py [--vllm_python PYTHON] [--its_hub PYTHON] [--optillm PYTHON] [--data FOLDER]
        [--baseline FOLDER] [--only NAME ...] [--again]

``_suite.py`` lists them. A ratio is the baseline's cost over ours: above 1, ours costs less. Where the baseline is
another build of this package, the same benchmark is run with both, in turns, and the least costs of ``--repeats`` runs
are divided; the other build is a checkout (``--baseline``), or the newest tag, checked out by git into a temporary
folder.

Results are kept in ``--folder`` as they come: a second call goes on where the first was ended, and runs again what was
measured of other files, sizes or interpreters, or failed. ``RESULTS.md`` is written after every benchmark, with all
that is kept of the same files: the table can be made in pieces (``--only``). A benchmark that cannot run is listed with
what it lacks; exit code 1 says that one has failed.
"""

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from _outcomes import Outcome, Plan, measure
from _results import results_page
from _suite import BENCHMARKS, Benchmark

ROOT = Path(__file__).resolve().parents[1]
#: What ours is compared with where no tag and no flag names another build.
OTHER = "da18ca1"


def main() -> int:
    """Runs the command line; its exit code."""
    flags = parse_flags()
    chosen = [one for one in BENCHMARKS if not flags.only or flags.only & {one.name, one.title}]
    with other_build(flags.baseline) as build:
        places = {**given_places(flags), **build}
        plan = Plan(Path(__file__).parent, ROOT, places, flags.repeats, flags.limit, flags.folder)
        outcomes = run_all(chosen, plan, flags.folder, flags.results, flags.again, BENCHMARKS, flags.within)
    failed = [one.title for one in outcomes if one.state == "failed"]
    print(f"\n{flags.results} has the table" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def parse_flags() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--vllm_python", default=os.environ.get("OPTSCALE_VLLM_PYTHON"), help="an interpreter with vLLM"
    )
    parser.add_argument("--its_hub", help="an interpreter that has its-hub")
    parser.add_argument("--optillm", help="an interpreter that has optillm")
    parser.add_argument("--data", type=Path, help="folder of data that does not ship with the project")
    parser.add_argument("--baseline", type=Path, help="checkout of another build; the newest tag by default")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="run these only")
    parser.add_argument("--again", action="store_true", help="run what is kept as well")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each build, >= 1")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds that one run may take")
    parser.add_argument("--within", type=float, default=math.inf, help="seconds after which none is begun any more")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench", help="kept results and logs")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md")
    flags = parser.parse_args()
    known = {one.name for one in BENCHMARKS} | {one.title for one in BENCHMARKS}
    if unknown := sorted(set(flags.only) - known):
        parser.error(f"--only: there is no benchmark {unknown[0]!r}; there are {', '.join(sorted(known))}")
    if flags.repeats < 1:
        parser.error(f"--repeats must be >= 1, got {flags.repeats}")
    flags.only = set(flags.only)
    return flags


def given_places(flags: argparse.Namespace) -> dict[str, str]:
    """What flags fill of the arguments' places."""
    named = {"vllm": flags.vllm_python, "its_hub": flags.its_hub, "optillm": flags.optillm}
    places = {place: str(value) for place, value in named.items() if value}
    for place, value in places.items():
        if not Path(value).exists():
            raise SystemExit(f"run_all: {place}: there is no {value}")
    return {**places, **({"data": str(flags.data)} if flags.data else {})}


@contextmanager
def other_build(folder: Path | None) -> Iterator[dict[str, str]]:
    """The checkout that ours is compared with, and its commit; nothing where there is none."""
    if folder is not None:
        if not (folder / "optscale_predictor").is_dir():
            raise SystemExit(f"run_all: --baseline: {folder} is no checkout of this project")
        yield {"build": str(folder.resolve()), "commit": git(folder, "rev-parse", "--short", "HEAD") or str(folder)}
        return
    named = git(ROOT, "describe", "--tags", "--abbrev=0") or OTHER
    with tempfile.TemporaryDirectory() as made:
        place = Path(made) / "build"
        if git(ROOT, "worktree", "add", "-q", "--detach", str(place), named) is None:
            yield {}
            return
        try:
            yield {"build": str(place), "commit": named}
        finally:
            git(ROOT, "worktree", "remove", "--force", str(place))


def git(folder: Path, *arguments: str) -> str | None:
    """What git says; None where it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def state_of_files() -> tuple[str, str]:
    """The commit, with a sign of changes since; and what tells any two states of the measured files apart."""
    commit = git(ROOT, "rev-parse", "--short", "HEAD") or "unknown"
    measured = ("--", "optscale_predictor", "benchmarks", ":!benchmarks/RESULTS.md")
    changes = (git(ROOT, "diff", "HEAD", *measured) or "") + (git(ROOT, "status", "--porcelain", *measured) or "")
    # Not the commit: one that changes other files alone, the page among them, leaves what was measured standing.
    content = (git(ROOT, "ls-files", "--stage", *measured) or commit) + changes
    return commit + (" with changes" if changes else ""), hashlib.sha256(content.encode()).hexdigest()[:16]


def run_all(
    chosen: Sequence[Benchmark],
    plan: Plan,
    folder: Path,
    results: Path,
    again: bool = False,
    suite: Sequence[Benchmark] = (),
    within: float = math.inf,
) -> list[Outcome]:
    """Runs what is not kept yet, and writes the page after each.

    Args:
        chosen: What to run, in order.
        plan: How.
        folder: Where outcomes are kept.
        results: The page.
        again: Whether to run what is kept as well.
        suite: What the page lists besides, with what is kept of it.
        within: Seconds after which none is begun any more.
    """
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    commit, state = state_of_files()
    listed = [*suite, *(one for one in chosen if one not in suite)]
    known = {one.title: kept(folder, one, key_of(one, plan.places, state)) for one in suite if one not in chosen}
    outcomes: list[Outcome] = []
    for number, one in enumerate(chosen, 1):
        key = key_of(one, plan.places, state)
        outcome = None if again else kept(folder, one, key)
        if outcome is None and time.monotonic() - started >= within:
            continue
        print(f"[{number}/{len(chosen)}] {one.title} ... ", end="", flush=True)
        if outcome is None:
            outcome = measure(one, plan)
            keep(folder, one, key, outcome)
        print(outcome.line(), flush=True)
        outcomes.append(outcome)
        known[one.title] = outcome
        found = [there for other in listed if (there := known.get(other.title))]
        results.write_text(results_page(found, listed, commit, plan.places), encoding="utf-8")
    return outcomes


def key_of(one: Benchmark, places: Mapping[str, str], state: str) -> str:
    """What has to be the same for a kept outcome to stand."""
    named = one.places - {"build"}  # a temporary folder
    filled = sorted((place, value) for place, value in places.items() if place in named)
    return json.dumps([state, one.arguments, one.baseline, filled])


def kept(folder: Path, one: Benchmark, key: str) -> Outcome | None:
    """An outcome of an earlier call; None where there is none, or it failed, or is of something else."""
    path = folder / f"{one.title}.json"
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    outcome = Outcome(**content["outcome"]) if content.get("key") == key else None
    return outcome if outcome and outcome.state == "done" else None


def keep(folder: Path, one: Benchmark, key: str, outcome: Outcome) -> None:
    """Keeps an outcome: whole or not at all."""
    part = folder / f"{one.title}.json.part"
    part.write_text(json.dumps({"key": key, "outcome": outcome.as_dict()}, indent=2) + "\n", encoding="utf-8")
    part.replace(folder / f"{one.title}.json")


if __name__ == "__main__":
    sys.exit(main())
