"""Training: it learns, repeats, stops early, keeps the best epoch, and counts what it does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from training_runs import FLAGS, flags, logged, main, make_encoder, require_equal, weights, write_targets

from optscale_predictor import OptScalePredictor
from optscale_predictor._support.training_loop.learning_rate import share_of_rate
from optscale_predictor._support.training_loop.throughput import Throughput, minutes_left
from optscale_predictor.predictor.model.config import ScoreSource
from optscale_predictor.predictor.training.train_command import train_predictor


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_targets(tmp_path / "targets.jsonl")
    return tmp_path


@pytest.fixture
def shallow(tmp_path, monkeypatch):
    """A base of one layer, for what does not depend on what is learnt."""
    monkeypatch.setitem(FLAGS, "--model.base_model", make_encoder(tmp_path / "encoder", layers=1))


def test_it_learns_what_can_be_learnt(tmp_path):
    source = ScoreSource(generator="a", verifier="b")
    write_targets(tmp_path / "more.jsonl", 192)
    train_predictor("more.jsonl", "out", epochs=8, source=source)
    loaded = OptScalePredictor.from_pretrained("out")
    assert loaded.config.metrics["r2_mean"] > 0.7
    assert loaded.config.sources == [source]
    assert loaded.config.data["questions"] == {"train": 144, "validation": 48, "test": 0, "left_out": 0}
    easy, hard = loaded.predict(["11+12=", "11+12+13+14+15+16+17="]).mean
    assert easy > hard + 0.3


def test_one_seed_repeats_and_another_differs(shallow):
    curves = []
    for output, seed in (("one", 0), ("again", 0), ("other", 1)):
        main(flags(output, seed_everything=seed, trainer__max_epochs=1))
        curves.append(logged(Path(f"{output}_training"), "loss"))
    assert curves[0] == curves[1] and len(curves[0]) == 9
    assert all(curves[0][step] != curves[2][step] for step in curves[0])
    require_equal("one", "again")


def test_it_stops_early_and_keeps_the_best_epoch(shallow):
    main(flags("out", trainer__max_epochs=8, model__learning_rate=0.5, early_stopping__patience=1))
    curve, r2 = (logged(Path("out_training"), name) for name in ("log_evidence", "r2_mean"))
    assert len(curve) < 8
    best = max(curve, key=curve.__getitem__)
    assert curve[best] > list(curve.values())[-1]
    # What is saved has its strengths fitted to intervals, so its evidence is another; its means are that epoch's.
    assert OptScalePredictor.from_pretrained("out").config.metrics["r2_mean"] == pytest.approx(r2[best], rel=1e-5)


def test_no_epoch_is_chosen_for_its_strengths_sake():
    """The loss teaches no strength, so a run that starts surer has the same moments: its epochs are worth the same."""
    write_targets(Path("targets.jsonl"), 48)
    shared = {"model__learning_rate": 4e-3}
    main(flags("plain", **shared))
    main([*flags("surer", **shared), "--trainer.callbacks+=training_runs.Surer", "--trainer.callbacks.by=2.5"])
    plain, surer = (logged(Path(f"{name}_training"), "log_evidence") for name in ("plain", "surer"))
    assert len(plain) == 3 and max(plain.values()) > min(plain.values()) + 0.1
    assert surer == pytest.approx(plain, abs=0.02)


@pytest.mark.parametrize(
    "settings",
    [
        {"trainer__precision": "bf16-mixed", "model__schedule": "linear", "trainer__gradient_clip_val": 1.0},
        {"model__loss": "likelihood", "model__pooling": "attention", "model__layers": "all"},
        {"model__lora.top_layers": 1, "model__cache_frozen": "memory", "model__layers": "all"},
        {"model__lora.top_layers": 2, "model__cache_frozen": "disk", "model__cache_precision": "bfloat16"},
        {
            "model__loss": "marginal_likelihood",
            "data__tokens_per_batch": 256,
            "model__head_learning_rate": 0.01,
            "model__monitor": "r2_mean",
        },
    ],
)
def test_settings_train(settings):
    main(flags("out", trainer__max_epochs=2, model__learning_rate=2e-3, **settings))
    loss = list(logged(Path("out_training"), "loss").values())
    assert sum(loss[-5:]) < sum(loss[:5])
    prior = OptScalePredictor.from_pretrained("out").predict(["1+2=", "1+2+3+4+5+6="])
    assert prior.mean[0] > prior.mean[1]


def test_the_cache_changes_nothing_where_frozen_layers_have_no_dropout():
    write_targets(Path("targets.jsonl"), 48)
    shared = {"trainer__max_epochs": 2, "model__lora.top_layers": 1}
    main(flags("plain", **shared))
    main(flags("cached", **shared, model__cache_frozen="memory"))
    plain, cached = (logged(Path(f"{name}_training"), "loss") for name in ("plain", "cached"))
    assert all(cached[step] == pytest.approx(plain[step], rel=1e-4) for step in plain)


def test_an_encoder_trains_and_its_unused_pooler_is_left_alone(tmp_path):
    base = make_encoder(tmp_path / "encoder", layers=1)
    main(flags("out", trainer__max_epochs=1, model__base_model=base))
    adapter = weights("out")["adapter_model.safetensors"]
    pooler = [part for name, part in adapter.items() if ".pooler." in name and "lora_B" in name]
    assert all(not part.any() for part in pooler)
    assert any(part.any() for name, part in adapter.items() if "lora_B" in name)


def test_several_sources_train_one_predictor(tmp_path):
    write_targets(tmp_path / "other.jsonl", mean=0.2, std=0.1)
    files = "{first: targets.jsonl, second: other.jsonl}"
    given = flags("out", trainer__max_epochs=6, model__learning_rate=5e-3)
    place = given.index("--data.path")
    main([*given[:place], "--data.paths", files, *given[place + 2 :]])
    loaded = OptScalePredictor.from_pretrained("out")
    assert [source.name for source in loaded.config.sources] == ["first", "second"]
    assert {"r2_mean/first", "r2_mean/second"} <= loaded.config.metrics.keys()
    first, second = (loaded.predict(["11+12="], source).mean[0] for source in ("first", "second"))
    assert first > 0.6 and second < 0.4


def test_throughput_counts_the_questions_own_tokens(shallow, monkeypatch):
    counted = []
    rates = Throughput.rates

    def watched(self):
        counted.append((self._tokens, self._rows, self._padded_tokens))
        return rates(self)

    monkeypatch.setattr(Throughput, "rates", watched)
    main(flags("out", trainer__max_epochs=1))
    loaded = OptScalePredictor.from_pretrained("out")
    rows = map(json.loads, Path("targets.jsonl").read_text().splitlines())
    questions = [row["question"] for row in rows if row["split"] == "train"]
    assert sum(tokens for tokens, *_ in counted) == sum(map(len, loaded.tokenize(questions)))
    assert sum(number for _, number, _ in counted) == len(questions)
    shares = logged(Path("out_training"), "padding_share").values()
    assert list(shares) == pytest.approx([1 - tokens / places for tokens, _, places in counted], abs=1e-6)
    assert all(value > 0 for value in logged(Path("out_training"), "tokens_per_second").values())


def test_learning_rates():
    steps = [share_of_rate(step, 100, 0.1, "linear") for step in range(101)]
    assert steps[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert steps[10] == 1 and steps[55] == pytest.approx(0.5) and steps[100] == 0
    assert share_of_rate(55, 100, 0.1, "cosine") == pytest.approx(0.5)
    assert share_of_rate(40, 100, 0.1, "cosine") == pytest.approx(0.75)
    assert share_of_rate(99, 100, 0.0, "constant") == 1


@pytest.mark.full
def test_two_processes_learn_what_one_does():
    """Two halves of every batch, on a process each, against the whole batch on one."""
    shared = {"trainer__max_epochs": 2, "model__lora.dropout": 0, "trainer__accelerator": "cpu"}
    main(flags("one", **shared, data__batch_size=16))
    arguments = flags("two", **shared, data__batch_size=8, trainer__strategy="ddp", trainer__devices=2)
    done = subprocess.run(
        [sys.executable, "-m", "optscale_predictor", "train", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for name in ("log_evidence", "r2_mean", "r2_std", "spearman_mean"):
        one, two = (logged(Path(f"{output}_training"), name) for output in ("one", "two"))
        assert list(one) == list(two)
        assert list(two.values()) == pytest.approx(list(one.values()), rel=2e-2, abs=2e-2)


def test_time_left_counts_steps_by_steps_and_the_rest_by_epochs():
    # Ten steps of 2 s after a minute's preparation: 10 more steps, and one more epoch with its own minute.
    assert minutes_left((10, 10), 20.0, (1, 1), 60.0) == pytest.approx((20 + 60) / 60)
    assert minutes_left((10, 10), 20.0, (1, 0), 60.0) == pytest.approx(20 / 60)
    # Thirty batches of validation that nothing is known of yet: each a third of a step, after this epoch and the next.
    assert minutes_left((10, 10), 20.0, (1, 1), 60.0, 30) == pytest.approx((20 + 60 + 2 * 30 * 2 / 3) / 60)
