"""Every way to die, of every command that keeps what it has: what had arrived is kept, and the same command goes on.

A run of all of it writes a table: ``OPTSCALE_TABLE=FILE pytest -m full tests/test_ways_to_die.py``.
"""

import asyncio
import os
import signal
import threading

import httpx2
import pytest
from answering import WrittenServer, serving
from dying_runs import SCENES, WAYS
from dying_trainings import TRAININGS
from served_optscale import async_client_of, command, until

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


@pytest.fixture(autouse=True)
def no_thread_left():
    """A server's thread that nobody ends would keep the whole run from ending."""
    before = set(threading.enumerate())
    yield
    left = [one for one in set(threading.enumerate()) - before if not one.daemon]
    assert not left, left


@pytest.mark.full
@pytest.mark.parametrize(
    ("command", "way"),
    [(command, way) for command, kind in (SCENES | TRAININGS).items() for way in WAYS if kind.can_die_by(way)],
)
def test_what_had_arrived_is_kept(tmp_path, table, command, way):
    scene = (SCENES | TRAININGS)[command](tmp_path)
    try:
        death = scene.die(way)
    finally:
        scene.close()
    said = death.said.replace(str(tmp_path), "").replace(scene.url, "URL")
    table.append(f"| {command} | {way} | {death.arrived} | {death.kept} | {death.code} | {said} |")
    assert not death.traceback, death.said
    assert death.code == scene.code(way), death.said
    assert death.committed <= death.kept, death
    assert death.kept >= (death.committed if way in LOST else death.arrived), death
    assert death.whole == scene.whole


#: Signals to a server with requests under way, and how many of them are answered.
SERVER_WAYS = {
    "Ctrl-C": ([signal.SIGINT], 4),
    "Ctrl-C twice": ([signal.SIGINT, signal.SIGINT], 0),
    "SIGTERM": ([signal.SIGTERM], 4),
    "SIGHUP": ([signal.SIGHUP], 4),
    "SIGKILL": ([signal.SIGKILL], 0),
}


@pytest.mark.full
@pytest.mark.parametrize("way", SERVER_WAYS)
def test_a_server_answers_what_is_under_way(table, way):
    numbers, answered = SERVER_WAYS[way]
    engine, held = WrittenServer(), [True]
    engine.holds = lambda prompt: held[0]
    flags = ("--port", "0", "--verifier", "none", "--policy", "self_consistency:max_samples=1", "--chat", "false")
    with serving(engine.app()) as url, command(*flags, "--base_url", f"{url}/v1") as (process, address):
        replies = asyncio.run(_struck(process, address, engine, held, numbers))
        code = process.wait(60)
        said = process.stderr.read()
    told = [reply for reply in replies if not isinstance(reply, Exception)]
    table.append(f"| serve | {way} | {len(replies)} | {len(told)} | {code} | {(said.splitlines() or [''])[-1]} |")
    assert len(replies) == 4 and len(told) == answered, replies
    assert code == (-9 if way == "SIGKILL" else 0) and "Traceback" not in said


async def _struck(process, address, engine, held, numbers):
    """What becomes of four requests that are under way when the signals come."""
    async with async_client_of(address) as client:
        turn = [{"role": "user", "content": "1+1="}]
        asked = [
            asyncio.ensure_future(client.chat.completions.create(model="written", messages=turn)) for _ in range(4)
        ]
        await asyncio.to_thread(until, lambda: engine.now == 4)
        for number in numbers:
            process.send_signal(number)
            await asyncio.sleep(0.5)  # two presses, and not one that bounces
        await asyncio.to_thread(until, lambda: process.poll() is not None or _closed(address))
        held[0] = False
        return await asyncio.gather(*asked, return_exceptions=True)


def _closed(address):
    """Whether nobody is let in any more."""
    try:
        return httpx2.get(f"{address}/health", timeout=60).status_code != 200
    except httpx2.HTTPError:
        return True
