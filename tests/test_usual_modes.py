"""Weights open for whoever the umask lets read any other file."""

import os

import pytest
import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer

from optscale_predictor._support.usual_modes import give_weights_usual_modes
from optscale_predictor.backends.adapters.adapter import write_adapter
from optscale_predictor.backends.adapters.lora import add_lora
from optscale_predictor.backends.adapters.merged_weights import write_model
from optscale_predictor.backends.model_loading import load_pretrained

BASE = "embedded:generator"


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder):
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_an_adapter_and_a_merged_model_are_as_readable_as_their_settings(tmp_path, umask):
    model = load_pretrained(AutoModelForCausalLM, BASE, "cpu")
    tokenizer = load_pretrained(AutoTokenizer, BASE)
    merged, adapted = tmp_path / "merged", tmp_path / "adapted"
    for folder in (merged, adapted):
        folder.mkdir()
    write_model(model, tokenizer, merged)
    write_adapter(add_lora(model, LoraConfig(r=2, target_modules="all-linear")), BASE, adapted)
    found = {**modes(merged), **modes(adapted)}
    assert {"model.safetensors", "adapter_model.safetensors", "config.json"} <= found.keys()
    assert set(found.values()) == {0o666 & ~umask}


def test_nothing_is_left_behind_and_no_other_file_is_touched(tmp_path):
    weights, other = tmp_path / "a.safetensors", tmp_path / "secret.json"
    torch.save({}, weights)
    other.write_text("{}")
    weights.chmod(0o600)
    other.chmod(0o600)
    give_weights_usual_modes(tmp_path)
    (tmp_path / "any").write_text("")
    assert modes(tmp_path) == {
        "a.safetensors": modes(tmp_path)["any"],
        "secret.json": 0o600,
        "any": modes(tmp_path)["any"],
    }
