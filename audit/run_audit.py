"""Asks a database of advisories about every version in ``constraints.txt``: ``make audit``.

    python audit/run_audit.py [--service osv]

Writes ``audit/last_run.json``: when, by what, which packages the database answered for, and what it named. pip-audit by
itself ends with "No known vulnerabilities found" and 0 where a mirror answered for no package at all; here a package
without an answer is one that was not audited, and the exit code says so:

- 0: the database answered for every package, and named no vulnerability;
- 1: it named one that ``audit/advisories.json`` does not give a reason for (``borne``);
- 2: it did not answer for some package, or could not be reached. The record says for how many.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
ADVISORIES = ROOT / "audit" / "advisories.json"
RECORD = ROOT / "audit" / "last_run.json"


@dataclass(frozen=True)
class AuditRecord:
    """What a run of pip-audit found.

    Attributes:
        date: Of the run, ISO 8601.
        tool: Name and version.
        service: The database that was asked.
        answered: Versions by package, of those that it answered for.
        unanswered: Likewise, of those that were not audited.
        vulnerabilities: By package, the advisories that hold for its version: first the id, then its other names.
    """

    date: str
    tool: str
    service: str
    answered: Mapping[str, str]
    unanswered: Mapping[str, str]
    vulnerabilities: Mapping[str, Sequence[Sequence[str]]]


def pinned_versions(text: str) -> dict[str, str]:
    """Versions by canonical name (PEP 503).

    Args:
        text: Of a constraints file, ``NAME==VERSION`` a line.
    """
    pins = (line.split("#")[0].strip().split("==") for line in text.splitlines())
    return {canonicalize_name(pin[0]): pin[1] for pin in pins if len(pin) == 2}


def read_report(report: Mapping[str, Any], pinned: Mapping[str, str], tool: str, service: str) -> AuditRecord:
    """The record of a report; what the report leaves out was not audited.

    Args:
        report: pip-audit's JSON; empty where it gave none.
        pinned: What it was asked about.
        tool: pip-audit's name and version.
        service: The database.
    """
    audited = [entry for entry in report.get("dependencies", []) if "skip_reason" not in entry]
    found = {canonicalize_name(entry["name"]): entry for entry in audited}
    names: dict[str, list[list[str]]] = {
        str(name): [[one["id"], *one.get("aliases", [])] for one in entry["vulns"]]
        for name, entry in sorted(found.items())
        if entry["vulns"]
    }
    return AuditRecord(
        date=datetime.now(UTC).date().isoformat(),
        tool=tool,
        service=service,
        answered={name: pin for name, pin in pinned.items() if name in found},
        unanswered={name: pin for name, pin in pinned.items() if name not in found},
        vulnerabilities=names,
    )


def unexcused(record: AuditRecord, advisories: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Ids of vulnerabilities, by package, for which the recorded advisories give no reason to bear them."""
    excused = {(one["package"], one["id"]) for one in advisories if one.get("borne")}
    left = {
        name: [names[0] for names in found if not any((name, one) in excused for one in names)]
        for name, found in record.vulnerabilities.items()
    }
    return {name: ids for name, ids in left.items() if ids}


def ask(service: str) -> Mapping[str, Any]:
    """pip-audit's report; empty where it could not give one."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(CONSTRAINTS), "--no-deps", "--disable-pip", "-f", "json"]
    asked = subprocess.run([*command, "-s", service, "--progress-spinner", "off"], capture_output=True, text=True)
    try:
        report = json.loads(asked.stdout)
    except ValueError:
        last = asked.stderr.strip().splitlines()[-1:] or ["no output"]
        print(f"pip-audit gave no report: {last[0][:300]}", file=sys.stderr)
        return {}
    return report if isinstance(report, dict) else {}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi")
    service = parser.parse_args().service
    pinned = pinned_versions(CONSTRAINTS.read_text())
    record = read_report(ask(service), pinned, f"pip-audit {version('pip-audit')}", service)
    RECORD.write_text(json.dumps(asdict(record), indent=1) + "\n")
    left = unexcused(record, json.loads(ADVISORIES.read_text())["advisories"])
    for name, ids in left.items():
        print(f"{name}=={pinned[name]}: {', '.join(ids)}")
    print(f"{service} answered for {len(record.answered)} of {len(pinned)} packages; {len(left)} with vulnerabilities")
    if left:
        return 1
    return 2 if record.unanswered else 0


if __name__ == "__main__":
    sys.exit(main())
