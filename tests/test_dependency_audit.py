"""The versions that are installed, held against the advisories that are recorded; no network."""

import json
import subprocess
import sys
import tomllib
from datetime import date

import pytest
import run_audit
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from run_audit import ADVISORIES, CONSTRAINTS, RECORD, ROOT, AuditRecord, pinned_versions, read_report, unexcused

PINNED = pinned_versions(CONSTRAINTS.read_text())
RECORDED = json.loads(ADVISORIES.read_text())
LISTED = RECORDED["advisories"]

#: As pip-audit 2.10 writes it: one that the database knows, one with a vulnerability, one that it has no answer for.
REPORT = {
    "dependencies": [
        {"name": "jinja2", "version": "3.1.6", "vulns": []},
        {
            "name": "py-yaml",
            "version": "5.3",
            "vulns": [{"id": "PYSEC-1", "fix_versions": ["5.4"], "aliases": ["CVE-1"]}],
        },
        {"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.13.0)"},
    ],
    "fixes": [],
}


def minimum_versions():
    """The lowest version of each package that a user may have, by pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    lowest = {}
    for requirement in map(Requirement, texts):
        for bound in requirement.specifier:
            if bound.operator in (">=", "=="):
                lowest[canonicalize_name(requirement.name)] = bound.version
    return lowest


def test_no_pinned_version_has_a_recorded_vulnerability():
    affected = [
        one["id"]
        for one in LISTED
        if one["package"] in PINNED and PINNED[one["package"]] in SpecifierSet(one["affected"], prereleases=True)
    ]
    assert affected == []


def test_minimum_versions_with_a_recorded_vulnerability_have_a_reason():
    lowest = minimum_versions()
    assert {"torch", "aiohttp", "jinja2"} <= lowest.keys()
    affected = {
        one["id"]
        for one in LISTED
        if one["package"] in lowest and lowest[one["package"]] in SpecifierSet(one["affected"], prereleases=True)
    }
    assert affected == {one["id"] for one in LISTED if one.get("borne")}


def test_the_recorded_advisories_are_well_formed():
    date.fromisoformat(RECORDED["read"])
    assert len({one["id"] for one in LISTED}) == len(LISTED) > 20
    for one in LISTED:
        assert canonicalize_name(one["package"]) == one["package"]
        assert one.keys() - {"borne"} == {"id", "package", "affected", "what"} and all(one.values())


def test_the_record_of_the_last_audit_is_of_the_versions_that_are_installed():
    """`make audit` writes it, and says of each package whether a database has answered for it."""
    record = AuditRecord(**json.loads(RECORD.read_text()))
    assert not record.answered.keys() & record.unanswered.keys()
    assert {**record.answered, **record.unanswered} == PINNED, "constraints.txt has changed: run `make audit`"
    assert date.fromisoformat(record.date) and record.tool.startswith("pip-audit ")
    assert unexcused(record, LISTED) == {}


def test_a_package_without_an_answer_was_not_audited():
    record = read_report(REPORT, {"jinja2": "3.1.6", "py-yaml": "5.3", "torch": "2.13.0", "tqdm": "4.70.1"}, "", "pypi")
    assert record.answered == {"jinja2": "3.1.6", "py-yaml": "5.3"}
    assert record.unanswered == {"torch": "2.13.0", "tqdm": "4.70.1"}
    assert record.vulnerabilities == {"py-yaml": [["PYSEC-1", "CVE-1"]]}
    assert unexcused(record, []) == {"py-yaml": ["PYSEC-1"]}
    reason = {"package": "py-yaml", "id": "CVE-1", "borne": "not used"}
    assert unexcused(record, [reason]) == {}
    assert unexcused(record, [{**reason, "package": "jinja2"}]) == {"py-yaml": ["PYSEC-1"]}


@pytest.mark.parametrize(
    ("printed", "code", "says"),
    [
        (json.dumps(REPORT), 1, "py-yaml==5.3: PYSEC-1"),
        ('{"dependencies": [{"name": "jinja2", "version": "3.1.6", "vulns": []}]}', 2, "1 of 3 packages"),
        ("", 2, "0 of 3 packages"),
        (
            json.dumps({"dependencies": [{"name": name, "vulns": []} for name in ("jinja2", "PyYAML", "torch")]}),
            0,
            "3 of 3",
        ),
    ],
)
def test_the_exit_code_says_whether_all_was_audited(tmp_path, monkeypatch, capsys, printed, code, says):
    names = "jinja2==3.1.6\ntorch==2.13.0\n" + ("PyYAML==6.0.3\n" if "PyYAML" in printed else "py_yaml==5.3\n")
    (tmp_path / "constraints.txt").write_text(names)
    monkeypatch.setattr(run_audit, "CONSTRAINTS", tmp_path / "constraints.txt")
    monkeypatch.setattr(run_audit, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(run_audit, "version", lambda name: "2.10.1")
    monkeypatch.setattr(sys, "argv", ["run_audit.py"])
    answer = subprocess.CompletedProcess([], 1, stdout=printed, stderr="no network")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    assert run_audit.main() == code
    assert says in capsys.readouterr().out
    assert AuditRecord(**json.loads((tmp_path / "record.json").read_text())).tool == "pip-audit 2.10.1"
