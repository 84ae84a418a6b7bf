"""Files of a checkpoint that anybody may have written: what is damaged or hostile is one line, and never believed."""

import json
import os
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_predictors import (
    load_from,
    make_gaussian_process,
    make_predictor,
    refusal_to_load,
    write_encoder,
)

from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.model.config import ScoreSource


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint with a linear head; tests copy it before they harm it."""
    folder = tmp_path_factory.mktemp("saved")
    make_predictor(sources=[ScoreSource("one"), ScoreSource("two")]).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved_process(tmp_path_factory):
    """A checkpoint with a Gaussian-process head."""
    folder = tmp_path_factory.mktemp("process")
    make_gaussian_process().save_pretrained(folder)
    return folder


@pytest.fixture
def checkpoint(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoint")


def change(path, **entries):
    """Changes entries of a JSON file; None removes one."""
    content = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))


def test_pickles_are_never_read(checkpoint, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    for name in ("adapter_model.bin", "head.pt", "pytorch_model.bin", "training_args.bin"):
        (checkpoint / name).write_bytes(pickle.dumps(Trap()))
    load_from(checkpoint)
    for name in ("adapter_model", "head"):
        (checkpoint / f"{name}.safetensors").unlink()
    assert "is missing" in refusal_to_load(checkpoint)
    assert not (tmp_path / "sprung").exists()


def remove(name):
    return lambda folder: (folder / name).unlink()


def configured(**entries):
    return lambda folder: change(folder / "optscale_config.json", **entries)


def adapted(**entries):
    return lambda folder: change(folder / "adapter_config.json", **entries)


def with_tensors(name, edit):
    def harm(folder):
        tensors = load_file(folder / name)
        edit(tensors)
        save_file(tensors, folder / name)

    return harm


def set_first(value):
    def edit(tensors):
        name = min(tensors)
        tensors[name] = value(tensors[name])

    return edit


def with_nan(tensor):
    return torch.full_like(tensor, float("nan"))


def nested(folder):
    (folder / "optscale_config.json").write_text('{"data": ' * 100_000)


def swollen(folder):
    (folder / "optscale_config.json").write_bytes(b" " * (2**24 + 1))


def lengthened(folder):
    with open(folder / "head.safetensors", "ab") as file:
        file.write(b"\0" * 64)


def promising(folder):
    """A header that promises terabytes."""
    header = json.dumps({"head.weight": {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}}).encode()
    (folder / "head.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


def linked(name):
    def harm(folder):
        shutil.move(folder / name, folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return harm


HEAD, ADAPTER = "head.safetensors", "adapter_model.safetensors"
HARM = {
    "no head": (remove(HEAD), "head.safetensors is missing"),
    "no updates": (remove(ADAPTER), "adapter_model.safetensors is missing"),
    "no adapter config": (remove("adapter_config.json"), "adapter_config.json is missing"),
    "no config": (remove("optscale_config.json"), "not a predictor checkpoint"),
    "half a config": (lambda folder: (folder / "optscale_config.json").write_text("{"), "not valid JSON"),
    "a list": (lambda folder: (folder / "optscale_config.json").write_text("[]"), "expected a JSON object"),
    "nested config": (nested, "cannot read it"),
    "swollen config": (swollen, "no such file has more than"),
    "newer": (configured(format=3), "format 3 is newer than this version reads .2.: upgrade optscale-predictor"),
    "older": (configured(format=1), "format '1'; this version reads format 2"),
    "no format": (configured(format=True), "this version reads format 2"),
    "unknown entry": (configured(trust_remote_code=True), "no config has an entry 'trust_remote_code'"),
    "no base": (configured(base_model=...), "base_model is missing"),
    "base of no text": (configured(base_model=["a"]), "base_model must be text, got list"),
    "base of lines": (configured(base_model="a\nb"), "base_model must name a model"),
    "no such base": (configured(base_model="package:nowhere_at_all"), "nowhere_at_all' is not installed"),
    "odd pooling": (configured(pooling="sum" * 1000), "pooling must be one of"),
    "length of text": (configured(max_length="256"), "max_length must be a whole number"),
    "length of nothing": (configured(max_length=True), "max_length must be a whole number"),
    "huge length": (configured(max_length=10**12), "max_length must be a whole number in .1, 1048576., got"),
    "sources of text": (configured(sources="default"), "sources must be a list, got str"),
    "source of text": (configured(sources=["default"]), "a source must be an object, got str"),
    "no sources": (configured(sources=[]), "sources must have names of their own, at least one"),
    "twins": (configured(sources=[{"name": "a"}, {"name": "a"}]), "sources must have names of their own"),
    "source of lines": (configured(sources=[{"name": "a\nb"}]), "a source's name must be"),
    "source that runs": (configured(sources=[{"name": "a", "code": "x"}]), "a source has no entry 'code'"),
    "decoding of text": (configured(sources=[{"decoding": "hot"}]), "decoding must be an object"),
    "infinite metric": (configured(metrics={"r2_mean": float("inf")}), "inf is no JSON number"),
    "metric of text": (configured(metrics={"r2_mean": "0.9"}), "must be a finite number"),
    "data of text": (configured(data="x"), "data must be an object"),
    "head of another kind": (configured(head="gaussian_process"), "no predictor can be made of this config: 'anchors'"),
    "huge head": (
        configured(
            head="gaussian_process",
            head_sizes=dict.fromkeys(("anchors", "rank", "grams", "nonzeros"), 2**31 - 1) | {"labels": 0},
        ),
        "no predictor can be made of this config|tensor '.*' is",
    ),
    "more sources": (
        configured(sources=[{"name": str(number)} for number in range(9)]),
        "'head.weight' is of shape .2, 3, 96., where .9, 3, 96. is needed",
    ),
    "attention": (configured(pooling="attention"), "tensor 'poolings.0.query' is missing"),
    "another method": (adapted(peft_type="LOHA"), "peft_type must be 'LORA', got 'LOHA'"),
    "code by name": (
        adapted(auto_mapping={"base_model_class": "system", "parent_library": "os"}),
        "'auto_mapping' is set, and only plain LoRA is read",
    ),
    "remote code": (adapted(trust_remote_code=True), "'trust_remote_code' is set"),
    "whole modules": (adapted(modules_to_save=["embed_tokens"]), "'modules_to_save' is set"),
    "another start": (adapted(init_lora_weights="pissa"), "'init_lora_weights' is set"),
    "patterns": (adapted(rank_pattern={"(a+)+$": 4}), "'rank_pattern' is set"),
    "modules by pattern": (adapted(target_modules="(.*)*proj"), "target_modules must be a list of names"),
    "a pattern among them": (adapted(target_modules=["q_proj", "(.*)*"]), "target_modules must be .* in it"),
    "no such modules": (adapted(target_modules=["nothing"]), "do not fit the base model"),
    "fewer modules": (adapted(target_modules=["q_proj"]), "tensor 'base_model.model.layers.0.mlp.down_proj"),
    "another rank": (adapted(r=5), "is of shape .4, 96., where .5, 96. is needed"),
    "huge rank": (adapted(r=10**9), "r must be a whole number in .1, 4096., got"),
    "infinite alpha": (adapted(lora_alpha=float("inf")), "inf is no JSON number"),
    "layers of text": (adapted(layers_to_transform="all"), "layers_to_transform must be a list"),
    "garbage": (lambda folder: (folder / HEAD).write_bytes(b"garbage!" * 9), "cannot read its weights"),
    "no bytes": (lambda folder: (folder / ADAPTER).write_bytes(b""), "cannot read its weights"),
    "more than declared": (lengthened, "cannot read its weights"),
    "less than declared": (promising, "cannot read its weights"),
    "a tensor less": (with_tensors(ADAPTER, lambda tensors: tensors.pop(min(tensors))), "is missing"),
    "a tensor more": (with_tensors(HEAD, lambda tensors: tensors.update(x=torch.zeros(1))), "tensor 'x' is unknown"),
    "another shape": (with_tensors(HEAD, set_first(lambda one: one[..., :-1].contiguous())), "is of shape"),
    "another type": (with_tensors(HEAD, set_first(lambda one: one.int())), "is of type I32, where float32 is needed"),
    "no numbers": (with_tensors(ADAPTER, set_first(with_nan)), "holds numbers that are not finite"),
    "a head elsewhere": (linked(HEAD), "head.safetensors is a link that leads out of this checkpoint"),
    "a config elsewhere": (linked("optscale_config.json"), "is a link that leads out"),
    "updates elsewhere": (linked(ADAPTER), "is a link that leads out"),
    "settings elsewhere": (linked("adapter_config.json"), "is a link that leads out"),
}


@pytest.mark.parametrize("name", HARM)
def test_what_is_damaged_or_hostile_is_one_line(name, checkpoint):
    harm, says = HARM[name]
    harm(checkpoint)
    with pytest.raises(InputError, match=says):
        load_from(checkpoint)
    refusal_to_load(checkpoint)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda one: one["head.gram_columns"].fill_(10**6), "gram_columns"),
        (lambda one: one["head.gram_columns"].fill_(-1), "gram_columns"),
        (lambda one: one["head.gram_rows"].fill_(10**6), "gram_rows"),
        (lambda one: one["head.gram_rows"].copy_(one["head.gram_rows"].flip(0)), "gram_rows"),
        (lambda one: one["head.sources"].fill_(1), "sources"),
        (lambda one: one["head.hashes"].copy_(one["head.hashes"].flip(0)), "hashes"),
        (lambda one: one["head.length_scale"].zero_(), "length_scale"),
    ],
)
def test_indices_that_lead_out_of_a_head_are_refused(edit, says, saved_process, tmp_path):
    folder = shutil.copytree(saved_process, tmp_path / "checkpoint")
    with_tensors(HEAD, edit)(folder)
    assert f"{says} holds indices" in refusal_to_load(folder)


def test_the_command_line_says_it_in_a_line(checkpoint, tmp_path, capsys):
    (tmp_path / "questions.jsonl").write_text('{"question": "1+1="}')
    (checkpoint / HEAD).unlink()
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(checkpoint), str(tmp_path / "questions.jsonl")])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.count("\n") == 1 and error.startswith("optscale: error: ")


def test_links_within_a_hubs_cache_are_followed(saved, tmp_path):
    """A snapshot there is links to blobs beside it."""
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "0123", tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True), blobs.mkdir()
    for number, file in enumerate(sorted(saved.iterdir())):
        shutil.copy(file, blobs / str(number))
        (snapshot / file.name).symlink_to(os.path.relpath(blobs / str(number), snapshot))
    assert torch.equal(load_from(snapshot).head.weight, load_from(saved).head.weight)
    blob = (snapshot / HEAD).resolve()
    shutil.move(blob, tmp_path / "outside")
    blob.symlink_to(tmp_path / "outside")
    assert "leads out" in refusal_to_load(snapshot)


def test_a_base_that_asks_for_a_kernel_is_refused(tmp_path):
    base = write_encoder(tmp_path / "base")
    make_predictor(base).save_pretrained(tmp_path / "checkpoint")
    change(tmp_path / "base" / "config.json", attn_implementation="somebody/kernel")
    assert "attn_implementation names a kernel to fetch" in refusal_to_load(tmp_path / "checkpoint")
