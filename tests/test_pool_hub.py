"""Pools on a hub: the real client, by HTTP, against a small hub (``small_hub.py``), in forks."""

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import datasets.config
import pytest
from forked import fork_of
from hub_visitor import said_by, visit_hub
from small_hub import TOKEN
from small_pools import bytes_of, questions_of, rows_of, write_pool, write_scored
from stopped_clock import HUNG

from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.merging import merge_pools
from optscale_predictor.pools.publishing import push_pool


def take(commands, settings, sending):
    """In a fork, with a hub whose address its libraries read once: runs the commands and sends what each said.

    ``read NAME`` prints a pool's place and rows, ``load NAME`` a data set's rows.
    """
    visit_hub(settings, datasets.config)
    for command in commands:
        sending.send(said_by(_take, *command))


def _take(kind, *given):
    if kind == "read":
        pool = Pool(given[0])
        print(json.dumps([str(pool.folder), pool.read().to_pylist()]))
    elif kind == "load":
        print(json.dumps(list(datasets.load_dataset(given[0], split="train"))))
    else:
        main([kind, *given])


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The hub's folder and address."""
    folder = tmp_path_factory.mktemp("hub")
    command = [sys.executable, str(Path(__file__).with_name("small_hub.py")), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield folder, process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
def run(hub, tmp_path):
    """Runs commands in a process that knows the hub's address; what each said: exit code, output, errors."""

    def go(*commands, token=TOKEN, **environment):
        given = {"HF_ENDPOINT": hub[1], "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": token, "HF_HUB_OFFLINE": "0"}
        given |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        receiving, sending = multiprocessing.Pipe(duplex=False)
        asked = [[str(part) for part in command] for command in commands]
        fork = fork_of(take, asked, given | environment, sending)
        sending.close()  # so that the fork's end is seen
        said = [receiving.recv() for _ in commands]
        fork.join(HUNG)
        assert fork.exitcode == 0 and token not in repr(said)
        return said

    return go


def read(said):
    """The place and rows that ``read NAME`` printed."""
    folder, rows = json.loads(said[1])
    return Path(folder), {(row["question_id"], row["sample_index"]): row for row in rows}


def test_a_pool_goes_there_and_comes_back(hub, run, tmp_path):
    pool = write_scored(tmp_path / "pool")
    (pool.folder / "notes.txt").write_text("private")
    targets = ["targets", "hub:name/pool", "--output", tmp_path / "targets.parquet"]
    pushed, came, checked, *_, derived = run(
        ["pool", "push", pool.folder, "name/pool", "--private", "true"],
        ["read", "hub:name/pool"],
        ["pool", "validate", "hub:name/pool"],
        targets,
    )
    assert pushed[:2] == [0, f"{pool.folder}: {hub[1]}/datasets/name/pool\n"]
    asked = json.loads((hub[0] / "name/pool/asked.json").read_text())
    assert asked["type"] == "dataset" and "private" in (asked.get("visibility"), *(asked.keys() & {"private"}))
    there = bytes_of(hub[0] / "name/pool/1")
    assert there == {name: content for name, content in bytes_of(pool.folder).items() if name != "notes.txt"}
    assert not any(TOKEN.encode() in path.read_bytes() for path in hub[0].rglob("*") if path.is_file())
    folder, rows = read(came)
    assert rows == rows_of(pool.folder) and folder.is_relative_to(tmp_path / "home")
    assert "sound: 16 samples" in checked[1] and derived[0] == 0 and (tmp_path / "targets.parquet").exists()

    # A later push replaces shards by what the pool has now; the former revision stays.
    merge_pools([pool.folder], tmp_path / "merged")
    assert len(list((hub[0] / "name/pool/1").glob("samples-*"))) == 2
    pushed, came, before = run(
        ["pool", "push", tmp_path / "merged", "name/pool"], ["read", "hub:name/pool"], ["read", "hub:name/pool@v1"]
    )
    assert pushed[0] == 0
    assert [path.name for path in (hub[0] / "name/pool/2").glob("samples-*")] == ["samples-000000.parquet"]
    assert read(came)[0] != folder and read(came)[1] == rows and read(before) == (folder, rows)
    assert len(list(folder.glob("samples-*"))) == 2

    # What was downloaded is read again without the hub.
    (again,) = run(["read", "hub:name/pool"], HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")
    assert read(again) == read(came)


def test_what_is_to_be_private_does_not_go_where_all_can_read(hub, run, tmp_path):
    command = ["pool", "push", write_pool(tmp_path / "pool").folder, "name/public"]
    open_, private = run(command, [*command, "--private", "true"])
    assert open_[0] == 0
    assert private[0] == 2 and "hub:name/public: exists and is public; nothing was uploaded" in private[2]
    assert not (hub[0] / "name/public/2").exists()


def test_load_dataset_finds_the_samples_by_the_card(hub, run, tmp_path):
    pool = write_pool(tmp_path / "pool", questions_of(3))
    run(["pool", "push", pool.folder, "name/samples"])
    (loaded,) = run(["load", "name/samples"], HF_HOME=str(tmp_path / "other"))
    rows = json.loads(loaded[1])
    assert {(row["question_id"], row["sample_index"]): row for row in rows} == rows_of(pool.folder)


def test_each_refusal_is_one_line_without_the_token(run, tmp_path):
    push = ["pool", "push", write_pool(tmp_path / "pool").folder, "name/new"]
    said = run(push, token="hf_wrong")
    said += run(
        ["pool", "info", "hub:name/none"],
        ["pool", "info", "hub:a/b/c"],
        ["pool", "info", "hub:"],
        ["pool", "validate", "hub:name/none", "--repair", "true"],
    )
    said += run(["pool", "info", "hub:name/none"], push, HF_ENDPOINT="http://127.0.0.1:9")
    assert all(code == 2 and error.count("\n") == 1 for code, _, error in said)
    says = ["hub:name/new: Client error '401", "hub:name/none: 404", "hub:a/b/c: Repo id must"]
    says += ["expected hub:REPO_ID", "is read-only", "hub:name/none: ", "hub:name/new: "]
    for expected, (_, _, error) in zip(says, said, strict=True):
        assert error.startswith("optscale: error: ") and expected in error


def test_nothing_unsound_or_unfinished_is_pushed(tmp_path):
    """Refused before the hub is asked for anything: these tests run with it switched off."""
    pool = write_scored(tmp_path / "pool")
    (pool.folder / "samples-000001.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"samples-000001.parquet: damaged: .*; see: optscale pool validate"):
        push_pool(pool.folder, "name/pool")
    with pytest.raises(InputError, match="not a pool"):
        push_pool(tmp_path, "name/pool")
    assert Pool(pool.folder).scores.keys() == {"score"}
