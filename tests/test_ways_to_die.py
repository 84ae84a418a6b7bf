"""Every way to die, of every command that keeps what it has: what had arrived is kept, and the same command goes on.

A run of all of it writes a table: ``OPTSCALE_TABLE=FILE pytest -m full tests/test_ways_to_die.py``.
"""

import os

import pytest
from dying_runs import EACH, QUESTIONS, SCENES, WAYS

LOST = ("SIGKILL", "disk full", "folder gone")  # keep what was committed; the others all that had arrived


@pytest.fixture(scope="module")
def table():
    """Rows of the table, which is written at the end."""
    rows = [
        "| command | dies by | arrived | kept | exit code | the last line |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    yield rows
    if path := os.environ.get("OPTSCALE_TABLE"):
        with open(path, "a") as file:
            file.write("\n".join(rows) + "\n")


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", SCENES)
def test_what_had_arrived_is_kept(tmp_path, table, command, way):
    scene = SCENES[command](tmp_path)
    if not scene.can_die_by(way):
        pytest.skip("there is no such thing")
    try:
        death = scene.die(way)
    finally:
        scene.close()
    said = death.said.replace(str(tmp_path), "").replace(scene.url, "URL")
    table.append(f"| {command} | {way} | {death.arrived} | {death.kept} | {death.code} | {said} |")
    assert not death.traceback, death.said
    assert death.code == WAYS[way][1], death.said
    assert death.committed <= death.kept, death
    assert death.kept >= (death.committed if way in LOST else death.arrived), death
    assert death.whole == QUESTIONS * EACH
