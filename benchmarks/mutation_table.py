"""What ``make mutants`` found, module by module: how many mutants there are, and how many of them a test kills.

    python benchmarks/mutation_table.py [--survivors]

Reads what mutmut leaves under ``mutants/``. A mutant that makes a test hang counts as killed. ``mutmut show NAME``
shows a survivor's change.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from optscale_predictor.pages.markdown import table

_SURVIVED, _UNTESTED = (0,), (5, 33)
_TIMED_OUT = (24, 36, 152, -24)
_UNKNOWN = "not run"


def outcome(exit_code: int | None) -> str:
    """What became of a mutant, from the exit code that mutmut keeps of its tests."""
    if exit_code is None:
        return _UNKNOWN
    if exit_code in _SURVIVED + _UNTESTED:
        return "survived"
    return "timed out" if exit_code in _TIMED_OUT else "killed"


def main() -> None:
    """Prints the table, and the survivors' names where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--survivors", action="store_true", help="name every mutant that no test kills")
    parser.add_argument("--folder", type=Path, default=Path("mutants"), help="what mutmut wrote")
    options = parser.parse_args()
    rows, survivors = [], []
    for path in sorted(options.folder.rglob("*.meta")):
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        found = Counter(map(outcome, codes.values()))
        survivors += [name for name, code in codes.items() if outcome(code) == "survived"]
        known = found.total() - found[_UNKNOWN]
        if known:
            killed = found["killed"] + found["timed out"]
            module = path.relative_to(options.folder).with_suffix("")
            counts = (known, killed, found["timed out"], found["survived"])
            rows.append([f"`{module}`", *map(str, counts), f"{killed / known:.1%}"])
    print(table(["module", "mutants", "killed", "of them by time", "survived", "score"], rows, aligned=True))
    if options.survivors:
        print(*survivors, sep="\n")


if __name__ == "__main__":
    main()
