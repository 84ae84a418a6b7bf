"""The demo's predictor: a training that was stopped goes on, one that is done is kept, and another pool begins anew."""

import json
import signal

import pytest
import torch
from recorded_runs import sums_pool
from safetensors.torch import load_file
from training_runs import SignalAt, make_encoder, write_targets

from optscale_predictor._support.training_loop.last_checkpoint import LAST, InterruptedRun
from optscale_predictor.cli.worlds.demo_training import trained_predictor
from optscale_predictor.predictor.training import train_command


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    settings = {"base_model": make_encoder(folder / "encoder", layers=1), "epochs": 2, "learning_rate": 1e-3}
    return sums_pool(folder / "pool", questions=4), write_targets(folder / "targets.jsonl", 48), settings


def weights(folder):
    return {name: part for file in sorted(folder.glob("*.safetensors")) for name, part in load_file(file).items()}


def test_a_stopped_training_goes_on_to_the_same_predictor_and_a_done_one_is_kept(made, tmp_path, monkeypatch):
    pool, targets, settings = made
    trained_predictor(tmp_path / "whole", pool, targets, settings)
    with monkeypatch.context() as patch:
        patch.setattr(train_command, "Throughput", lambda: SignalAt(3, signal.SIGINT))
        with pytest.raises(InterruptedRun) as stopped:
            trained_predictor(tmp_path / "parts", pool, targets, settings)
    state = torch.load(tmp_path / "parts_training" / LAST, weights_only=True)
    assert state["global_step"] == 4 and "stopped after step 4 of " in str(stopped.value)
    trained_predictor(tmp_path / "parts", pool, targets, settings)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys() and all((whole[name] == parts[name]).all() for name in whole)
    assert not (tmp_path / "parts_training" / LAST).exists()
    with monkeypatch.context() as patch:
        patch.setattr(train_command, "train_predictor", lambda *_, **__: pytest.fail("it was trained again"))
        trained_predictor(tmp_path / "parts", pool, targets, settings)


def test_other_settings_or_another_pool_begin_anew(made, tmp_path, monkeypatch):
    pool, targets, settings = made
    begun = []

    def train(targets, output, **given):
        begun.append(given)
        assert not output.exists()
        output.mkdir()

    monkeypatch.setattr(train_command, "train_predictor", train)
    other = sums_pool(tmp_path / "other", questions=5)
    for source, epochs in ((pool, 2), (pool, 2), (pool, 3), (other, 3), (other, 3)):
        trained_predictor(tmp_path / "out", source, targets, {**settings, "epochs": epochs})
    assert [one["epochs"] for one in begun] == [2, 3, 3] and all(one["resumable"] for one in begun)
    record = json.loads((tmp_path / "out_training" / "made_of.json").read_text())
    assert record["settings"]["epochs"] == 3
