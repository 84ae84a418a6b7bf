"""Checkpoints: what is loaded predicts as what was saved, bit for bit."""

import shutil

import pytest
import torch
from peft import PeftModel
from small_predictors import (
    DECODER,
    QUESTIONS,
    load_from,
    make_gaussian_process,
    make_predictor,
    priors,
    refusal_to_load,
    write_encoder,
)
from transformers import AutoModel

from optscale_predictor.backends.adapters.base_model import base_fingerprint
from optscale_predictor.backends.adapters.lora import LoraSettings
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.checkpoint.save_load import load_config
from optscale_predictor.predictor.model.config import ScoreSource

SOURCES = [ScoreSource("one", "org/generator", {"temperature": 0.7, "stop": ["\n"]}, "org/judge"), ScoreSource("two")]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint with a linear head; tests copy it before they harm it."""
    folder = tmp_path_factory.mktemp("saved")
    make_predictor(sources=SOURCES).save_pretrained(folder)
    return folder


@pytest.fixture
def checkpoint(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoint")


@pytest.mark.parametrize("kind", ["encoder", "last token", "attention", "rslora on top", "gaussian process"])
def test_saved_and_loaded_it_predicts_the_same_bit_for_bit(kind, encoder, tmp_path):
    predictor = {
        "encoder": lambda: make_predictor(encoder),
        "last token": lambda: make_predictor(pooling="last"),
        "attention": lambda: make_predictor(pooling="attention", layers="all"),
        "rslora on top": lambda: make_predictor(encoder, LoraSettings(rank=2, top_layers=1)),
        "gaussian process": make_gaussian_process,
    }[kind]()
    before = priors(predictor)
    predictor.save_pretrained(tmp_path / "checkpoint")
    loaded = load_from(tmp_path / "checkpoint")
    assert torch.equal(priors(loaded), before)
    assert torch.equal(priors(predictor), before)
    with loaded.backbone.disable_adapter():  # the updates count, so that losing them could not go unseen
        assert (priors(loaded) - before).abs().max() > 1e-4
    assert (before[0] - before[0, 0]).abs().max() > 1e-5
    loaded.save_pretrained(tmp_path / "again")
    for name in ("adapter_model.safetensors", "head.safetensors", "optscale_config.json", "README.md"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "checkpoint" / name).read_bytes()


def test_a_checkpoint_keeps_what_it_learnt_from(checkpoint):
    config = load_from(checkpoint).config
    assert config.sources == [ScoreSource.from_dict(source.as_dict()) for source in SOURCES]
    assert load_config(checkpoint) == config and config.base_fingerprint


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # of PEFT's own use of transformers
def test_any_peft_reads_the_updates(checkpoint):
    mine = load_from(checkpoint).backbone
    theirs = PeftModel.from_pretrained(load_pretrained(AutoModel, DECODER, "cpu"), checkpoint).eval()
    tokens = torch.tensor([[3, 4, 5]])
    with torch.inference_mode():
        assert torch.equal(mine(tokens).last_hidden_state, theirs(tokens).last_hidden_state)


def test_it_names_nothing_of_this_machine(checkpoint):
    for file in checkpoint.iterdir():
        content = file.read_bytes()
        assert str(checkpoint).encode() not in content and b"weights/generator" not in content


def test_another_base_of_the_same_shape_is_refused(tmp_path):
    first, second = write_encoder(tmp_path / "first", seed=0), write_encoder(tmp_path / "second", seed=1)
    predictor = make_predictor(first)
    predictor.save_pretrained(tmp_path / "checkpoint")
    assert "trained on another base model than" in refusal_to_load(tmp_path / "checkpoint", base_model=second)
    copied = shutil.copytree(first, tmp_path / "copied")
    moved = load_from(tmp_path / "checkpoint", base_model=str(copied))
    assert torch.equal(priors(moved), priors(predictor))
    shutil.rmtree(first)
    assert "first" in refusal_to_load(tmp_path / "checkpoint")
    (tmp_path / "second").rename(first)  # where the checkpoint looks for it
    assert "trained on another base model than" in refusal_to_load(tmp_path / "checkpoint")


def test_a_fingerprint_is_of_the_weights_not_of_how_they_are_held(encoder):
    base = load_pretrained(AutoModel, encoder, "cpu")
    single = base_fingerprint(base)
    assert base_fingerprint(make_predictor(encoder).backbone) == single
    assert base_fingerprint(base.to(torch.bfloat16)) == single and len(single) == 16
    with torch.no_grad():
        base.encoder.layer[1].output.dense.weight.mul_(1.01)
    assert base_fingerprint(base) != single


def test_a_folder_that_cannot_be_written_is_one_line(checkpoint):
    (checkpoint / "README.md").unlink()
    (checkpoint / "README.md").mkdir()
    with pytest.raises(InputError, match="cannot write the checkpoint: "):
        make_predictor().save_pretrained(checkpoint)
    assert not list(checkpoint.glob(".partial*"))


@pytest.mark.parametrize("name", ["nowhere", "./no/where", "/no/where", "~/nowhere", "a/b/c", "org/"])
def test_no_such_folder_is_one_line_and_the_hub_is_not_asked(name):
    assert refusal_to_load(name) == f"predictor {name!r}: no such folder"


def test_a_folder_has_no_revisions(saved):
    assert "revision 'v1'" in refusal_to_load(saved, revision="v1")


def test_a_second_save_leaves_nothing_of_the_first(checkpoint):
    make_predictor(pooling="last").save_pretrained(checkpoint)
    loaded = load_from(checkpoint)
    assert loaded.config.pooling == "last" and len(loaded.config.sources) == 1
    assert len(loaded.predict(QUESTIONS)) == len(QUESTIONS)
