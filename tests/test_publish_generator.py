"""Publishing a fine-tuned generator: to the hub and back by the real client, and what is refused."""

import json
import shutil

import pytest
import torch
from small_predictors import refusal_of
from test_generator_folders import BASE, randomised
from test_publish import hub, run  # noqa: F401 - a fixture
from transformers import AutoModelForCausalLM

from optscale_predictor.backends.adapters.base_model import LOCAL_BASE, base_fingerprint
from optscale_predictor.backends.adapters.generator_config import GENERATOR_FILE, GeneratorConfig
from optscale_predictor.backends.adapters.generator_folder import learnt_prompt, write_generator
from optscale_predictor.backends.adapters.lora import LoraSettings, tune
from optscale_predictor.backends.generators.training.generator_card import render_generator_card
from optscale_predictor.backends.model_loading import EMBEDDED, load_pretrained
from optscale_predictor.cli.main import main

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

TOKENS = torch.tensor([[4, 13, 5, 14, 17, 15]])
QUESTIONS = ("--questions", "embedded:test:2", "--num_samples", "1", "--max_tokens", "4")
PROMPT = "Sum: {question}\nIt is"


def make(folder, base=BASE):
    """A generator's folder, whose updates do something."""
    folder.mkdir()
    model = load_pretrained(AutoModelForCausalLM, str(base), "cpu")
    figures = {"loss": 0.5, "loss_before": 2.0}
    config = GeneratorConfig(str(base), base_fingerprint(model), PROMPT, False, metrics=figures)
    tuned = randomised(tune(model, LoraSettings(rank=2, alpha=4)))
    write_generator(tuned, config, render_generator_card(config), folder, "float32")
    return folder


@pytest.fixture
def trained(tmp_path):
    return make(tmp_path / "generator")


def logits(name):
    with torch.no_grad():
        return load_pretrained(AutoModelForCausalLM, str(name), "cpu")(TOKENS).logits


def test_its_card_is_written_and_its_files_go_to_the_hub_and_come_back(trained, hub, tmp_path):  # noqa: F811
    (trained / "notes.txt").write_text("private")
    (trained / "README.md").unlink()
    steps = {
        "push": ["publish", trained, "--hub", "name/generator", "--license", "mit"],
        "draw": [
            "generate",
            tmp_path / "pool",
            "--generator",
            "name/generator",
            "--questions",
            "embedded:test:2",
            "--num_samples",
            "1",
            "--max_tokens",
            "4",
        ],
    }
    pushed, drawn = run(steps, hub[1], tmp_path / "home").values()
    assert pushed[0] == 0, pushed
    assert pushed[1].splitlines() == [f"{trained / 'README.md'}: model card", f"{trained}: {hub[1]}/name/generator"]
    there = hub[0] / "name/generator/1"
    kept = {"README.md", GENERATOR_FILE, "adapter_config.json", "adapter_model.safetensors"}
    assert {path.name for path in there.iterdir()} == kept
    card = (there / "README.md").read_text()
    assert "license: mit" in card and "train-generator" in card and "2.0" in card
    assert torch.equal(logits(there), logits(trained)) and not torch.equal(logits(there), logits(BASE))
    assert learnt_prompt(str(there)) == PROMPT
    assert drawn[0] == 0, drawn
    settings = json.loads((tmp_path / "pool" / "manifest.json").read_text())["settings"]
    assert settings["generator"]["model"] == "name/generator" and settings["prompt"] == PROMPT


def test_without_a_hub_it_is_checked_and_its_card_written(trained, capsys):
    main(["publish", str(trained), "--license", "apache-2.0"])
    assert capsys.readouterr().out == f"{trained / 'README.md'}: model card\n"
    assert "license: apache-2.0" in (trained / "README.md").read_text()


def test_a_base_that_is_a_folder_gets_the_name_that_others_find_it_by(tmp_path, capsys):
    base = shutil.copytree(EMBEDDED / "generator", tmp_path / "base")
    folder = make(tmp_path / "generator", base)
    before = logits(folder)
    assert "'base' is a folder of this machine" in refusal_of(capsys, "publish", folder, "--hub", "name/x")
    other = shutil.copytree(EMBEDDED / "verifier", tmp_path / "other")
    assert "another base" in refusal_of(capsys, "publish", folder, "--base_model", other)
    assert json.loads((folder / GENERATOR_FILE).read_text())["base_model"] == "folder:base"
    main(["publish", str(folder), "--base_model", BASE])
    named = [json.loads((folder / name).read_text()) for name in (GENERATOR_FILE, "adapter_config.json")]
    assert [named[0]["base_model"], named[1]["base_model_name_or_path"]] == [BASE, BASE]
    assert not (folder / LOCAL_BASE).exists() and torch.equal(logits(folder), before)


def test_what_is_a_predictors_alone_and_what_is_damaged_is_one_line(trained, tmp_path, capsys):
    assert "--merged goes with a predictor" in refusal_of(capsys, "publish", trained, "--merged", tmp_path / "m")
    assert "`optscale merge-generator`" in refusal_of(capsys, "publish", trained, "--merged", tmp_path / "m")
    assert "--assessment goes with a predictor" in refusal_of(capsys, "publish", trained, "--assessment", "a.json")
    assert "license" in refusal_of(capsys, "publish", trained, "--license", "not a licence")
    (trained / "adapter_model.safetensors").write_bytes(b"")
    assert "adapter_model.safetensors" in refusal_of(capsys, "publish", trained)
