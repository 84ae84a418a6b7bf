"""Verbs that take their time over a large pool say at once what they do: a line on standard error."""

import contextlib
import io

import pytest
from recorded_runs import record_run, sums_pool

from optscale_predictor._support.progress import LineBar
from optscale_predictor.cli.main import main
from optscale_predictor.pools import Pool


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return sums_pool(tmp_path_factory.mktemp("long") / "pool", questions=6).folder


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr("optscale_predictor._support.progress._SHORT_SECONDS", 0.0)


def said_by(capsys, *command):
    main([*map(str, command)])
    return capsys.readouterr().err.splitlines()


def test_targets_say_how_far_reading_and_splitting_are(pool, tmp_path, capsys):
    said = said_by(capsys, "targets", pool, "--output", tmp_path / "targets.parquet")
    assert said[0].startswith("read: 0 of 1 shards")
    assert [line for line in said if line.startswith("split: 6 of 6 questions")]


def test_a_merge_says_how_far_comparing_and_writing_are(pool, tmp_path, capsys):
    said = said_by(capsys, "pool", "merge", pool, "--output", tmp_path / "merged")
    assert said[0].startswith("compare: 0 of 1 shards")
    assert [line for line in said if line.startswith("merge: 48 of 48 samples")]


def test_a_report_says_how_far_replaying_and_writing_are(pool, tmp_path, capsys):
    given = ["--policies", "best_of_n:max_samples=2 best_of_n:max_samples=4", "--num_orders", "2"]
    said = said_by(capsys, "report", pool, "--output", tmp_path / "report", *given)
    assert said[0].startswith("replay: 0 of 2 runs") and said[-1].startswith("report: 8 of 8 files")


def test_a_report_says_how_many_outcomes_it_has_read(pool, tmp_path, capsys):
    run = record_run(tmp_path / "run", Pool(pool))
    said = said_by(capsys, "report", run, "--output", tmp_path / "report")
    assert [line for line in said if line.startswith("read: 18 outcomes")]


def test_what_is_done_in_a_moment_says_nothing():
    """By a clock of its own: nothing in the first second, then where it is, and at the end how far it came."""
    now = [0.0]
    bar = LineBar("read", 4, 0, "shards", lambda: now[0], delay=1.0)
    lines = []
    for now[0] in (0.5, 0.9, 1.2, 1.3):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            bar.update()
        lines.append(said.getvalue())
    assert lines[:2] == ["", ""] and lines[2].startswith("read: 3 of 4 shards") and lines[3] == ""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        bar.close()
        LineBar("read", 4, 0, "shards", lambda: now[0], delay=1.0).close()
    assert said.getvalue().startswith("read: 4 of 4 shards") and said.getvalue().count("\n") == 1


def test_quiet_is_quiet(pool, tmp_path, capsys):
    assert said_by(capsys, "targets", pool, "--output", tmp_path / "targets.parquet", "--quiet") == []
