"""A predictor on a base that is a folder of this machine: its place is published nowhere, and it loads all the same."""

import json
import shutil
from fnmatch import fnmatch

import pytest
import torch
from huggingface_hub import ModelCard
from small_predictors import make_predictor, priors, refusal_of, write_encoder

from optscale_predictor import OptScalePredictor
from optscale_predictor.backends.adapters.base_model import LOCAL_BASE
from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.checkpoint.save_load import CHECKPOINT_FILES


def published(folder):
    """What goes to a hub of a checkpoint."""
    return [path for path in folder.iterdir() if any(fnmatch(path.name, pattern) for pattern in CHECKPOINT_FILES)]


def named(folder):
    """The base in the config, in PEFT's config and in the card's metadata."""
    config, adapter = (
        json.loads((folder / name).read_text()) for name in ("optscale_config.json", "adapter_config.json")
    )
    return (
        config["base_model"],
        adapter["base_model_name_or_path"],
        ModelCard((folder / "README.md").read_text()).data.base_model,
    )


def load(folder):
    return OptScalePredictor.from_pretrained(str(folder))


@pytest.mark.parametrize("relative", [False, True])
def test_its_place_is_in_nothing_that_is_published_and_it_loads_from_anywhere(relative, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = write_encoder(tmp_path / "bases" / "small")
    predictor = make_predictor("bases/small" if relative else base)  # the former looks like a name of the hub's
    predictor.save_pretrained(tmp_path / "checkpoint")
    assert named(tmp_path / "checkpoint") == ("folder:small", None, None)
    for path in published(tmp_path / "checkpoint"):
        assert b"bases" not in path.read_bytes(), path
    card = (tmp_path / "checkpoint" / "README.md").read_text()
    assert card.count("`small` was a folder of the machine that trained the predictor") == 1
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert torch.equal(priors(load(tmp_path / "checkpoint")), priors(predictor))


def test_on_another_machine_its_place_is_named_once(tmp_path, capsys):
    predictor = make_predictor(write_encoder(tmp_path / "base"))
    predictor.save_pretrained(tmp_path / "checkpoint")
    shutil.move(tmp_path / "base", tmp_path / "moved")
    (tmp_path / "questions.jsonl").write_text('{"question": "1+2="}\n')
    says = "its base model 'base' was a folder of the machine that it was trained on and is not here"
    assert says in refusal_of(
        capsys, "predict", tmp_path / "checkpoint", tmp_path / "questions.jsonl", "--output", tmp_path / "out.jsonl"
    )
    main(["publish", str(tmp_path / "checkpoint"), "--base_model", str(tmp_path / "moved")])
    assert "note: the card names no base_model: 'moved' is a folder of this machine" in capsys.readouterr().out
    assert torch.equal(priors(load(tmp_path / "checkpoint")), priors(predictor))
    assert named(tmp_path / "checkpoint") == ("folder:moved", None, None)
    (tmp_path / "checkpoint" / LOCAL_BASE).unlink()  # as it comes from somebody else
    with pytest.raises(InputError, match="--base_model FOLDER"):
        load(tmp_path / "checkpoint")


def test_a_name_that_others_know_takes_its_place_everywhere(tmp_path, capsys):
    shutil.copytree(resolve_model("embedded:generator"), tmp_path / "mine")
    predictor = make_predictor(str(tmp_path / "mine"))
    predictor.save_pretrained(tmp_path / "checkpoint")
    main(["publish", str(tmp_path / "checkpoint"), "--base_model", "embedded:generator"])
    assert "note:" not in capsys.readouterr().out
    assert named(tmp_path / "checkpoint") == ("embedded:generator", "embedded:generator", None)
    assert not (tmp_path / "checkpoint" / LOCAL_BASE).exists()
    assert "folder of the machine" not in (tmp_path / "checkpoint" / "README.md").read_text()
    shutil.rmtree(tmp_path / "mine")
    assert torch.equal(priors(load(tmp_path / "checkpoint")), priors(predictor))
