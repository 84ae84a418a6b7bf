"""Publishing fine-tuned generators and trained verifiers: to the hub by the real client and back, and refusals."""

import json
import shutil

import pytest
import torch
from labelled_sums import made_up_samples
from small_predictors import refusal_of
from test_generator_folders import BASE, randomised
from test_publish import hub, run  # noqa: F401 - a fixture
from training_runs import make_encoder
from transformers import AutoModelForCausalLM

from optscale_predictor.backends.adapters.base_model import LOCAL_BASE, base_fingerprint
from optscale_predictor.backends.adapters.generator_config import GENERATOR_FILE, GeneratorConfig
from optscale_predictor.backends.adapters.generator_folder import learnt_prompt, write_generator
from optscale_predictor.backends.adapters.lora import LoraSettings, tune
from optscale_predictor.backends.generators.training.generator_card import render_generator_card
from optscale_predictor.backends.model_loading import EMBEDDED, load_pretrained
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.trained_verifier import TrainedVerifier
from optscale_predictor.backends.verifiers.training.train_verifier import train_verifier
from optscale_predictor.backends.verifiers.training.verifier_settings import VerifierSettings
from optscale_predictor.cli.main import main
from optscale_predictor.questions.question import Question

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

TOKENS = torch.tensor([[4, 13, 5, 14, 17, 15]])
QUESTIONS = ("--questions", "embedded:test:2", "--num_samples", "1", "--max_tokens", "4")
PROMPT = "Sum: {question}\nIt is"
QUICK = VerifierSettings(epochs=1, samples=2, validation_share=0.3, rank=2)
ANSWERED = [Answered(Question("q", "12+34="), text) for text in ("12+34=46 #### 46", "12+34=47 #### 47")]


def make_generator(folder, base=BASE):
    """A generator's folder, whose updates do something."""
    folder.mkdir()
    model = load_pretrained(AutoModelForCausalLM, str(base), "cpu")
    figures = {"loss": 0.5, "loss_before": 2.0}
    config = GeneratorConfig(str(base), base_fingerprint(model), PROMPT, False, metrics=figures)
    tuned = randomised(tune(model, LoraSettings(rank=2, alpha=4)))
    write_generator(tuned, config, render_generator_card(config), folder, "float32")
    return folder


@pytest.fixture
def generator(tmp_path):
    return make_generator(tmp_path / "generator")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A verifier."""
    folder = tmp_path_factory.mktemp("trained") / "verifier"
    train_verifier(made_up_samples(), BASE, folder, QUICK, "cpu")
    return folder


@pytest.fixture
def verifier(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "verifier")


def logits(name):
    with torch.no_grad():
        return load_pretrained(AutoModelForCausalLM, str(name), "cpu")(TOKENS).logits


@pytest.fixture(scope="module")
def visited(hub, trained, tmp_path_factory):  # noqa: F811
    """One process that pushes both, with what each step said; and the folder that it worked in."""
    work = tmp_path_factory.mktemp("work")
    folders = make_generator(work / "generator"), shutil.copytree(trained, work / "verifier")
    for folder in folders:
        (folder / "notes.txt").write_text("private")
        (folder / "README.md").unlink()
    steps = {
        "generator": ["publish", folders[0], "--hub", "name/generator", "--license", "mit"],
        "draw": ["generate", work / "pool", "--generator", "name/generator", *QUESTIONS],
        "verifier": ["publish", folders[1], "--hub", "name/verifier", "--license", "mit"],
    }
    return work, run(steps, hub[1], work / "home")


def test_a_generators_card_is_written_and_its_files_go_to_the_hub_and_come_back(hub, visited):  # noqa: F811
    work, said = visited
    folder, pushed, drawn = work / "generator", said["generator"], said["draw"]
    assert pushed[0] == 0, pushed
    assert pushed[1].splitlines() == [f"{folder / 'README.md'}: model card", f"{folder}: {hub[1]}/name/generator"]
    there = hub[0] / "name/generator/1"
    kept = {"README.md", GENERATOR_FILE, "adapter_config.json", "adapter_model.safetensors"}
    assert {path.name for path in there.iterdir()} == kept
    card = (there / "README.md").read_text()
    assert "license: mit" in card and "train-generator" in card and "2.0" in card
    assert torch.equal(logits(there), logits(folder)) and not torch.equal(logits(there), logits(BASE))
    assert learnt_prompt(str(there)) == PROMPT
    assert drawn[0] == 0, drawn
    settings = json.loads((work / "pool" / "manifest.json").read_text())["settings"]
    assert settings["generator"]["model"] == "name/generator" and settings["prompt"] == PROMPT


def test_a_verifiers_card_is_written_and_its_files_go_to_the_hub_alone(hub, visited, trained):  # noqa: F811
    work, said = visited
    folder, (code, out, error) = work / "verifier", said["verifier"]
    assert code == 0, error
    assert out.splitlines() == [f"{folder / 'README.md'}: model card", f"{folder}: {hub[1]}/name/verifier"]
    there = hub[0] / "name/verifier/1"
    weights = {"adapter_config.json", "adapter_model.safetensors", "head.safetensors"}
    assert {path.name for path in there.iterdir()} == {"README.md", "optscale_verifier.json", *weights}
    card = (there / "README.md").read_text()
    assert "license: mit" in card and "AUC within a question" in card
    came, kept = TrainedVerifier(str(there)), TrainedVerifier(str(trained))
    assert came.score(ANSWERED).values.tolist() == kept.score(ANSWERED).values.tolist()
    assert came.describe() == {**kept.describe(), "model": came.describe()["model"]}


@pytest.mark.parametrize("kind", ["generator", "verifier"])
def test_without_a_hub_it_is_checked_and_its_card_written(kind, request, capsys):
    folder = request.getfixturevalue(kind)
    main(["publish", str(folder), "--license", "apache-2.0"])
    assert capsys.readouterr().out == f"{folder / 'README.md'}: model card\n"
    assert "license: apache-2.0" in (folder / "README.md").read_text()


def test_a_generators_base_that_is_a_folder_gets_the_name_that_others_find_it_by(tmp_path, capsys):
    base = shutil.copytree(EMBEDDED / "generator", tmp_path / "base")
    folder = make_generator(tmp_path / "generator", base)
    before = logits(folder)
    assert "'base' is a folder of this machine" in refusal_of(capsys, "publish", folder, "--hub", "name/x")
    other = shutil.copytree(EMBEDDED / "verifier", tmp_path / "other")
    assert "another base" in refusal_of(capsys, "publish", folder, "--base_model", other)
    assert json.loads((folder / GENERATOR_FILE).read_text())["base_model"] == "folder:base"
    main(["publish", str(folder), "--base_model", BASE])
    named = [json.loads((folder / name).read_text()) for name in (GENERATOR_FILE, "adapter_config.json")]
    assert [named[0]["base_model"], named[1]["base_model_name_or_path"]] == [BASE, BASE]
    assert not (folder / LOCAL_BASE).exists() and torch.equal(logits(folder), before)


def test_a_verifiers_base_that_is_a_folder_gets_the_name_that_others_find_it_by(tmp_path, capsys):
    base, folder = make_encoder(tmp_path / "base"), tmp_path / "verifier"
    train_verifier(made_up_samples(), str(base), folder, QUICK, "cpu")
    assert "'base' is a folder of this machine" in refusal_of(capsys, "publish", folder, "--hub", "name/x")
    assert "another base" in refusal_of(capsys, "publish", folder, "--base_model", "embedded:generator")
    kept = TrainedVerifier(str(folder)).score(ANSWERED).values.tolist()
    moved = shutil.move(base, tmp_path / "elsewhere")
    main(["publish", str(folder), "--base_model", str(moved)])
    assert json.loads((folder / LOCAL_BASE).read_text()) == {"base_model": str(moved)}
    assert TrainedVerifier(str(folder)).score(ANSWERED).values.tolist() == kept


@pytest.mark.parametrize(
    ("kind", "weights"), [("generator", "adapter_model.safetensors"), ("verifier", "head.safetensors")]
)
def test_what_is_a_predictors_alone_and_what_is_damaged_is_one_line(kind, weights, request, tmp_path, capsys):
    folder = request.getfixturevalue(kind)
    assert "--merged goes with a predictor" in refusal_of(capsys, "publish", folder, "--merged", tmp_path / "m")
    if kind == "generator":
        assert "`optscale merge-generator`" in refusal_of(capsys, "publish", folder, "--merged", tmp_path / "m")
    assert "--assessment goes with a predictor" in refusal_of(capsys, "publish", folder, "--assessment", "a.json")
    assert "license" in refusal_of(capsys, "publish", folder, "--license", "not a licence")
    (folder / weights).write_bytes(b"")
    assert weights in refusal_of(capsys, "publish", folder)
