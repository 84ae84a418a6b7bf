"""Publishing: merged copies that need no base, the hub and back by the real client, and what is refused."""

import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from forked import fork_of
from hub_visitor import said_by, visit_hub
from safetensors.torch import load_file, save_file
from small_hub import TOKEN
from small_pools import shown
from small_predictors import DECODER, make_gaussian_process, make_predictor, priors, refusal_of, write_encoder
from stopped_clock import HUNG
from transformers import AutoModel, AutoTokenizer

from optscale_predictor import OptScalePredictor
from optscale_predictor.backends.adapters.lora import LoraSettings
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.checkpoint.merging_weights import merge

ASSESSMENT = {
    "predictor": "/home/me/predictor",
    "targets": "/home/me/targets.parquet",
    "figures": {"r2_mean": 0.4321},
    "tables": {},
    "notes": [],
}


def take(steps, settings, sending):
    """In a fork, with a hub whose address its libraries read once: takes each step and sends what it said.

    ``push``, ``pull`` are library calls, ``token`` another one's, ``end`` that of the process that serves the hub,
    others commands.
    """
    visit_hub(settings)
    for step in steps:
        sending.send(said_by(_take, *step))


def _take(kind, *given):
    if kind == "token":
        os.environ["HF_TOKEN"] = given[0]
    elif kind == "end":
        os.kill(given[0], signal.SIGTERM)
        with suppress(OSError):
            while socket.create_connection(("127.0.0.1", given[1])).close() is None:
                time.sleep(0.01)
    elif kind == "push":
        print(OptScalePredictor.from_pretrained(str(given[0])).push_to_hub(given[1], **given[2]))
    elif kind == "pull":
        prior = OptScalePredictor.from_pretrained(given[0], **given[1]).predict(["1+2=", "12+34+56+78="])
        print(json.dumps([prior.mean.tolist(), prior.std.tolist()]))
    else:
        main([str(part) for part in (kind, *given)])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    make_predictor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def merged(saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("merged") / "merged"
    predictor = OptScalePredictor.from_pretrained(str(saved))
    merge(predictor)
    predictor.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["encoder", "decoder", "rslora", "gaussian process"])
def test_a_merged_copy_predicts_the_same_without_base_or_peft(kind, tmp_path, capsys):
    base = write_encoder(tmp_path / "base")
    predictor = {
        "encoder": lambda: make_predictor(base, pooling="attention", layers="all"),
        "decoder": lambda: make_predictor(pooling="last"),
        "rslora": lambda: make_predictor(base, LoraSettings(rank=2, top_layers=1)),
        "gaussian process": make_gaussian_process,
    }[kind]()
    predictor.save_pretrained(tmp_path / "checkpoint")
    before = priors(predictor)
    out = shown(capsys, "publish", tmp_path / "checkpoint", "--merged", tmp_path / "merged", "--license", "mit")
    assert out.splitlines() == [
        f"{tmp_path / 'merged'}: merged checkpoint",
        f"{tmp_path / 'merged' / 'README.md'}: model card",
    ]
    shutil.rmtree(tmp_path / "base")
    loaded = OptScalePredictor.from_pretrained(str(tmp_path / "merged"))
    assert (priors(loaded) - before).abs().max() < 1e-5
    assert not any("lora" in name for name, _ in loaded.named_parameters()) and loaded.config.merged
    loaded.save_pretrained(tmp_path / "again")
    assert torch.equal(priors(OptScalePredictor.from_pretrained(str(tmp_path / "again"))), priors(loaded))
    for file in (tmp_path / "merged").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes() and b"world/weights" not in file.read_bytes()


def test_plain_transformers_reads_a_merged_copy(merged, saved):
    model, tokenizer = AutoModel.from_pretrained(merged).eval(), AutoTokenizer.from_pretrained(merged)
    mine = OptScalePredictor.from_pretrained(str(saved))
    asked = tokenizer(["12+34="], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        ours = mine.backbone(input_ids=asked).last_hidden_state
        assert (model(input_ids=asked).last_hidden_state - ours).abs().max() < 1e-4
        with mine.backbone.disable_adapter():
            assert (mine.backbone(input_ids=asked).last_hidden_state - ours).abs().max() > 1e-2


def harm_json(name, **entries):
    def harm(folder):
        (folder / name).write_text(json.dumps({**json.loads((folder / name).read_text()), **entries}))

    return harm


def harm_weights(edit):
    def harm(folder):
        tensors = load_file(folder / "model.safetensors")
        edit(tensors, next(name for name in sorted(tensors) if name.endswith("q_proj.weight")))
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return harm


def link_away(folder):
    shutil.move(folder / "model.safetensors", folder.parent / "elsewhere")
    (folder / "model.safetensors").symlink_to(folder.parent / "elsewhere")


MERGED_HARM = {
    "code": (harm_json("config.json", auto_map={"AutoModel": "evil.Model"}), "auto_map is set"),
    "tokenizer code": (
        harm_json("tokenizer_config.json", auto_map={"AutoTokenizer": ["e.T", None]}),
        "auto_map is set",
    ),
    "a kernel": (harm_json("config.json", attn_implementation="a/kernel"), "names a kernel to fetch"),
    "a kernel within": (
        harm_json("config.json", x={"y": [{"_attn_implementation": "a/b"}]}),
        "names a kernel to fetch",
    ),
    "another model": (lambda folder: (folder / "adapter_config.json").write_text("{}"), "there is an adapter_config"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
    "a tensor less": (harm_weights(lambda tensors, name: tensors.pop(name)), "q_proj"),
    "other numbers": (harm_weights(lambda tensors, name: tensors[name].neg_()), "trained on another base model"),
    "a link": (link_away, "model.safetensors is a link that leads out"),
    "a pickle": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        "no file named model.safetensors|model.safetensors",
    ),
}


@pytest.mark.parametrize("name", MERGED_HARM)
def test_a_merged_copy_that_is_damaged_or_hostile_is_one_line(name, merged, tmp_path):
    folder = shutil.copytree(merged, tmp_path / "checkpoint")
    harm, says = MERGED_HARM[name]
    harm(folder)
    with pytest.raises(InputError, match=says) as raised:
        OptScalePredictor.from_pretrained(str(folder))
    assert "\n" not in str(raised.value)


def test_a_merged_copy_takes_no_base_and_is_not_merged_again(merged, tmp_path, capsys):
    with pytest.raises(InputError, match="its base model is merged into it"):
        OptScalePredictor.from_pretrained(str(merged), base_model=DECODER)
    assert "merged into its base already" in refusal_of(capsys, "publish", merged, "--merged", tmp_path / "x")


def test_each_layout_replaces_the_other(saved, merged, tmp_path):
    folder = shutil.copytree(merged, tmp_path / "checkpoint")
    OptScalePredictor.from_pretrained(str(saved)).save_pretrained(folder)
    assert {path.name for path in folder.iterdir()} == {path.name for path in saved.iterdir()}
    OptScalePredictor.from_pretrained(str(merged)).save_pretrained(folder)
    assert {path.name for path in folder.iterdir()} == {path.name for path in merged.iterdir()}


def test_publishing_writes_the_card_from_the_assessment(saved, tmp_path, capsys):
    folder = shutil.copytree(saved, tmp_path / "checkpoint")
    (tmp_path / "measured.json").write_text(json.dumps(ASSESSMENT))
    shown(capsys, "publish", folder, "--assessment", tmp_path / "measured.json", "--license", "cc-by-4.0")
    card = (folder / "README.md").read_text()
    assert "license: cc-by-4.0" in card and "| R² of the mean score | 0.4321 |" in card and "value: 0.4321" in card
    assert "| `base model's licence` | `MIT, as its package says` |" in card  # this package's, which holds the base
    kept = (folder / "assessment.json").read_text()
    assert "/home/me" not in kept and json.loads(kept)["targets"] == "targets.parquet"
    adapter = folder / "adapter_config.json"
    adapter.write_text(json.dumps(json.loads(adapter.read_text())))  # in another layout
    mine = adapter.read_bytes()
    shown(capsys, "publish", folder)  # the assessment that lies there is used again
    assert adapter.read_bytes() == mine  # what it says is right, and left alone
    assert "| R² of the mean score | 0.4321 |" in (folder / "README.md").read_text()


def test_what_cannot_be_published_is_one_line(saved, tmp_path, capsys):
    folder = shutil.copytree(saved, tmp_path / "checkpoint")
    assert "license must be" in refusal_of(capsys, "publish", folder, "--license", "A B")
    assert "no such file" in refusal_of(capsys, "publish", folder, "--assessment", tmp_path / "none.json")
    (tmp_path / "none.json").write_text("{}")
    assert "not an assessment" in refusal_of(capsys, "publish", folder, "--assessment", tmp_path / "none.json")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "hub repository '-1': Repo id must" in refusal_of(capsys, "publish", folder, "--hub", "-1")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    base = write_encoder(tmp_path / "base")
    make_predictor(base).save_pretrained(tmp_path / "local")
    line = refusal_of(capsys, "publish", tmp_path / "local", "--hub", "name/x")
    assert "is a folder of this machine" in line and "--base_model" in line and "--merged" in line
    assert "trained on another base" in refusal_of(capsys, "publish", tmp_path / "local", "--base_model", DECODER)
    (folder / "head.safetensors").write_bytes(b"")
    assert "cannot read its weights" in refusal_of(capsys, "publish", folder, "--hub", "name/x")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The hub's folder, its address, and the id of its process."""
    folder = tmp_path_factory.mktemp("hub")
    command = [sys.executable, str(Path(__file__).with_name("small_hub.py")), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield folder, process.stdout.readline().strip(), process.pid
        process.terminate()


def run(steps, endpoint, home):
    """Takes steps in a process that knows the hub's address; what each said: exit code, output, errors."""
    given = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
    given |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    receiving, sending = multiprocessing.Pipe(duplex=False)
    fork = fork_of(take, list(steps.values()), given, sending)
    sending.close()  # so that the fork's end is seen
    said = {name: receiving.recv() for name in steps}
    fork.join(HUNG)
    assert fork.exitcode == 0 and not any(token in repr(said) for token in (TOKEN, "hf_wrong"))
    return said


@pytest.fixture(scope="module")
def visited(hub, saved, tmp_path_factory):
    """One process that pushes and pulls, with what each step said; and the folder that it worked in."""
    work = tmp_path_factory.mktemp("work")
    folder = shutil.copytree(saved, work / "checkpoint")
    for name in ("notes.txt", "adapter_model.bin", "training_args.bin"):
        (folder / name).write_text("private")
    (folder / "assessment.json").write_text(json.dumps(ASSESSMENT))
    public = ["publish", folder, "--hub", "name/public"]
    steps = {
        "push": ["publish", folder, "--hub", "name/predictor", "--private", "true", "--license", "mit"],
        "pull": ["pull", "name/predictor", {}],
        "push branch": ["push", folder, "name/predictor", {"revision": "second", "message": "again"}],
        "pull branch": ["pull", "name/predictor", {"revision": "second"}],
        "push merged": ["publish", folder, "--hub", "name/predictor", "--merged", work / "merged"],
        "pull merged": ["pull", "name/predictor", {}],
        "pull first": ["pull", "name/predictor", {"revision": "v1"}],
        "push public": public,
        "push private": [*public, "--private", "true"],
        "pull nothing": ["pull", "name/none", {}],
        "pull no revision": ["pull", "name/predictor", {"revision": "v9"}],
        "push to no name": ["publish", folder, "--hub", "a/b/c"],
        "push what is not here": ["publish", "name/none", "--hub", "name/new"],
        "log out": ["token", "hf_wrong"],
        "push as nobody": ["publish", folder, "--hub", "name/new"],
        "end": ["end", hub[2], int(hub[1].rpartition(":")[2])],
        "pull from nowhere": ["pull", "name/none", {}],
        "push to nowhere": ["publish", folder, "--hub", "name/new"],
    }
    return folder, run(steps, hub[1], work / "home")


def test_a_predictor_goes_to_the_hub_and_comes_back(hub, visited, saved):
    folder, said = visited
    assert any((folder.parent / "home").rglob("*.safetensors"))  # what came lies where it was to
    assert [said[name][0] for name in list(said)[:8]] == [0] * 8
    assert said["push"][1].splitlines()[-1] == f"{folder}: {hub[1]}/name/predictor"
    asked = json.loads((hub[0] / "name/predictor/asked.json").read_text())
    assert "private" in (asked.get("visibility"), *(asked.keys() & {"private"}))
    there = {path.name: path.read_bytes() for path in (hub[0] / "name/predictor/1").iterdir()}
    names = {"README.md", "optscale_config.json", "head.safetensors", "assessment.json"}
    assert there.keys() == names | {"adapter_config.json", "adapter_model.safetensors"}
    assert all(b"/home/me" not in content and TOKEN.encode() not in content for content in there.values())
    assert 'from_pretrained("name/predictor")' in there["README.md"].decode()
    kept = OptScalePredictor.from_pretrained(str(saved)).predict(["1+2=", "12+34+56+78="])
    for name in ("pull", "pull branch", "pull first"):
        assert json.loads(said[name][1]) == [kept.mean.tolist(), kept.std.tolist()]
    assert json.loads(said["pull merged"][1])[0] == pytest.approx(kept.mean.tolist(), abs=1e-5)
    # A merged copy takes the place of the updates, which transformers would else load in its stead.
    now = {path.name for path in (hub[0] / "name/predictor/3").iterdir()}
    assert names | {"config.json", "model.safetensors"} <= now and not any("adapter" in name for name in now)
    assert "adapter_config.json" in {path.name for path in (hub[0] / "name/predictor/2").iterdir()}


def test_each_refusal_of_the_hub_is_one_line_without_the_token(hub, visited):
    says = {
        "push private": "'name/public': exists and is public; nothing was uploaded",
        "pull nothing": "predictor 'name/none': no such folder, and not to be had from the hub: 404",
        "pull no revision": "predictor 'name/predictor': no such folder, and not to be had from the hub: ",
        "push to no name": "hub repository 'a/b/c': Repo id must",
        "push what is not here": "predictor 'name/none': no such folder",
        "push as nobody": "hub repository 'name/new': Client error '401",
    }
    for name, expected in says.items():
        code, _, error = visited[1][name]
        lines = [line for line in error.splitlines() if "Loading weights" not in line]
        assert code == 2 and len(lines) == 1 and expected in lines[0], error
    assert not (hub[0] / "name/public/2").exists() and not (hub[0] / "name/new").exists()


def test_a_hub_out_of_reach_is_one_line(visited):
    assert visited[1]["end"][0] == 0
    for name in ("pull from nowhere", "push to nowhere"):
        code, _, error = visited[1][name]
        lines = [line for line in error.splitlines() if "Loading weights" not in line]
        assert code == 2 and len(lines) == 1 and "'name/n" in lines[0], (name, error)
        assert "40" not in lines[0].partition("'name/n")[2]  # nobody was there to say so
