"""Settings of a training: those that ship are read, wrong ones are one line, and files go beside the output alone."""

import re
from pathlib import Path

import numpy as np
import pytest
from training_runs import flags, main, write_targets

from optscale_predictor import OptScalePredictor
from optscale_predictor.backends.adapters.lora import LoraSettings
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.model.config import ScoreSource
from optscale_predictor.predictor.training.train_command import CONFIGS, TrainingCLI, train_predictor


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_targets(tmp_path / "targets.jsonl", 24)  # nothing is to be learnt here
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data__path": "nowhere.jsonl"}, r"nowhere.jsonl: cannot read targets"),
        ({"model__pooling": "man"}, r"pooling must be one of mean, last, attention, got 'man'"),
        ({"model__poolin": "mean"}, r"poolin"),
        ({"model__learning_rate": "-1"}, r"learning_rate must be > 0"),
        ({"model__cache_frozen": "memory"}, r"nothing to cache"),
        ({"model__lora.rank": "0"}, r"rank must be >= 1"),
        ({"model__base_model": "embedded:nothing"}, r"embedded:nothing"),
        ({"trainer__precision": "17"}, r"17"),
        ({"trainer__strategy": "fsdp", "trainer__accelerator": "cpu"}, r"requires a GPU"),
        ({"ckpt_path": "nowhere.ckpt"}, r"nowhere.ckpt"),
    ],
)
def test_a_wrong_setting_is_one_line(changes, says, capsys):
    with pytest.raises(SystemExit) as ended:
        main(flags("out", **changes))
    assert ended.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(says, last) and "error" in last


@pytest.mark.parametrize(
    ("text", "says"),
    [("model:\n  output: out\n  learning_rat: 3\n", "learning_rat"), ("model: [\n", "expected")],
)
def test_a_wrong_file_is_one_line(text, says, capsys):
    Path("bad.yaml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", "bad.yaml"])
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert re.search(says, said[-1]) and not any("Traceback" in line for line in said)


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_is_read(config, monkeypatch):
    read = []
    monkeypatch.setattr(TrainingCLI, "instantiate_classes", lambda self: read.append(self.config))
    monkeypatch.setattr(TrainingCLI, "_run_subcommand", lambda self, name: None)
    main(["fit", "--config", str(config)])
    assert read[0]["fit"]["early_stopping"]["monitor"] == read[0]["fit"]["model"]["monitor"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lora": {"rank": 4}}, "lora must be a LoraSettings, got {'rank': 4}"),
        ({"lora": None}, "lora must be a LoraSettings, got None"),
        ({"loss": 3}, "loss must be a Loss or one of 'marginal_likelihood', 'likelihood', 'squared_error', got 3"),
        ({"labels": "subject"}, "labels must be a list of text or None, got 'subject'"),
        ({"sources": [{"generator": "a"}]}, "sources must be a list of a ScoreSource or None"),
        ({"learning_rate": "fast"}, "learning_rate must be a number, got 'fast'"),
        ({"epochs": 1.5}, "epochs must be a whole number, got 1.5"),
        ({"batch_size": None}, "batch_size must be a whole number, got None"),
        ({"base_model": Path("folder")}, "base_model must be text"),
        ({"poolin": "mean"}, "unknown setting 'poolin'; did you mean 'pooling'?"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_argument_of_the_library_is_one_line(settings, says):
    with pytest.raises(InputError) as raised:
        train_predictor("targets.jsonl", "out", **settings)
    assert str(raised.value).startswith(says) and "\n" not in str(raised.value)


def test_settings_and_numbers_of_numpy_are_taken():
    lora, rate = LoraSettings(rank=2, top_layers=1), np.float32(2e-3)
    train_predictor("targets.jsonl", "out", epochs=np.int64(1), lora=lora, learning_rate=rate, seed=np.int64(3))
    assert OptScalePredictor.from_pretrained("out").config.base_model == "embedded:generator"


def test_sources_may_be_named_as_a_setting():
    source = ScoreSource(generator="a", verifier="b")
    train_predictor("targets.jsonl", "out", epochs=1, sources=[source])
    assert OptScalePredictor.from_pretrained("out").config.sources == [source]


@pytest.mark.parametrize("logger", ["false", "true"])
def test_it_writes_beside_its_output_and_nowhere_else(folder, logger):
    main(flags("runs/out", trainer__max_epochs=1, trainer__logger=logger))
    assert {path.name for path in folder.iterdir()} == {"targets.jsonl", "runs"}
    assert {path.name for path in (folder / "runs").iterdir()} == {"out", "out_training"}
    assert (folder / "runs" / "out_training" / "config.yaml").exists() == (logger == "false")


LOGGERS = """
trainer:
  max_epochs: 1
  logger:
    - class_path: CSVLogger
      init_args: {save_dir: logged, name: one}
    - class_path: CLASS
      init_args: ARGUMENTS
"""


def with_loggers(made, arguments):
    Path("log.yaml").write_text(LOGGERS.replace("CLASS", made).replace("ARGUMENTS", arguments))
    main(["fit", "--config", "log.yaml", *flags("out")[1:]])


def test_the_loggers_that_a_file_names_get_the_figures_and_ours_are_left_out(folder):
    with_loggers("pytorch_lightning.loggers.CSVLogger", "{save_dir: logged, name: two}")
    for name in ("one", "two"):
        (table,) = (folder / "logged" / name).rglob("metrics.csv")
        assert {"loss", "log_evidence", "tokens_per_second"} <= set(table.read_text().splitlines()[0].split(","))
    assert not (folder / "out_training" / "csv").exists()


@pytest.mark.parametrize(
    ("made", "arguments", "says"),
    [
        ("made_loggers.RefusingLogger", "{address: port 9}", "no tracking server at port 9"),
        ("CSVLogger", "{save_dir: logged, nam: two}", "nam"),
        ("NoLogger", "{}", "NoLogger"),
    ],
)
def test_a_logger_that_cannot_be_made_is_one_line_that_says_why(made, arguments, says, capsys):
    with pytest.raises(SystemExit) as ended:
        with_loggers(made, arguments)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert ended.value.code == 2 and "error: " in last and says in last, last
