"""Fine-tuning a generator for real: it learns, its folder generates as training measured, a stopped run ends whole."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback
from safetensors.torch import load_file
from small_pools import refused, shown
from solved_sums import PROMPT, solved_sums, write_sums
from training_runs import SignalAt
from transformers import AutoModelForCausalLM, AutoTokenizer

from optscale_predictor._support.training_loop.last_checkpoint import InterruptedRun
from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.generators.training.fine_tuning import fine_tune
from optscale_predictor.backends.generators.training.generator_settings import GeneratorSettings
from optscale_predictor.backends.generators.training.solution_batches import SolutionBatches
from optscale_predictor.backends.generators.training.solution_likelihood import SolutionLikelihood
from optscale_predictor.backends.generators.training.solution_tokens import SolutionReader, SolutionTokens, end_token
from optscale_predictor.backends.generators.transcription import Transcriber
from optscale_predictor.backends.model_loading import EMBEDDED, load_pretrained
from optscale_predictor.errors import InputError
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.worked_solutions import SolvedQuestion, SolvedQuestions

BASE = "embedded:generator"
SETTINGS = GeneratorSettings(epochs=3, learning_rate=5e-3, rank=4, batch_tokens=256, validation_share=0.3, dropout=0.1)
SHORT = replace(SETTINGS, epochs=2)


class Watch(Callback):
    """Keeps each step's loss, and the weights at the end."""

    def __init__(self):
        self.losses, self.state = [], {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(float(trainer.callback_metrics["loss"]))

    def on_train_end(self, trainer, pl_module):
        self.state = pl_module.network.trained_state()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, watch = tmp_path_factory.mktemp("trained") / "generator", Watch()
    return folder, fine_tune(solved_sums(120), BASE, folder, SETTINGS, PROMPT, False, "cpu", callbacks=(watch,)), watch


def plain_loss(model, question, solution):
    """Minus the log-probability of each of a solution's tokens, by transformers alone, one token after the other."""
    tokenizer = AutoTokenizer.from_pretrained(str(EMBEDDED / "generator"))
    asked = tokenizer(question)["input_ids"]
    written = [*tokenizer(solution)["input_ids"], tokenizer.eos_token_id]
    losses = []
    for place in range(len(written)):
        with torch.no_grad():
            logits = model(torch.tensor([[*asked, *written[:place]]])).logits[0, -1]
        losses.append(-float(torch.log_softmax(logits.double(), -1)[written[place]]))
    return losses


def test_held_out_solutions_become_likelier(trained):
    _, outcome, watch = trained
    found = outcome.config.metrics
    assert found["loss"] + 4 * found["loss_error"] < found["loss_before"]
    epoch = outcome.steps // SETTINGS.epochs
    assert np.mean(watch.losses[-epoch:]) < np.mean(watch.losses[:epoch]) and len(watch.losses) == outcome.steps


def test_the_loss_is_that_of_the_solution_and_its_end_alone():
    rows = solved_sums(3).rows
    model = load_pretrained(AutoModelForCausalLM, BASE, "cpu").eval()
    tokenizer = AutoTokenizer.from_pretrained(str(EMBEDDED / "generator"))
    transcriber = Transcriber(BASE, tokenizer, False, 512)
    reader, end = SolutionReader(transcriber, PromptTemplate(PROMPT)), end_token(transcriber, model)
    read = [SolutionTokens([*tokens, end], start) for tokens, start in map(reader, rows)]
    batch = SolutionBatches(read, 1000, reader.padding)[[0, 1, 2]]
    with torch.no_grad():
        found = SolutionLikelihood(model)(batch["tokens"], batch["mask"], batch["start"])
    expected = [loss for row in rows for loss in plain_loss(model, row.question, row.solution)]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_the_folder_is_as_likely_to_write_held_out_solutions_as_was_measured(trained, tmp_path):
    folder, outcome, _ = trained
    # The split is not handed out; all questions of another set are held out from everything.
    model = load_pretrained(AutoModelForCausalLM, str(folder), "cpu").eval()
    base = load_pretrained(AutoModelForCausalLM, BASE, "cpu").eval()
    losses = {name: [] for name in ("tuned", "base")}
    for row in solved_sums(12, seed=99).rows:
        losses["tuned"] += plain_loss(model, row.question, row.solution)
        losses["base"] += plain_loss(base, row.question, row.solution)
    assert np.mean(losses["tuned"]) == pytest.approx(outcome.config.metrics["loss"], abs=0.3)
    assert np.mean(losses["tuned"]) < np.mean(losses["base"]) - 1


def test_it_writes_what_it_has_learnt(trained):
    folder, *_ = trained
    generator = HuggingFaceGenerator(str(folder), SamplingParams(temperature=0.0, max_tokens=40))
    requests = [Request(row.location, row.question, 1) for row in solved_sums(8, seed=99).rows]
    texts = [samples[0].text for _, samples in generator.generate(requests)]
    assert sum(text.startswith("\n####") for text in texts) >= 6


def test_what_is_published_is_small_and_names_no_place(trained):
    folder, outcome, _ = trained
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "optscale_generator.json"
    }  # fmt: skip
    assert all(part.dtype == torch.bfloat16 for part in load_file(folder / "adapter_model.safetensors").values())
    for name in ("README.md", "adapter_config.json", "optscale_generator.json"):
        assert str(folder.parent) not in (folder / name).read_text()
    assert json.loads((folder / "optscale_generator.json").read_text()) == outcome.config.as_json()
    assert {"license": "MIT", "package": "optscale-predictor"}.items() <= outcome.config.base_source.items()
    assert "MIT, as its package says" in (folder / "README.md").read_text()
    assert BASE in (folder / "README.md").read_text() and not folder.with_name("generator_training").exists()


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A short run that was not stopped: its folder, what came of it, its losses and weights."""
    folder, watch = tmp_path_factory.mktemp("whole") / "generator", Watch()
    return folder, fine_tune(solved_sums(60), BASE, folder, SHORT, PROMPT, False, "cpu", callbacks=(watch,)), watch


@pytest.mark.parametrize("step", [2, "last of the first epoch"])
def test_a_stopped_run_ends_as_a_whole_one(step, whole_run, tmp_path):
    whole, outcome, watch = whole_run
    folder = tmp_path / "generator"
    assert outcome.steps >= 8  # the second step is within an epoch
    step = step if isinstance(step, int) else outcome.steps // SHORT.epochs - 1
    stopping = (SignalAt(step, int(signal.SIGINT)),)
    with pytest.raises(InterruptedRun):
        fine_tune(solved_sums(60), BASE, folder, SHORT, PROMPT, False, "cpu", callbacks=stopping)
    assert not folder.exists()
    with pytest.raises(InputError, match="other settings"):
        fine_tune(solved_sums(60), BASE, folder, replace(SHORT, seed=3), PROMPT, False, "cpu")
    again = Watch()
    resumed = fine_tune(solved_sums(60), BASE, folder, SHORT, PROMPT, False, "cpu", callbacks=(again,))
    assert resumed.config == outcome.config and again.losses == watch.losses[step + 1 :]
    assert all(again.state[name].equal(part) for name, part in watch.state.items())
    one, other = (load_file(place / "adapter_model.safetensors") for place in (whole, folder))
    assert one.keys() == other.keys() and all(one[key].equal(other[key]) for key in one)


def test_the_commands_train_generate_and_merge(tmp_path, capsys):
    folder, questions, prompt = tmp_path / "tuned", write_sums(tmp_path / "sums.jsonl"), tmp_path / "prompt.txt"
    prompt.write_text("{question}")
    flags = ["--model", BASE, "--output", str(folder), "--epochs", "1", "--rank", "2", "--device", "cpu"]
    said = shown(capsys, "train-generator", questions, "--prompt_file", str(prompt), *flags)
    assert "nats a token" in said and f"--generator {folder}" in said
    assert "exists already" in refused(capsys, "train-generator", questions, *flags)
    pool = ["--limit", "3", "--num_samples", "2", "--max_tokens", "20", "--generator", str(folder)]
    said = shown(capsys, "generate", str(tmp_path / "pool"), "--questions", questions, *pool)
    assert "6 samples of 3 questions" in said
    drawn = json.loads((tmp_path / "pool/manifest.json").read_text())["settings"]["generator"]
    assert drawn["base"] == BASE and drawn["version"].startswith("v") and drawn["chat"] is False
    shown(capsys, "merge-generator", str(folder), str(tmp_path / "merged"), "--precision", "float32")
    whole, tuned = (load_pretrained(AutoModelForCausalLM, str(one), "cpu") for one in (tmp_path / "merged", folder))
    assert all(part.equal(tuned.state_dict()[name]) for name, part in whole.state_dict().items())
    assert "no folder of LoRA updates" in refused(capsys, "merge-generator", str(tmp_path / "merged"), "x")


def test_bad_input_is_one_line(tmp_path, capsys):
    write_sums(tmp_path / "good.jsonl")
    (tmp_path / "bad.jsonl").write_text(
        '{"question": "1+2=", "solution": "#### 3"}\n{"question": "1+3=", "answer": "4"}\n'
    )
    (tmp_path / "prompt.txt").write_text("{question}")
    for questions, flags, says in (
        ("bad.jsonl", [], "bad.jsonl:2: no worked solution"),
        ("nowhere.jsonl", [], "nowhere.jsonl: cannot read questions"),
        ("good.jsonl", ["--model", "embedded:nothing"], "embedded:nothing"),
        ("good.jsonl", ["--chat", "true"], "no chat template"),
        ("good.jsonl", ["--rank", "0"], "rank must be >= 1"),
        ("good.jsonl", ["--device", "many"], "device 'many': torch finds none"),
        ("good.jsonl", ["--adapter_precision", "int8"], "adapter_precision must be one of bfloat16, float32"),
        ("good.jsonl", ["--limit", "1"], "2 questions at least"),
    ):
        output = ["--output", str(tmp_path / "out"), "--prompt_file", str(tmp_path / "prompt.txt")]
        model = [] if "--model" in flags else ["--model", BASE]
        assert says in refused(capsys, "train-generator", str(tmp_path / questions), *output, *model, *flags)
        assert not (tmp_path / "out").exists()


def test_what_the_tokenizer_cannot_write_is_named(tmp_path):
    rows = [*solved_sums(3).rows, SolvedQuestion("sums.jsonl:4", "1+2=", "three")]
    with pytest.raises(
        InputError, match=r"sums.jsonl:4: the model.s tokenizer cannot write some of the solution's characters"
    ):
        fine_tune(SolvedQuestions("sums", rows), BASE, tmp_path / "out", SETTINGS, PROMPT, False, "cpu")
