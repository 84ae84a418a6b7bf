"""Where results go, what must be installed, and what is named twice: said before any work, by every verb."""

from importlib import import_module

import pytest
from recorded_runs import sums_pool

from optscale_predictor._support.extras import require_extras
from optscale_predictor._support.outputs import require_file, require_folder, require_once
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError, MissingExtraError

FILE = "{tmp}/file"
#: Modules that would keep for good what stands in for work, were they imported meanwhile.
READERS = ("evaluation.report", "evaluation.assessment", "targets", "predictor")


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_text("kept")
    return tmp_path / "file"


def test_a_folder_can_be_made_and_nothing_is_left(tmp_path, file):
    assert require_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b" and list(tmp_path.iterdir()) == [file]
    (tmp_path / "there").mkdir()
    assert require_folder(tmp_path / "there" / "b").parent.is_dir() and not list((tmp_path / "there").iterdir())
    for wrong in (file, file / "below"):
        with pytest.raises(InputError, match=f"{wrong}: cannot write: Not a directory"):
            require_folder(wrong)


def test_a_file_is_left_as_it_is_and_its_folder_made(tmp_path, file):
    require_file(file)
    assert file.read_text() == "kept"
    assert not require_file(tmp_path / "a" / "new").exists() and (tmp_path / "a").is_dir()
    for wrong, says in ((tmp_path / "a", "it is a folder"), (file / "below", "cannot write: ")):
        with pytest.raises(InputError, match=says):
            require_file(wrong)


def test_a_place_that_is_named_twice_is_found_however_it_is_spelled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "loop").symlink_to("loop")  # whoever reads it says so
    require_once(["a", "b", "loop", "hub:x/a", "hub:x/b"], "pool")
    for names in (["a", "a"], ["a", "./b/../a"], ["a", str(tmp_path / "a")], ["a", "link"], ["hub:x/a", "hub:x/a"]):
        with pytest.raises(InputError, match="is named twice"):
            require_once(names, "pool")


@pytest.mark.parametrize(
    "command",
    [
        ["replay", "{pool}", "--output", FILE],
        ["tune", "{pool}", "--output", FILE],
        ["report", "{pool}", "--output", FILE],
        ["calibrate", "{pool}", "{tmp}/file/map.json"],
        ["calibrate", "{pool}", "{tmp}/map.json", "--diagram", "{tmp}/file/diagram.png"],
        ["paper-table", "{tmp}", "--output", FILE],
        ["targets", "{pool}", "--output", "{tmp}/file/targets.parquet"],
        ["predict", "{tmp}/none", "-", "--output", "{tmp}/file/priors.jsonl"],
        ["assess", "{tmp}/none", "{tmp}/none", "--output", FILE],
        ["answer", "1+2=", "--output", "{tmp}/file/answers.jsonl"],
        ["answer", "1+2=", "--pool", FILE],
        ["demo", "--output", FILE],
    ],
)
def test_an_output_that_cannot_be_written_costs_no_work(command, tmp_path, file, capsys, monkeypatch):
    """A replay of minutes, or a model's loading, came first."""
    for reader in READERS:
        import_module(f"optscale_predictor.{reader}")
    for work in (
        "optscale_predictor.replays.recorded_samples.scored_rows",
        "optscale_predictor.targets.pool_scores.read_pool_scores",
        "optscale_predictor.backends.model_loading.load_pretrained",
        "optscale_predictor.predictor.OptScalePredictor.from_pretrained",
    ):
        monkeypatch.setattr(work, lambda *_, **__: pytest.fail("work came first"))
    pool = sums_pool(tmp_path / "pool", questions=2, depth=2).folder
    with pytest.raises(SystemExit) as stopped:
        main([part.format(tmp=tmp_path, pool=pool) for part in command])
    (line,) = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and "cannot write: " in line and str(file) in line and file.read_text() == "kept"


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        (["demo", "--output", "{tmp}/demo"], "matplotlib", "plot"),
        (["demo", "--output", "{tmp}/demo"], "lm_eval", "eval"),
        (["demo", "--output", "{tmp}/demo"], "lightgbm", "fit"),
        (["calibrate", "{tmp}", "{tmp}/map.json", "--diagram", "{tmp}/d.png"], "matplotlib", "plot"),
        (["fit-policy", "{tmp}"], "lightgbm", "fit"),
        (["eval", "--tasks", "optscale_arithmetic"], "lm_eval", "eval"),
    ],
)
def test_what_is_not_installed_is_said_first(command, module, extra, tmp_path, capsys, monkeypatch):
    """The demo worked for minutes, and then missed matplotlib."""
    from importlib.util import find_spec

    monkeypatch.setattr(
        "optscale_predictor._support.extras.find_spec", lambda name: None if name == module else find_spec(name)
    )
    with pytest.raises(SystemExit) as stopped:
        main([part.format(tmp=tmp_path) for part in command])
    (line,) = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and f"is not installed; run: pip install 'optscale-predictor[{extra}]'" in line
    assert not list(tmp_path.iterdir())  # nothing was begun


def test_an_extra_that_is_there_is_not_imported():
    require_extras("matplotlib", "lm_eval")
    with pytest.raises(KeyError):
        require_extras("no_such_module_here")
    assert issubclass(MissingExtraError, InputError)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["pool", "merge", "{pool}", "{pool}", "--output", "{tmp}/out"], "pool"),
        (["pool", "merge", "{pool}", "{pool}/../pool", "--output", "{tmp}/out"], "pool"),
        (["report", "{pool}", "{pool}", "--output", "{tmp}/out"], "run"),
        (["fit-policy", "{pool}", "{pool}", "--output", "{tmp}/out"], "pool"),
        (["train-verifier", "{pool}", "{pool}", "--output", "{tmp}/out"], "pool"),
        (["train-generator", "{pool}/q", "{pool}/q", "--output", "{tmp}/out"], "question set"),
    ],
)
def test_what_is_named_twice_is_not_counted_twice(command, what, tmp_path, capsys):
    """A pool was merged with itself, and a run reported on twice, without a word."""
    pool = sums_pool(tmp_path / "pool", questions=2, depth=2).folder
    with pytest.raises(SystemExit) as stopped:
        main([part.format(tmp=tmp_path, pool=pool) for part in command])
    (line,) = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and f"error: {what} {pool}" in line and "named twice" in line
    assert not (tmp_path / "out").exists()
