"""What is said on the way: on standard error, as much as was asked for, by every verb alike."""

import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from optscale_predictor._support.messages import (
    Verbosity,
    bars_shown,
    messages_dated,
    messages_shown,
    say_loading,
    take_verbosity,
)
from optscale_predictor._support.progress import progress_bar
from optscale_predictor.cli.main import main
from optscale_predictor.cli.verbs import VERBS

OURS, THEIRS = logging.getLogger("optscale_predictor.pools"), logging.getLogger("some_library.part")
PACKAGE = Path(main.__code__.co_filename).parents[1]


@pytest.mark.parametrize(
    ("given", "verbosity", "rest"),
    [
        (["answer", "1+2="], Verbosity.NORMAL, ["answer", "1+2="]),
        (["-v", "answer", "1+2="], Verbosity.VERBOSE, ["answer", "1+2="]),
        (["answer", "1+2=", "--quiet"], Verbosity.QUIET, ["answer", "1+2="]),
        (["score", "-q", "pool", "--verbose"], Verbosity.VERBOSE, ["score", "pool"]),
        (["answer", "--", "-v"], Verbosity.NORMAL, ["answer", "--", "-v"]),
        (["eval", "-v", "DEBUG", "-q"], Verbosity.QUIET, ["eval", "-v", "DEBUG"]),  # lm-eval's own
    ],
)
def test_every_verb_takes_the_flags_that_say_how_much_is_said(given, verbosity, rest):
    assert take_verbosity(given) == (verbosity, rest)


def everything_said(capsys):
    """What is shown of lines of each kind."""
    OURS.debug("a detail")
    OURS.info("a line of 100%% sums".replace("%%", "%"))
    OURS.warning("a doubt")
    THEIRS.info("their line")
    THEIRS.warning("their doubt")
    logging.getLogger("elsewhere").error("their failure")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("deprecated", FutureWarning, stacklevel=1)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_by_default_lines_and_warnings_are_ours_alone(capsys):
    with messages_shown(Verbosity.NORMAL):
        assert everything_said(capsys) == ["a line of 100% sums", "warning: a doubt", "error: their failure"]


def test_quiet_leaves_warnings_and_errors(capsys):
    with messages_shown(Verbosity.QUIET):
        assert everything_said(capsys) == ["warning: a doubt", "error: their failure"] and not bars_shown()
        with progress_bar("draw", 3) as bar:
            bar.update(3)
        assert capsys.readouterr().err == "" and os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] == "1"


def test_verbose_shows_details_others_lines_and_pythons_warnings(capsys):
    with messages_shown(Verbosity.VERBOSE):
        said = everything_said(capsys)
    assert [line.partition(" s] ")[2] for line in said if line.startswith("[")] == [
        "a detail",
        "a line of 100% sums",
        "warning: a doubt",
        "some_library.part: their line",
        "some_library.part: warning: their doubt",
        "elsewhere: error: their failure",
        next(line.partition(" s] ")[2] for line in said if "FutureWarning: deprecated" in line),
    ]


@pytest.mark.parametrize("verbosity", [Verbosity.NORMAL, Verbosity.VERBOSE])
def test_dated_lines_begin_with_the_day_and_the_time(verbosity, capsys):
    date = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?!\[)")
    with messages_shown(verbosity):
        with messages_dated():
            said = everything_said(capsys)
        said = [line for line in said if not line.startswith("  ")]  # the second line of one of Python's warnings
        assert all(map(date.match, said)) and "warning: a doubt" in [date.sub("", line) for line in said]
        assert not any(date.match(line) for line in everything_said(capsys))


def test_afterwards_all_is_as_it_was(monkeypatch):
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "debug")
    root = logging.getLogger()

    def state():
        levels = [logging.getLogger(name).level for name in ("", "optscale_predictor", "transformers")]
        return levels, set(root.handlers), warnings.showwarning, dict(os.environ)

    before = state()
    with messages_shown(Verbosity.VERBOSE), messages_shown(Verbosity.QUIET):
        assert os.environ["TRANSFORMERS_VERBOSITY"] == "error" and state() != before
    assert state() == before


def test_a_library_sets_nothing_up():
    code = "import logging, optscale_predictor.pools, optscale_predictor._support.messages as m; print(m.bars_shown(), "
    code += "*(len(logging.getLogger(name).handlers) for name in ('', 'optscale_predictor')))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["True", "0", "0"]


def test_what_takes_seconds_to_import_is_said_once(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger("optscale_predictor._support.messages"), "disabled", False)
    say_loading("the json module", "json", "no_such_module")
    say_loading("the json module", "json")
    assert capsys.readouterr().err == "loading the json module\n"


def test_results_are_the_same_however_much_is_said(tmp_path, capsys):
    """A pool is drawn anew each time; what is shown of it afterwards is its result."""
    errors = []
    for flag in ("-q", None, "-v"):
        pool = tmp_path / str(flag) / "pool"
        more = [flag] if flag else []
        main(["generate", str(pool), "--questions", "embedded:train:1", "--num_samples", "1", *more])
        captured = capsys.readouterr()
        assert captured.out == f"{pool}: 1 samples of 1 questions\n"
        errors.append(captured.err)
    quiet, usual, verbose = errors
    assert quiet == "" and "estimate: 1 samples" in usual and "estimate: 1 samples" in verbose


def test_a_mistake_tells_where_it_was_found_where_more_is_asked_for(capsys):
    shown = {}
    for flag in ([], ["-q"], ["-v"]):
        with pytest.raises(SystemExit) as stopped:
            main(["pool", "info", "nowhere", *flag])
        assert stopped.value.code == 2
        shown[tuple(flag)] = capsys.readouterr().err
    assert shown[()] == shown["-q",] and shown[()].count("\n") == 1
    assert "Traceback" in shown["-v",] and shown["-v",].endswith(shown[()])


@pytest.mark.parametrize("name", [name for name, verb in VERBS.items() if not verb.passed_on])
def test_every_verbs_help_names_them(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*name.split(), "-q", "--help"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 0 and "\n  -v, --verbose   more" in shown and "\n  -q, --quiet     results" in shown


def test_nothing_of_ours_prints_on_standard_error_past_it():
    """Only what ends a command does, which is shown however little is to be said."""
    allowed = {"_support/messages.py", "_support/progress.py"}
    found = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "embedded" not in path.parts and "file=sys.stderr" in path.read_text(encoding="utf-8")
    ]
    assert set(found) == allowed


def test_bars_that_a_user_has_switched_off_are_not_switched_on_again():
    code = "from optscale_predictor.backends.quiet_loading import quiet_loading\nwith quiet_loading(): pass"
    switched_off = {**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    said = subprocess.run([sys.executable, "-W", "error", "-c", code], env=switched_off, capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")
