"""Folders of LoRA updates as generators: merged they are what the updates say; what is hostile is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from optscale_predictor.backends.adapters.base_model import base_fingerprint
from optscale_predictor.backends.adapters.generator_config import GeneratorConfig
from optscale_predictor.backends.adapters.generator_folder import asks_as_chat, learnt_prompt, write_generator
from optscale_predictor.backends.adapters.lora import LoraSettings, add_lora, tune
from optscale_predictor.backends.adapters.merged_weights import merge_updates
from optscale_predictor.backends.model_loading import EMBEDDED, load_pretrained, read_config, resolve_model
from optscale_predictor.backends.options import GeneratorOptions
from optscale_predictor.errors import InputError

# PEFT asks transformers by a name that is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

BASE = "embedded:generator"
TOKENS = torch.tensor([[4, 13, 5, 14, 17, 15]])


def randomised(model):
    """Updates that do something: PEFT's start at nothing."""
    torch.manual_seed(5)
    for name, part in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(part, std=0.05)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of our own."""
    folder = tmp_path_factory.mktemp("saved")
    model = load_pretrained(AutoModelForCausalLM, BASE, "cpu")
    config = GeneratorConfig(BASE, base_fingerprint(model), "Q: {question}\nA:", True)
    write_generator(randomised(tune(model, LoraSettings(rank=2, alpha=4))), config, "card", folder, "float32")
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "tuned")


def change(path, **entries):
    content = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))


def logits(model):
    with torch.no_grad():
        return model(TOKENS).logits.numpy()


def refusal(folder):
    with pytest.raises(InputError) as caught:
        load_pretrained(AutoModelForCausalLM, str(folder), "cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_merged_weights_are_what_the_updates_say(saved):
    base = AutoModelForCausalLM.from_pretrained(EMBEDDED / "generator", dtype=torch.float32)
    expected = logits(PeftModel.from_pretrained(base, str(saved)).eval())
    tuned = load_pretrained(AutoModelForCausalLM, str(saved), "cpu")
    np.testing.assert_allclose(logits(tuned), expected, atol=1e-4)
    assert np.abs(logits(load_pretrained(AutoModelForCausalLM, BASE, "cpu")) - expected).max() > 0.1
    assert not any("lora" in name for name, _ in tuned.named_modules())
    with torch.no_grad():
        states = load_pretrained(AutoModel, str(saved), "cpu")(TOKENS).last_hidden_state
        np.testing.assert_allclose(states.numpy(), tuned.model(TOKENS).last_hidden_state.numpy())


def test_updates_that_ship_with_the_package_go_by_its_name_for_them(saved, monkeypatch):
    monkeypatch.setattr("optscale_predictor.backends.adapters.generator_folder.EMBEDDED", saved.parent)
    tuned = load_pretrained(AutoModelForCausalLM, f"embedded:{saved.name}", "cpu")
    np.testing.assert_array_equal(logits(tuned), logits(load_pretrained(AutoModelForCausalLM, str(saved), "cpu")))
    assert learnt_prompt(f"embedded:{saved.name}") == "Q: {question}\nA:"
    with pytest.raises(InputError, match="'embedded:nothing': none of that name is embedded"):
        load_pretrained(AutoModelForCausalLM, "embedded:nothing", "cpu")


def test_it_is_a_model_wherever_one_is_named(saved):
    assert read_config(str(saved)) == read_config(BASE)
    assert load_pretrained(AutoTokenizer, str(saved)).get_vocab() == load_pretrained(AutoTokenizer, BASE).get_vocab()
    assert learnt_prompt(str(saved)) == "Q: {question}\nA:" and learnt_prompt(BASE) is None
    assert asks_as_chat(str(saved), None) and not asks_as_chat(str(saved), False) and not asks_as_chat(BASE, None)
    described = GeneratorOptions(str(saved)).describe()
    assert described["base"] == BASE and described["chat"] is True
    assert "version" in described and "version" not in GeneratorOptions(BASE).describe()
    with pytest.raises(InputError, match="merge-generator"):
        resolve_model(str(saved))
    with pytest.raises(InputError, match="make no AutoModelForSequenceClassification"):
        load_pretrained(AutoModelForSequenceClassification, str(saved), "cpu")


def test_the_version_is_that_of_the_content(folder):
    before = GeneratorOptions(str(folder)).describe()["version"]
    change(folder / "optscale_generator.json", metrics={"loss": 1.0})
    assert GeneratorOptions(str(folder)).describe()["version"] == before
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file({name: part * 2 for name, part in tensors.items()}, folder / "adapter_model.safetensors")
    assert GeneratorOptions(str(folder)).describe()["version"] != before


def test_updates_may_stand_upon_updates(folder, tmp_path):
    second = tmp_path / "second"
    second.mkdir()
    model = load_pretrained(AutoModelForCausalLM, str(folder), "cpu")
    config = GeneratorConfig(str(folder), base_fingerprint(model))
    write_generator(randomised(tune(model, LoraSettings(rank=3, alpha=6))), config, "card", second, "float32")
    once, twice = (load_pretrained(AutoModelForCausalLM, str(one), "cpu") for one in (folder, second))
    assert np.abs(logits(once) - logits(twice)).max() > 0.01
    (folder / "local_base.json").write_text(json.dumps({"base_model": str(second)}))
    change(folder / "optscale_generator.json", base_model="folder:second")
    assert "upon LoRA updates" in refusal(folder)


def test_a_folder_that_peft_wrote_loads_too(tmp_path):
    base = AutoModelForCausalLM.from_pretrained(EMBEDDED / "generator", dtype=torch.float32)
    lora = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    model = randomised(get_peft_model(base, lora)).eval()
    expected = logits(model)
    model.save_pretrained(tmp_path / "peft")
    change(tmp_path / "peft/adapter_config.json", base_model_name_or_path=BASE)
    np.testing.assert_allclose(
        logits(load_pretrained(AutoModelForCausalLM, str(tmp_path / "peft"), "cpu")), expected, atol=1e-4
    )
    assert learnt_prompt(str(tmp_path / "peft")) is None
    change(tmp_path / "peft/adapter_config.json", base_model_name_or_path=None)
    assert "base_model must name a model" in refusal(tmp_path / "peft")


def with_tensors(edit):
    def harm(folder):
        tensors = load_file(folder / "adapter_model.safetensors")
        edit(tensors)
        save_file(tensors, folder / "adapter_model.safetensors")

    return harm


def ours(**entries):
    return lambda folder: change(folder / "optscale_generator.json", **entries)


def adapted(**entries):
    return lambda folder: change(folder / "adapter_config.json", **entries)


def pickled(folder):
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


HARMS = {
    "another format": (ours(format=2), "format '2'"),
    "another entry": (ours(code="os.system"), "has an entry 'code'"),
    "no base": (ours(base_model=...), "base_model is missing"),
    "no such base": (ours(base_model="embedded:nothing"), "embedded:nothing"),
    "a base elsewhere": (ours(base_model="folder:gone"), "'gone' was a folder of the machine"),
    "another base": (ours(base_fingerprint="0" * 16), "another base model than 'embedded:generator'"),
    "a prompt without a question": (ours(prompt="Hello"), "has no {question}"),
    "chat of text": (ours(chat="yes"), "chat must be true or false"),
    "another method": (adapted(peft_type="LOHA"), "peft_type must be 'LORA'"),
    "whole modules": (adapted(modules_to_save=["embed_tokens"]), "'modules_to_save' is set"),
    "modules by pattern": (adapted(target_modules="(.*)*proj"), "target_modules must be a list of names"),
    "a pickle": (pickled, "adapter_model.safetensors is missing"),
    "a tensor less": (with_tensors(lambda tensors: tensors.pop(min(tensors))), "is missing"),
    "a tensor more": (with_tensors(lambda tensors: tensors.update(x=torch.zeros(1))), "tensor 'x' is unknown"),
    "no numbers": (
        with_tensors(lambda tensors: tensors[min(tensors)].fill_(float("nan"))),
        "holds numbers that are not finite",
    ),
    "a head": (lambda folder: (folder / "head.safetensors").touch(), "a verifier or a predictor, and no generator"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_damaged_or_hostile_is_one_line(harm, folder):
    damage, says = HARMS[harm]
    damage(folder)
    assert says in refusal(folder)


def test_updates_of_a_weight_that_two_layers_share_are_not_merged():
    base = load_pretrained(AutoModelForCausalLM, BASE, "cpu")
    assert base.config.tie_word_embeddings
    with pytest.raises(InputError, match="share"):
        merge_updates(add_lora(base, LoraConfig(r=2, target_modules=["lm_head"])))
