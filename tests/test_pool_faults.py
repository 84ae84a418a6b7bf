"""What may befall a pool: each time one clear line at the command line, exit code 2, and nothing lost."""

import errno
import json
import multiprocessing
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from forked import fork_of
from growing_pool import ALL, grow
from small_pools import bytes_of, questions_of, refused, rows_of, settings_of, shown, write_pool, write_scored
from stopped_clock import HUNG

from optscale_predictor._support.atomic_files import append_line, write_text
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, PoolWriter, lock_pool
from optscale_predictor.pools.validation import validate_pool


@pytest.fixture
def pool(tmp_path):
    write_scored(tmp_path / "pool")
    return tmp_path / "pool"


def samples_file(path, count=600):
    rows = ({"question_id": f"q{n % 3}", "question": f"{n % 3}+1=", "text": f"{n}: {n * 7919}"} for n in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def damage(pool, what):
    """Damages a pool; returns what readers and writers have to say."""
    shard = pool / "samples-000001.parquet"
    if what == "truncated shard":
        shard.write_bytes(shard.read_bytes()[:-100])
        return "samples-000001.parquet: cannot read this shard, see: optscale pool validate"
    if what == "missing shard":
        shard.unlink()
        return "samples-000001.parquet: this shard is missing; see: optscale pool validate"
    if what == "foreign shard":
        shutil.copy(shard, pool / "samples-000009.parquet")
        return "samples-000009.parquet: this shard is not in the pool's journal"
    if what == "edited manifest":
        path = pool / "manifest.json"
        path.write_text(path.read_text().replace("{question}", "Q: {question}"))
        return "manifest.json: the settings are not those that its fingerprint was made of; it was edited"
    if what == "broken manifest":
        (pool / "manifest.json").write_text('{"format": 2')
        return "manifest.json: not valid JSON"
    path = pool / "questions.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    if what == "broken questions":
        path.write_text("".join([*lines[:2], lines[2][:10], "\n", *lines[3:]]))
        return "questions.jsonl:3: not valid JSON"
    if what == "shortened questions":
        path.write_text("".join(lines[:-1]))
        return "questions.jsonl: damaged: these are not the questions that were written here"
    assert what == "changed questions"
    path.write_text("".join(lines).replace("1+1=", "1+2="))
    return "questions.jsonl: damaged: these are not the questions that were written here"


DAMAGES = ["truncated shard", "missing shard", "foreign shard", "edited manifest", "broken manifest"]
DAMAGES += ["broken questions", "shortened questions", "changed questions"]


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_named_to_readers_and_nothing_is_touched(pool, capsys, what):
    says = damage(pool, what)
    before = bytes_of(pool)
    assert says in refused(capsys, "pool", "info", pool)
    assert bytes_of(pool) == before


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_named_to_writers_and_nothing_is_touched(pool, what):
    settings = Pool(pool).manifest["settings"]
    says = damage(pool, what)
    before = bytes_of(pool)
    with pytest.raises(InputError) as error:
        PoolWriter(pool, questions_of(6), settings)
    assert says in str(error.value) and "\n" not in str(error.value)
    # Questions that would have joined may have; that is no harm, and all that was there still is.
    changed = {name for name, content in before.items() if (pool / name).read_bytes() != content}
    assert changed <= {"questions.jsonl", "journal.jsonl"}


def test_a_lost_manifest_does_not_make_a_new_pool(pool, capsys):
    (pool / "manifest.json").unlink()
    before = bytes_of(pool)
    with pytest.raises(InputError, match=r"has samples but no manifest\.json"):
        PoolWriter(pool, questions_of(4), settings_of())
    assert bytes_of(pool) == before
    assert refused(capsys, "pool", "info", pool).endswith("not a pool (no manifest.json)")


def test_other_settings_are_named(pool, tmp_path, capsys):
    files = samples_file(tmp_path / "a.jsonl"), samples_file(tmp_path / "b.jsonl", 10)
    shown(capsys, "pool", "import", tmp_path / "imported", files[0])
    before = bytes_of(tmp_path / "imported")
    said = refused(capsys, "pool", "import", tmp_path / "imported", files[1])
    assert "this pool was made with other settings: import.files was" in said
    assert bytes_of(tmp_path / "imported") == before


def hold(folder, pipe):
    with PoolWriter(folder, questions_of(2), settings_of()):
        pipe.send("held")
        pipe.recv()


def test_a_second_process_is_told_who_writes(tmp_path, capsys):
    here, there = multiprocessing.Pipe()
    process = fork_of(hold, tmp_path / "pool", there)
    there.close()  # so that the fork's end is seen
    assert here.recv() == "held"
    name = f"{process.pid} on {socket.gethostname()}"
    said = refused(capsys, "pool", "import", tmp_path / "pool", samples_file(tmp_path / "a.jsonl"))
    assert said.endswith(f"another process (id {name}) is writing to this pool")
    assert f"(id {name})" in refused(capsys, "score", tmp_path / "pool")
    Pool(tmp_path / "pool")  # readers are let in
    here.send("enough")
    process.join(HUNG)
    assert process.exitcode == 0
    with PoolWriter(tmp_path / "pool", questions_of(2), settings_of()):
        pass


def look_at_growing(folder):
    if (folder / "pool" / "manifest.json").exists():
        assert list(validate_pool(folder / "pool")) == []
        rows = rows_of(folder / "pool").values()
        scored = sum(row["score"] is not None for row in rows)
        for name, seen in (("rows", len(rows)), ("scored", scored)):
            if 0 < seen < ALL:
                (folder / name).touch()


def test_readers_see_a_sound_pool_while_it_grows_and_is_scored(tmp_path):
    """Another process writes; readers look without a pause."""
    process = fork_of(grow, tmp_path)
    try:
        while process.is_alive():
            look_at_growing(tmp_path)
    finally:
        process.kill()  # where a look failed, it would wait for the next one
    assert process.exitcode == 0 and len(rows_of(tmp_path / "pool")) == ALL
    assert (tmp_path / "rows").exists() and (tmp_path / "scored").exists()


class TestWithoutLocks:
    @pytest.fixture(autouse=True)
    def no_locks(self, monkeypatch):
        def flock(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr("fcntl.flock", flock)

    def test_a_file_stands_for_the_lock_and_one_line_says_so(self, tmp_path, caplog):
        with PoolWriter(tmp_path, questions_of(1), settings_of()):
            assert [record.getMessage().count("\n") for record in caplog.records] == [0]
            assert "this file system cannot lock files" in caplog.text
            with pytest.raises(InputError, match=rf"\(id {os.getpid()} on .*if that process is gone, delete .*lock"):
                lock_pool(tmp_path)
        lock_pool(tmp_path).close()

    def test_one_whose_process_is_gone_holds_nobody_up(self, tmp_path):
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        (tmp_path / ".lock.held").write_text(f"{ended.pid} on {socket.gethostname()}")
        lock_pool(tmp_path).close()
        (tmp_path / ".lock.held").write_text(f"{ended.pid} on another-host")
        with pytest.raises(InputError, match="on another-host"):
            lock_pool(tmp_path)


@pytest.fixture
def open_folder():
    """A folder that every user may enter: pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_read_only_folder_is_named_and_can_be_read(open_folder, capsys):
    files = samples_file(open_folder / "a.jsonl")
    place = open_folder / "pool"
    shown(capsys, "pool", "import", place, files)
    (place / ".lock").chmod(0o444)
    place.chmod(0o555)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)  # root may write anywhere
        said = refused(capsys, "pool", "import", place, files)
        assert "pool" in said and said.endswith("cannot write: Permission denied")
        assert refused(capsys, "score", place).endswith("cannot write: Permission denied")
        elsewhere = refused(capsys, "pool", "import", open_folder / "new" if user == 0 else place / "new", files)
        assert elsewhere.endswith("cannot write: Permission denied")
        assert "samples    600" in shown(capsys, "pool", "info", place)
        assert "sound" in shown(capsys, "pool", "validate", place)
    finally:
        os.seteuid(user)
        place.chmod(0o755)


#: Imports into a small file system until it is full, looks, makes room, goes on. Prints what was said and found.
FULL_DISK = """
import io, json, sys
from contextlib import redirect_stderr
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from small_pools import rows_of
from optscale_predictor.cli.main import main
from optscale_predictor.pools.validation import validate_pool

disk, source = Path(sys.argv[2]), sys.argv[3]
command = ["pool", "import", str(disk / "pool"), source, "--shard_samples", "100"]
filler, said = disk / "filler", io.StringIO()
filler.write_bytes(bytes(int(sys.argv[4])))
try:
    with redirect_stderr(said):
        main(command)
    code = 0
except SystemExit as stopped:
    code = stopped.code
kept = rows_of(disk / "pool")
faults = [str(fault) for fault in validate_pool(disk / "pool")]
partial = [path.name for path in (disk / "pool").glob(".*.partial")]
filler.unlink()
main(command)
after = rows_of(disk / "pool")
changed = [key for key, row in kept.items() if after[key] != row]
print(json.dumps([code, said.getvalue(), len(kept), faults, partial, len(after), len(changed)]))
"""


def test_a_full_disk_costs_no_committed_sample(tmp_path):
    """A real file system of one MiB, mounted where nobody else sees it."""
    (tmp_path / "disk").mkdir()
    source = samples_file(tmp_path / "a.jsonl", 3000)
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    inner = 'mount -t tmpfs -o size=1m tmpfs "$2" || exit 77; exec "$0" -c "$1" "$3" "$2" "$4" "$5"'
    command = ["unshare", "--mount", *root, "sh", "-c", inner, sys.executable, FULL_DISK, str(tmp_path / "disk")]
    command += [str(Path(__file__).parent), str(source), str(940 * 1024)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode in (1, 77) and "mount" in ran.stderr + "unshare" and not ran.stdout:
        pytest.skip(f"nothing may be mounted here: {ran.stderr.strip().splitlines()[-1]}")
    code, said, kept, faults, partial, after, changed = json.loads(ran.stdout.splitlines()[-1])
    assert code == 2 and said.count("\n") == 1 and "cannot write: No space left on device" in said
    assert 0 < kept < 3000 and kept % 100 == 0
    assert faults == [] and partial == [] and changed == 0 and after == 3000


def test_a_file_that_may_not_grow_is_named_and_stays_as_it_was(tmp_path):
    """The system's limit on file sizes stands for a full disk where nothing can be mounted."""
    path = tmp_path / "journal.jsonl"
    append_line('{"a": 1}', path)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 3, limits[1]))  # half of the next line would fit
    try:
        with pytest.raises(InputError, match="cannot write: File too large"):
            append_line('{"b": 2}', path)
        with pytest.raises(InputError, match="cannot write: File too large"):
            write_text("x" * 100, tmp_path / "text")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and not list(tmp_path.glob(".*")) and not (tmp_path / "text").exists()
    append_line('{"b": 2}', path)
    assert path.read_text() == '{"a": 1}\n{"b": 2}\n'


def test_a_shard_that_cannot_be_written_leaves_the_pool_as_it_was(tmp_path):
    write_pool(tmp_path / "pool", shard=8)
    before, limits = rows_of(tmp_path / "pool"), resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = PoolWriter(tmp_path / "pool", questions_of(5), settings_of(), 8)
    writer.append_rows([{"question_id": "q4", "sample_index": index, "text": "x" * 5000} for index in range(7)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"samples-000002.parquet: cannot write: File too large"), writer:
            writer.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert rows_of(tmp_path / "pool") == before and not list((tmp_path / "pool").glob(".*.partial"))


def test_half_a_surrogate_pair_costs_no_sample(tmp_path):
    with PoolWriter(tmp_path, questions_of(1), settings_of()) as writer:
        writer.append_rows([{"question_id": "q0", "sample_index": 0, "text": "odd \ud800 character"}])
    assert rows_of(tmp_path)["q0", 0]["text"] == "odd \ufffd\ufffd\ufffd character"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"question_id": "q9", "sample_index": 0}, "question 'q9' is not in this pool"),
        ({"question_id": "q0", "sample_index": -1}, "sample_index must lie in"),
        ({"question_id": "q0", "sample_index": 2**24}, "sample_index must lie in"),
        ({"question_id": "q0", "sample_index": 0}, "sample 0 of question 'q0' is already there"),
        ({"question_id": "q0", "sample_index": 5, "num_tokens": "many"}, "does not fit its columns"),
    ],
)
def test_what_does_not_fit_is_refused_whole(tmp_path, row, says):
    write_pool(tmp_path)
    before = rows_of(tmp_path)
    good = {"question_id": "q0", "sample_index": 7, "text": "fine"}
    with PoolWriter(tmp_path, questions_of(4), settings_of()) as writer, pytest.raises(InputError, match=says):
        writer.append_rows([good, row])
    assert rows_of(tmp_path) == before


def test_a_pool_on_the_hub_is_not_written_to(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "is read-only" in refused(capsys, "pool", "import", "hub:name/pool", samples_file(tmp_path / "a.jsonl"))
    assert not (tmp_path / "hub:name").exists()
