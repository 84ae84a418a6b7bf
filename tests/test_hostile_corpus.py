"""Whatever is wrong with a file or a command line: one line and exit code 2, or a right result; and nothing is lost.

A run of all of it writes its figures: ``OPTSCALE_CORPUS=FILE pytest -m full tests/test_hostile_corpus.py``. Of a file
at most ``HOSTILE_MOST`` cases are tried, of one that a slow command reads ``HOSTILE_MOST_SLOW``, and twice as many
command lines.
"""

import io
import os
import shutil
from collections import Counter

import pyarrow.parquet as pq
import pytest
from fitted_policies import folder_of
from fuzz_targets import targets
from hostile_cases import copy_world, file_cases, files_of, word_cases
from hostile_commands import COMMANDS
from hostile_damage import json_damage, text_damage
from hostile_world import make_world
from measured_call import measure, measure_command

#: What libraries warn of is no error outside of tests.
pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("hostile") / "world")


@pytest.fixture(scope="module")
def figures():
    """Cases by reader or command and how they ended; written down at the end."""
    counts: dict[str, Counter] = {}
    yield counts
    if path := os.environ.get("OPTSCALE_CORPUS"):
        rows = ["| | tried | one line | a right result | anything else |", "| --- | --- | --- | --- | --- |"]
        counts["all"] = sum(counts.values(), Counter())
        for name, found in counts.items():
            rows.append(f"| {name} | {found.total()} | {found['line']} | {found['result']} | {found['wrong']} |")
        with open(path, "a") as file:
            file.write("\n".join(rows) + "\n")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_ends_in_one_line_or_a_right_result(command, world, figures, tmp_path, monkeypatch, lm_eval_tasks):
    counts, wrong = figures.setdefault(command.name, Counter()), []
    # Once for what is loaded late, once for what it takes then.
    for _ in range(2):
        sound, lost = _ending(command, command.words, lambda _: None, world, tmp_path, monkeypatch)
        assert not sound.fault and not lost, (sound.fault, lost)
    cases = [one for name in files_of(command, world) for one in file_cases(command, world, name)]
    for case in [*cases, *word_cases(command, world)]:
        ending, lost = _ending(command, case.arguments, case.damage, world, tmp_path, monkeypatch)
        # What a training or a demo takes to end well is its own affair; a mistake is told at once.
        timed = ending.error is not None or not command.slow
        if fault := ending.wrong(sound, timed) or lost:
            wrong.append(f"{command.name}: {case.what}: {fault}")
        counts["wrong" if fault else "result" if ending.error is None else "line"] += 1
    assert not wrong, f"{len(wrong)} of {counts.total()}:\n" + "\n".join(wrong)


def _ending(command, arguments, damage, world, tmp_path, monkeypatch):
    """How a command ends in a copy of the world where something is wrong, and what it lost there."""
    folder = tmp_path / "case"
    folder.mkdir()
    try:
        copy_world(command, arguments, world, folder)
        damage(folder)
        before = _contents(folder)
        monkeypatch.chdir(folder)
        ending = measure_command(command.run, list(arguments))
        return ending, _lost(before, folder, command.writes)
    finally:
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder)


def _contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def _lost(before, folder, writes):
    """What is no longer as it was; of a pool that a command adds to or mends, samples that are gone."""
    for path, content in before.items():
        top = path.relative_to(folder).parts[0]
        if top not in writes and (not path.is_file() or path.read_bytes() != content):
            return f"{path.relative_to(folder)} was changed"
    for pool in writes:
        gone = _samples(before, folder / pool) - _samples(_contents(folder), folder / pool)
        if gone:
            return f"{len(gone)} samples of {pool} are gone: {sorted(gone)[:2]}"
    return ""


def _samples(contents, pool):
    """The samples in a pool's files that can be read by themselves."""
    found = set()
    for path, content in contents.items():
        if pool in path.parents and "samples-" in path.name:
            try:
                rows = pq.read_table(io.BytesIO(content), columns=["question_id", "sample_index", "text"]).to_pylist()
                found |= {(str(row["question_id"]), str(row["sample_index"]), str(row["text"])) for row in rows}
            except Exception:  # it was damaged before
                continue
    return found


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    return list(targets(tmp_path_factory.mktemp("sound")))


def test_every_reader_says_one_line_or_reads_right(readers, figures, tmp_path):
    counts, wrong = figures.setdefault("readers", Counter()), []
    folder = shutil.copytree(folder_of(), tmp_path / "files")
    for reader in readers:
        sound = measure(reader.read, reader.sound[0], folder)
        for content in reader.sound:
            damage = json_damage(content) if reader.is_json else text_damage(content)
            for what, spoilt in damage:
                ending = measure(reader.read, spoilt, folder)
                if fault := ending.wrong(sound):
                    wrong.append(f"{reader.name}: {what}: {fault}")
                counts["wrong" if fault else "result" if ending.error is None else "line"] += 1
    assert counts.total() >= 400
    assert not wrong, f"{len(wrong)} of {counts.total()}:\n" + "\n".join(wrong)
