"""How long commands take to start, against another commit in the same run.

    python benchmarks/start_up.py --against COMMIT [--repeats 5]

Prints processor seconds (of the command and its children), the median of the repeats, which alternate between the two
trees; and their ratio. The other tree is checked out beside this one, and removed at the end.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from _ratios import print_ratios

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "optscale --help": ["--help"],
    "optscale train --help": ["train", "--help"],
    "a typo in a policy": ["answer", "1+2=", "--policy", "bestofn"],
    "optscale answer --help": ["answer", "--help"],
    "optscale answer, whole": ["answer", "12+34=", "--score_min", "0.5"],
}


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", required=True, help="commit to compare with")
    parser.add_argument("--repeats", type=int, default=5)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        subprocess.run(
            ["git", "-C", str(ROOT), "worktree", "add", "-q", "--detach", str(other), flags.against], check=True
        )
        try:
            print(
                f"{'command':26} {'this':>8} {'other':>8} {'ratio':>7}   (processor seconds, median of {flags.repeats})"
            )
            ratios = {}
            for name, command in COMMANDS.items():
                seconds: dict[Path, list[float]] = {ROOT: [], other: []}
                for _ in range(flags.repeats):
                    for tree, found in seconds.items():
                        found.append(processor_seconds(command, tree))
                mine, theirs = (statistics.median(found) for found in seconds.values())
                print(f"{name:26} {mine:8.2f} {theirs:8.2f} {mine / theirs:7.2f}", flush=True)
                ratios[f"processor s, {name}"] = theirs / mine
            print_ratios(f"the build of {flags.against}", ratios)
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(other)], check=True)


def processor_seconds(command: list[str], tree: Path) -> float:
    """Processor seconds, user and system, of one run of ``optscale`` from a tree of files."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "optscale_predictor", *command],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
