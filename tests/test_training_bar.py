"""The line that a training shows at a terminal: of its width, whole, and of the whole run."""

import io
import os
import termios

import pytest
import pytorch_lightning as pl
from pytorch_lightning.demos.boring_classes import BoringModel

from optscale_predictor._support.training_loop.training_bar import bar_at_terminal


class Terminal(io.StringIO):
    """As wide as a terminal, and remembers what is written over."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def fileno(self):
        return self.terminal

    def isatty(self):
        return True

    def lines(self):
        return [line for part in self.getvalue().split("\n") for line in part.split("\r") if line.strip()]


class Logging(BoringModel):
    """Logs what our modules and ``Throughput`` do."""

    def training_step(self, batch, batch_idx):
        self.log("loss", 0.43218765, prog_bar=True)
        self.log("tokens_per_second", 123456.7, prog_bar=True)
        self.log("minutes_left", 12.34, prog_bar=True, logger=False)
        return super().training_step(batch, batch_idx)


def train(folder, monkeypatch, columns=80, epochs=2, **resumed):
    """What a training of four steps an epoch shows."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    shown = Terminal(theirs)
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)
    trainer = pl.Trainer(
        max_epochs=epochs,
        limit_train_batches=4,
        limit_val_batches=1,
        callbacks=bar_at_terminal(),
        default_root_dir=folder,
        logger=pl.loggers.CSVLogger(folder),
        accelerator="cpu",
        log_every_n_steps=1,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Logging(), **resumed)
    trainer.save_checkpoint(folder / "state.ckpt")
    os.close(ours), os.close(theirs)
    return shown.lines()


@pytest.fixture(autouse=True)
def quiet():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice
        yield


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_a_training_is_one_line_of_the_terminals_width(columns, tmp_path, monkeypatch):
    """Lightning's wrapped at 100 columns, and began with ``v_num: 0``."""
    lines = train(tmp_path, monkeypatch, columns)
    assert max(map(len, lines)) <= columns
    assert not any("v_num" in line for line in lines)
    last = "train: 8/8 steps, epoch 2 of 2, loss 0.4322, 123,457 tokens/s, 12.3 min left"
    assert any(line.startswith(last[: columns - 8]) for line in lines), lines
    assert any("epoch 1 of 2" in line for line in lines)


def test_a_resumed_training_goes_on_at_its_step(tmp_path, monkeypatch):
    train(tmp_path, monkeypatch, epochs=1)
    lines = train(tmp_path, monkeypatch, epochs=3, ckpt_path=tmp_path / "state.ckpt", weights_only=True)
    assert lines[0].startswith("train: 4/12 steps") and lines[-1].startswith("train: 12/12 steps")


def test_nothing_moves_in_a_file(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert bar_at_terminal() == []
