"""A death at every single point at which something reaches the disk: nothing is lost, nothing is there twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from crashing_work import DIED, FIRST, QUESTIONS, SAMPLES


@pytest.fixture(scope="module")
def deaths(tmp_path_factory):
    """What ``crashing_work.py`` says, by stage; the first of each stage is the work without a death."""
    script, folder = Path(__file__).with_name("crashing_work.py"), tmp_path_factory.mktemp("deaths")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(folder)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    found = [json.loads(line) for line in said.splitlines()]
    return {stage: [row for row in found if row["stage"] == stage] for stage in ("generate", "score")}


@pytest.mark.parametrize("stage", ["generate", "score"])
def test_every_point_was_tried(deaths, stage):
    whole, *died, last = deaths[stage]
    assert [row["at"] for row in died] == list(range(whole["points"])) and len(died) > 30
    assert all(row["code"] == DIED for row in died)
    assert last["code"] == 0 and last["points"] == whole["points"]


@pytest.mark.parametrize("stage", ["generate", "score"])
def test_what_a_death_leaves_behind_is_sound_for_readers(deaths, stage):
    assert [row["between"]["faults"] for row in deaths[stage]] == [[]] * len(deaths[stage])


@pytest.mark.parametrize("stage", ["generate", "score"])
def test_a_rerun_ends_as_if_nothing_had_happened(deaths, stage):
    whole = deaths[stage][0]["after"]["rows"]
    assert whole.keys() == {f"{question.id} {index}" for question in QUESTIONS for index in range(SAMPLES)}
    for row in deaths[stage]:
        assert row["after"] == {"rows": whole, "faults": []}, row["at"]
        assert not [name for name in row["left"] if name.endswith(".partial")], row["at"]


def test_committed_rows_never_change_but_for_scores_that_come(deaths):
    started = set()
    for row in deaths["generate"]:
        before, after = row["between"]["rows"], row["after"]["rows"]
        started.add(len(before))
        assert all(after[key] == value for key, value in before.items()), row["at"]
    for row in deaths["score"]:
        before, after = row["between"]["rows"], row["after"]["rows"]
        assert before.keys() == after.keys()
        for key, value in before.items():
            # What was null may have come; a column that was not registered yet may have joined.
            assert {name: one for name, one in value.items() if one is not None}.items() <= after[key].items()
    # Deaths fell before the first commit, between commits, and after questions had joined.
    assert {0, 2 * FIRST} < started and len(started) >= 4


def test_scores_come_once_and_under_both_columns(deaths):
    rows = deaths["score"][0]["after"]["rows"].values()
    assert all(row["score"] == row["score_again"] == len(row["text"]) % 7 / 7 for row in rows)
