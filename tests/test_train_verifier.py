"""Training a verifier for real: it learns, its folder scores as training did, and a stopped run ends as a whole one."""

import json
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from labelled_sums import draw_pool, made_up_samples
from pytorch_lightning import Callback
from safetensors.torch import load_file
from small_pools import refused, shown, write_pool
from training_runs import SignalAt, make_encoder

from optscale_predictor._support.training_loop.last_checkpoint import InterruptedRun
from optscale_predictor.backends.model_loading import EMBEDDED
from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.trained_verifier import TrainedVerifier
from optscale_predictor.backends.verifiers.training.train_verifier import train_verifier
from optscale_predictor.backends.verifiers.training.verifier_settings import VerifierSettings
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.labelled_pools import read_labelled
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.ranking import auc_within

BASE = "embedded:generator"
SETTINGS = VerifierSettings(epochs=2, learning_rate=5e-4, samples=4, validation_share=0.5, batch_tokens=2048)
QUICK = VerifierSettings(epochs=1, samples=2, validation_share=0.3, rank=2)
TWICE = replace(QUICK, epochs=2, batch_tokens=512)


class Watch(Callback):
    """Keeps each step's loss, and the weights at the end."""

    def __init__(self):
        self.losses, self.state = [], {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(float(trainer.callback_metrics["loss"]))

    def on_train_end(self, trainer, pl_module):
        self.state = pl_module.network.trained_state()


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return draw_pool(tmp_path_factory.mktemp("drawn") / "pool")


@pytest.fixture(scope="module")
def labelled(pool):
    return read_labelled([Pool(pool)], 16)


@pytest.fixture(scope="module")
def trained(labelled, tmp_path_factory):
    folder, watch = tmp_path_factory.mktemp("trained") / "verifier", Watch()
    return folder, train_verifier(labelled, BASE, folder, SETTINGS, "cpu", callbacks=(watch,)), watch


def test_it_learns_to_choose_among_a_questions_samples(trained):
    _, outcome, watch = trained
    epoch = outcome.steps // SETTINGS.epochs
    assert len(watch.losses) == outcome.steps == SETTINGS.epochs * epoch
    assert np.mean(watch.losses[-epoch:]) < np.mean(watch.losses[:epoch])
    found = outcome.config.metrics
    assert found["auc_within"] > 0.7 and found["auc_within"] - 2 * found["auc_within_error"] > 0.5
    assert found["auc_within"] >= found["auc_within_before"]
    held_out = outcome.held_out
    within = auc_within(outcome.scores, held_out.correct, held_out.question)
    assert within.auc == pytest.approx(found["auc_within"], abs=1e-6)


def test_scores_are_probabilities_of_held_out_samples(trained):
    _, outcome, _ = trained
    assert outcome.config.score_map.fitted == "labels"
    # Logistic regression with an intercept: the mean probability is the share of right samples.
    assert outcome.scores.mean() == pytest.approx(outcome.held_out.correct.mean(), abs=0.01)
    assert outcome.config.metrics["calibration_error"] < 0.2


def test_the_folder_scores_as_training_did(trained):
    folder, outcome, _ = trained
    verifier = VerifierOptions(str(folder)).build()
    assert isinstance(verifier, TrainedVerifier)
    scores = verifier.score(outcome.held_out.items)
    np.testing.assert_allclose(scores.values, outcome.scores, atol=1e-5)
    alone = [verifier.score([item]).values[0] for item in outcome.held_out.items[:4]]
    np.testing.assert_allclose(alone, outcome.scores[:4], atol=1e-5)
    assert (scores.tokens > 0).all() and not scores.refusals


def test_what_is_published_is_small_and_names_no_place(trained):
    folder, *_ = trained
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "head.safetensors", "optscale_verifier.json"
    }  # fmt: skip
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2**20
    for name in ("README.md", "adapter_config.json", "optscale_verifier.json"):
        assert "/tmp" not in (folder / name).read_text() and str(folder.parent) not in (folder / name).read_text()
    card = (folder / "README.md").read_text()
    assert "AUC within a question" in card and BASE in card and "calibration error" in card
    assert "MIT, as its package says" in card
    assert not folder.with_name("verifier_training").exists()


def test_a_description_names_the_content_and_not_the_folder_alone(trained, tmp_path):
    folder, *_ = trained
    described = dict(TrainedVerifier(str(folder), device="cpu").describe())
    assert described["adapter"] == "trained_verifier" and json.dumps(described)
    assert described["model_source"]["license"] == "MIT"  # this package's, which holds the base
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert dict(TrainedVerifier(str(copy), device="cpu").describe()) == {**described, "model": str(copy)}
    config = json.loads((copy / "optscale_verifier.json").read_text())
    config["score_map"]["location"] += 1.0
    (copy / "optscale_verifier.json").write_text(json.dumps(config))
    assert dict(TrainedVerifier(str(copy), device="cpu").describe())["version"] != described["version"]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A short run that was not stopped: its folder, what came of it, its losses and weights."""
    folder, watch = tmp_path_factory.mktemp("whole") / "verifier", Watch()
    return folder, train_verifier(made_up_samples(), BASE, folder, TWICE, "cpu", callbacks=(watch,)), watch


@pytest.mark.parametrize("step", [2, "last of the first epoch"])
def test_a_stopped_run_ends_as_a_whole_one(step, whole_run, tmp_path):
    (whole, outcome, watch), samples = whole_run, made_up_samples()
    folder = tmp_path / "verifier"
    assert outcome.steps >= 8  # the second step is within an epoch
    step = step if isinstance(step, int) else outcome.steps // TWICE.epochs - 1
    with pytest.raises(InterruptedRun):
        train_verifier(samples, BASE, folder, TWICE, "cpu", callbacks=(SignalAt(step, int(signal.SIGINT)),))
    assert not folder.exists()
    with pytest.raises(InputError, match="other settings"):
        train_verifier(samples, BASE, folder, replace(TWICE, seed=3), "cpu")
    again = Watch()
    resumed = train_verifier(samples, BASE, folder, TWICE, "cpu", callbacks=(again,))
    assert resumed.config == outcome.config and again.losses == watch.losses[step + 1 :]
    assert all(again.state[name].equal(part) for name, part in watch.state.items())
    for name in ("adapter_model.safetensors", "head.safetensors"):
        one, other = load_file(whole / name), load_file(folder / name)
        assert one.keys() == other.keys() and all(one[key].equal(other[key]) for key in one)


def test_an_encoder_and_half_precision_are_bases_too(tmp_path):
    samples = made_up_samples(10)
    for name, base, settings in (
        ("encoder", make_encoder(tmp_path / "bert"), QUICK),
        ("half", BASE, replace(QUICK, bfloat16=True)),
    ):
        outcome = train_verifier(samples, base, tmp_path / name, settings, "cpu")
        scores = TrainedVerifier(str(tmp_path / name), device="cpu").score(outcome.held_out.items).values
        np.testing.assert_allclose(scores, outcome.scores, atol=1e-4)


def test_a_base_that_is_a_folder_must_be_there_and_the_same(tmp_path):
    base = tmp_path / "base"
    shutil.copytree(EMBEDDED / "generator", base)
    folder = tmp_path / "verifier"
    train_verifier(made_up_samples(), str(base), folder, QUICK, "cpu")
    assert str(tmp_path) not in (folder / "optscale_verifier.json").read_text() + (folder / "README.md").read_text()
    TrainedVerifier(str(folder), device="cpu")
    shutil.copy(EMBEDDED / "verifier" / "model.safetensors", base)
    with pytest.raises(InputError, match="another base model"):
        TrainedVerifier(str(folder), device="cpu")
    shutil.rmtree(base)
    with pytest.raises(InputError, match=r"'base'.*local_base.json"):
        TrainedVerifier(str(folder), device="cpu")


def test_what_is_too_long_is_counted_and_later_refused(tmp_path, capsys):
    samples = made_up_samples()
    most = int(np.median([len(item.question.text + item.text) + 1 for item in samples.items]))
    train_verifier(samples, BASE, tmp_path / "verifier", replace(QUICK, max_length=most), "cpu")
    assert f"samples have more than {most} tokens and are left out" in capsys.readouterr().err
    assert json.loads((tmp_path / "verifier/optscale_verifier.json").read_text())["data"]["too_long"] > 0
    long = Answered(Question("long", "1+2="), "9" * most)
    scores = TrainedVerifier(str(tmp_path / "verifier"), device="cpu").score([samples.items[0], long])
    assert list(scores.refusals) == [1] or list(scores.refusals) == [0, 1]


def test_the_commands_train_and_score(tmp_path, capsys):
    copy, folder = draw_pool(tmp_path / "pool", 20, 4), tmp_path / "verifier"
    flags = ["--output", str(folder), "--epochs", "1", "--samples", "2", "--rank", "2", "--device", "cpu"]
    said = shown(capsys, "train-verifier", str(copy), *flags)
    assert "AUC within a question" in said and f"--verifier {folder}" in said
    main(["score", str(copy), "--verifier", str(folder), "--column", "score_trained"])
    made = Pool(copy).scores["score_trained"]
    config = json.loads((folder / "optscale_verifier.json").read_text())
    assert made["version"].startswith("v") and made["score_map"] == config["score_map"]
    assert Pool(copy).unscored("score_trained") == 0
    assert "exists already" in refused(capsys, "train-verifier", str(copy), *flags)


def test_bad_input_is_one_line(tmp_path, capsys):
    write_pool(tmp_path / "bare", [Question(f"q{number}", f"{number}+{number}=") for number in range(12)])
    write_pool(tmp_path / "right", samples=1)
    write_pool(tmp_path / "few")
    (tmp_path / "vision").mkdir()
    (tmp_path / "vision/config.json").write_text(json.dumps({"model_type": "vit", "hidden_size": 8}))
    write_pool(tmp_path / "good", [Question(f"q{n}", f"{n}+{n}=", str(2 * n)) for n in range(10, 40)])
    for pool, flags, says in (
        ("bare", [], "no sample is labelled: its questions have no gold answers"),
        ("right", [], "all samples are right"),
        ("few", [], "10 labelled questions at least"),
        ("good", ["--model", str(tmp_path / "vision")], "it is no language model"),
        ("good", ["--model", "embedded:nothing"], "embedded:nothing"),
        ("good", ["--chat", "true"], "no chat template"),
        ("good", ["--rank", "0"], "rank must be >= 1"),
        ("good", ["--device", "many"], "device 'many': torch finds none"),
        ("nowhere", [], "nowhere"),
    ):
        output = str(tmp_path / "out")
        assert says in refused(capsys, "train-verifier", str(tmp_path / pool), "--output", output, *flags)
        assert not (tmp_path / "out").exists()
