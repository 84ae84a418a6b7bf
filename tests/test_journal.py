"""The journal line by line: what each state of it says of a file, and what a writer makes of each point of a kill."""

import hashlib
import json
import os

import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.pools import journal as journal_module
from optscale_predictor.pools.journal import (
    JOURNAL_FILE,
    QUESTIONS_FILE,
    Entry,
    Journal,
    digest,
    read_pool_questions,
    record_commit,
    record_intent,
    recover,
    rewrite,
)

ONE, TWO = "samples-000001.parquet", "samples-000002.parquet"


def entry_of(file, content, rows=3):
    return Entry(file, rows, hashlib.sha256(content).hexdigest())


def line_of(entry):
    return json.dumps({"file": entry.file, "rows": entry.rows, "sha256": entry.sha256})


def written(folder, *entries, end="\n"):
    """A journal of these lines, the last one with ``end`` behind it."""
    text = "\n".join(one if isinstance(one, str) else line_of(one) for one in entries)
    (folder / JOURNAL_FILE).write_text(text + end if entries else "")
    return Journal(folder)


def content(folder):
    return (folder / JOURNAL_FILE).read_bytes()


OLD, NEW, OTHER = entry_of(ONE, b"old"), entry_of(ONE, b"new"), entry_of(TWO, b"other")


def test_lines_are_read_in_order_and_a_files_last_line_counts(tmp_path):
    questions = entry_of(QUESTIONS_FILE, b"[]")
    journal = written(tmp_path, OLD, questions, OTHER, NEW)
    assert journal.entries == [OLD, questions, OTHER, NEW] and journal.damaged == []
    assert journal.shards() == {ONE: NEW, TWO: OTHER}
    assert Journal(tmp_path / "nowhere").entries == [] and Journal(tmp_path / "nowhere").damaged == []


def test_lines_that_cannot_be_read_are_numbered_but_for_one_that_was_cut_off(tmp_path):
    cut = line_of(NEW)[:-9]
    journal = written(tmp_path, "nonsense", OLD, "", OTHER, cut, end="")
    assert journal.entries == [OLD, OTHER] and journal.damaged == [1, 3]
    assert written(tmp_path, OLD, cut).damaged == [2]
    assert written(tmp_path, OLD).damaged == []


@pytest.mark.parametrize(
    "change",
    [
        {"file": "samples-00001.parquet"},
        {"file": "samples-000001.parquet.partial"},
        {"file": "a/samples-000001.parquet"},
        {"file": "samples-000001xparquet"},
        {"file": "questionsxjsonl"},
        {"file": 7},
        {"file": None},
        {"rows": True},
        {"rows": 1.0},
        {"rows": "1"},
        {"sha256": 5},
        {"sha256": None},
        {"more": 1},
    ],
)
def test_what_is_no_entry_is_damage(change, tmp_path):
    row = json.loads(line_of(OLD)) | change
    assert written(tmp_path, json.dumps(row), NEW).damaged == [1]
    assert written(tmp_path, "[1, 2, 3]", '"text"', "{}", NEW).damaged == [1, 2, 3]
    (tmp_path / JOURNAL_FILE).write_bytes(b"\xff\xfe\n" + line_of(NEW).encode() + b"\n")
    assert Journal(tmp_path).damaged == [1]
    large = Entry("samples-12345678.parquet", 0, "")
    assert written(tmp_path, large).entries == [large]


def test_only_the_very_last_line_leaves_open_whether_its_file_is_there(tmp_path):
    journal = written(tmp_path, OTHER, NEW)
    assert journal.accepted(ONE) == [NEW, None] and journal.accepted(TWO) == [OTHER]
    assert journal.accepted("samples-000009.parquet") == [None]
    assert written(tmp_path, OLD, OTHER, NEW).accepted(ONE) == [NEW, OLD]
    older = entry_of(ONE, b"older")
    assert written(tmp_path, older, OLD, OTHER, NEW).accepted(ONE) == [NEW, OLD]
    assert written(tmp_path, OLD, NEW, OTHER).accepted(ONE) == [NEW]
    assert written(tmp_path, OLD, NEW, NEW).accepted(ONE) == [NEW, NEW]
    assert written(tmp_path).accepted(ONE) == [None]


@pytest.mark.parametrize(
    ("entries", "bytes_", "found"),
    [
        ([OLD, NEW], b"new", (True, NEW)),
        ([OLD, NEW], b"old", (True, OLD)),
        ([OLD, NEW], b"bad", (False, None)),
        ([OLD, NEW], None, (False, None)),
        ([NEW], b"new", (True, NEW)),
        ([NEW], None, (True, None)),
        ([NEW], b"old", (False, None)),
        ([NEW, NEW], None, (False, None)),
        ([OLD, NEW, OTHER], b"old", (False, None)),
        ([NEW, OTHER], None, (False, None)),
        ([OTHER], b"new", (False, None)),
        ([OTHER], None, (True, None)),
        ([], b"new", (False, None)),
    ],
)
def test_a_file_is_what_the_journal_says_or_damaged(entries, bytes_, found, tmp_path):
    journal = written(tmp_path, *entries)
    if bytes_ is not None:
        (tmp_path / ONE).write_bytes(bytes_)
    assert journal.find(ONE) == found


def test_a_digest_is_that_of_all_bytes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(300_000))
    assert digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()


# A write is: a partial file, the intent, the rename. Of each point of a kill: what is left, and what becomes of it.
KILLS = {
    "before the intent": ([OTHER], None, [OTHER, OTHER]),
    "after the intent": ([OTHER, NEW], None, [OTHER]),
    "after the rename": ([OTHER, NEW], b"new", [OTHER, NEW, NEW]),
    "after the commit": ([OTHER, NEW, NEW], b"new", [OTHER, NEW, NEW]),
    "after the intent to replace": ([OLD, OTHER, NEW], b"old", [OLD, OTHER]),
    "after replacing": ([OLD, OTHER, NEW], b"new", [OLD, OTHER, NEW, NEW]),
    "before anything": ([], None, []),
    "after the first intent": ([NEW], None, []),
}


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("kill", KILLS)
def test_the_next_writer_takes_back_what_was_not_done_and_keeps_what_was(kill, end, tmp_path):
    entries, bytes_, kept = KILLS[kill]
    written(tmp_path, *entries, end=end)
    (tmp_path / TWO).write_bytes(b"other")
    (tmp_path / f".{ONE}.partial").write_bytes(b"ne")
    (tmp_path / "notes.partial").write_bytes(b"a user's")
    if bytes_ is not None:
        (tmp_path / ONE).write_bytes(bytes_)
    recover(tmp_path)
    assert content(tmp_path) == "".join(line_of(one) + "\n" for one in kept).encode()
    assert not (tmp_path / f".{ONE}.partial").exists() and (tmp_path / "notes.partial").exists()
    journal = Journal(tmp_path)
    assert all(journal.find(name)[0] for name in journal.shards()) and not journal.damaged
    for _ in range(2):  # a line whose file is in place is said again once, and not once a writer
        recover(tmp_path)
    assert len(Journal(tmp_path).entries) <= len(kept) + 1 and Journal(tmp_path).shards() == journal.shards()


@pytest.mark.parametrize("cut", [1, 20, len(line_of(NEW)) - 1])
def test_a_line_that_was_cut_off_is_taken_back(cut, tmp_path):
    written(tmp_path, OTHER, line_of(NEW)[:cut], end="")
    (tmp_path / ONE).write_bytes(b"new")
    recover(tmp_path)
    assert content(tmp_path) == (line_of(OTHER) + "\n").encode()


def test_a_last_line_that_was_spoilt_later_is_left_for_validation(tmp_path):
    written(tmp_path, OTHER, "spoilt")
    before = content(tmp_path)
    recover(tmp_path)
    assert content(tmp_path) == before


def test_a_file_that_was_damaged_later_is_left_for_validation(tmp_path):
    written(tmp_path, OTHER, OLD, NEW)
    (tmp_path / ONE).write_bytes(b"neither")
    before = content(tmp_path)
    recover(tmp_path)
    assert content(tmp_path) == before
    written(tmp_path, OTHER, OLD, NEW, end="")
    recover(tmp_path)
    assert content(tmp_path) == before


def test_the_loss_of_the_last_file_is_noticed_once_its_writer_ended(tmp_path):
    (tmp_path / ONE).write_bytes(b"new")
    written(tmp_path, NEW)
    record_commit(tmp_path)
    assert Journal(tmp_path).entries == [NEW, NEW]
    record_commit(tmp_path)
    assert Journal(tmp_path).entries == [NEW, NEW]
    (tmp_path / ONE).unlink()
    assert Journal(tmp_path).find(ONE) == (False, None)


@pytest.mark.parametrize(("entries", "bytes_"), [([NEW], None), ([OLD, NEW], b"old"), ([NEW], b"bad"), ([], b"new")])
def test_what_did_not_happen_is_not_committed(entries, bytes_, tmp_path):
    written(tmp_path, *entries)
    if bytes_ is not None:
        (tmp_path / ONE).write_bytes(bytes_)
    record_commit(tmp_path)
    assert Journal(tmp_path).entries == entries


def test_an_intent_is_one_line_more_and_a_new_journal_is_whole(tmp_path):
    record_intent(tmp_path, OLD)
    record_intent(tmp_path, NEW)
    assert content(tmp_path) == f"{line_of(OLD)}\n{line_of(NEW)}\n".encode()
    rewrite(tmp_path, [NEW, OTHER])
    assert content(tmp_path) == f"{line_of(NEW)}\n{line_of(OTHER)}\n".encode()
    rewrite(tmp_path, [])
    assert content(tmp_path) == b"" and [path.name for path in tmp_path.iterdir()] == [JOURNAL_FILE]


def test_recovering_what_has_no_journal_makes_none(tmp_path):
    (tmp_path / ".x.partial").write_bytes(b"")
    recover(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_cleared_is_named(tmp_path):
    (tmp_path / ".x.partial").mkdir()
    with pytest.raises(InputError, match=tmp_path.name):
        recover(tmp_path)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_journal_that_cannot_be_written_is_named(in_place, tmp_path, monkeypatch):
    written(tmp_path, NEW, end="")
    if in_place:
        (tmp_path / ONE).write_bytes(b"new")

    def refusing(path, mode="r", **options):
        if mode in ("ab", "rb+"):
            raise PermissionError(13, "Permission denied")
        return open(path, mode, **options)

    monkeypatch.setattr(journal_module, "open", refusing, raising=False)
    with pytest.raises(InputError, match=f"{JOURNAL_FILE}.*Permission denied"):
        recover(tmp_path)


QUESTIONS = '{"id": "q", "question": "1+1=", "answer": "2"}\n'


def test_questions_are_those_that_were_written(tmp_path):
    path = tmp_path / QUESTIONS_FILE
    path.write_text(QUESTIONS)
    written(tmp_path, entry_of(QUESTIONS_FILE, QUESTIONS.encode()))
    assert [question.id for question in read_pool_questions(tmp_path)] == ["q"]
    path.write_text(QUESTIONS.replace("2", "3"))
    with pytest.raises(InputError, match="damaged: these are not the questions that were written here"):
        read_pool_questions(tmp_path)


@pytest.mark.parametrize("looks", [[True], [False, True], [False, False]])
def test_questions_that_a_writer_replaces_meanwhile_are_looked_at_twice(looks, tmp_path, monkeypatch):
    (tmp_path / QUESTIONS_FILE).write_text(QUESTIONS)
    left = list(looks)
    monkeypatch.setattr(Journal, "find", lambda self, file: (left.pop(0), None))
    if any(looks):
        assert len(read_pool_questions(tmp_path)) == 1
    else:
        with pytest.raises(InputError, match="damaged"):
            read_pool_questions(tmp_path)
    assert not left


@pytest.mark.parametrize("torn", [b"X", b" ", b"\t"])
def test_what_was_begun_behind_the_last_line_is_taken_back_alone(tmp_path, torn):
    (tmp_path / ONE).write_bytes(b"old")
    written(tmp_path, OTHER, OLD)
    before = content(tmp_path)
    (tmp_path / JOURNAL_FILE).write_bytes(before + torn)
    recover(tmp_path)
    assert content(tmp_path) == before
