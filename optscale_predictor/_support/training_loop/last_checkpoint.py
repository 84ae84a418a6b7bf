"""The state of a run, written so that it can be killed at any moment and go on bit for bit.

One file, ``last.ckpt``, replaced whole by a rename: a kill while it is written leaves the one before. Lightning finds
it by ``--ckpt_path last``. It holds tensors and plain values only, and is read as such (``weights_only``), so that no
code of its own runs.

Ctrl-C, SIGTERM or SIGHUP lets the step at hand end, writes the state, and stops. A second one, a second later or more,
stops at once.
"""

import logging
import shutil
import signal
import threading
import time
from pathlib import Path
from pickle import UnpicklingError
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from optscale_predictor._support.atomic_files import explain_write_errors
from optscale_predictor._support.stop_signals import SAME_PRESS, STOP_SIGNALS
from optscale_predictor.errors import InputError

_LOG = logging.getLogger(__name__)
LAST = "last.ckpt"


class InterruptedRun(Exception):
    """The run was asked to stop, and its state was written.

    Args:
        path: The state.
        step: The last step that was taken.
        steps: Of the whole run; infinite where it has no end.
    """

    def __init__(self, path: Path, step: int, steps: float) -> None:
        of = "" if steps == float("inf") else f" of {steps:,.0f}"
        super().__init__(f"stopped after step {step:,}{of}; the run's state is in {path}")
        self.path = path


def require_state(path: Path) -> None:
    """Checks that a file or folder is there, and that a file can be read as tensors and plain values.

    Raises:
        InputError: It is not, or it cannot.
    """
    if path.is_dir():  # sharded
        return
    try:
        torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else "not a state that training wrote"
        raise InputError(f"{path}: cannot go on from it: {said}") from error


class LastCheckpoint(ModelCheckpoint):
    """Writes the run's state every so many steps, after every validation, and when asked to stop.

    Args:
        folder: Where ``last.ckpt`` is written; beside the predictor by default.
        every_n_steps: Steps between two of them, >= 1.

    Raises:
        InputError: ``every_n_steps`` is out of range.
    """

    def __init__(self, folder: str | None = None, every_n_steps: int = 100) -> None:
        if every_n_steps < 1:
            raise InputError(f"every_n_steps must be >= 1, got {every_n_steps}")
        super().__init__(dirpath=folder, save_top_k=0, save_last=True)
        self._every = every_n_steps
        self._written_at = (-1, False)
        self._asked: float | None = None  # when, in seconds of a monotonic clock
        self._writing = False
        self._before: dict[signal.Signals, Any] = {}

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Gives the signals back."""
        self._give_back()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Gives the signals back; what was written last stays."""
        self._give_back()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes the signals over, after Lightning has; a resumed run's state is there already."""
        self._written_at = (trainer.global_step, False)
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in STOP_SIGNALS if _is_heard(number)}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes the state where it is due, or where the run is to stop.

        Raises:
            InterruptedRun: The user asked for it, on this device or another.
        """
        # From the state of an epoch's last step Lightning goes on with the next epoch, and never validates this one.
        if _epoch_is_validated_next(trainer, batch_idx):
            return
        if self._is_asked(trainer):
            raise _interrupted(trainer, self._write(trainer, False))
        # A step of accumulated gradients has several batches; the state is due once.
        if trainer.global_step % self._every == 0 and trainer.global_step != self._written_at[0]:
            self._write(trainer, False)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the state, early stopping's included, and stops where the run is to.

        Raises:
            InterruptedRun: The user asked for it, on this device or another.
        """
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        if self._written_at != (trainer.global_step, True):
            self._write(trainer, True)
        if self._is_asked(trainer):
            raise _interrupted(trainer, Path(str(self.dirpath)) / LAST)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """What Lightning's own would write is written elsewhere."""

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Likewise; and gives the signals back."""
        self._give_back()

    def state_dict(self) -> dict[str, Any]:
        """Nothing: a resumed run may write elsewhere."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing was kept, so nothing is taken back."""

    def _write(self, trainer: pl.Trainer, validated: bool) -> Path:
        folder = Path(str(self.dirpath))
        partial, path = folder / "writing.ckpt", folder / LAST
        self._writing = True
        try:
            # Whole before it gets its name: a kill at any moment leaves the state before it, or this one.
            with explain_write_errors(path):
                trainer.save_checkpoint(partial)
                if trainer.is_global_zero:
                    if path.is_dir():  # sharded
                        shutil.rmtree(path)
                    partial.replace(path)
        finally:
            self._writing = False
        trainer.strategy.barrier("last checkpoint")
        self._written_at = (trainer.global_step, validated)
        return path

    def _is_asked(self, trainer: pl.Trainer) -> bool:
        """Whether the user asked to stop, on this device or another."""
        if trainer.world_size == 1:
            return self._asked is not None
        return bool(trainer.strategy.reduce_boolean_decision(self._asked is not None, all=False))

    def _ask(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
            _LOG.info("stopping after this step; once more to stop at once")
        elif now - self._asked >= SAME_PRESS and not self._writing:
            self._give_back()
            raise KeyboardInterrupt

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def _interrupted(trainer: pl.Trainer, path: Path) -> InterruptedRun:
    return InterruptedRun(path, trainer.global_step, trainer.estimated_stepping_batches)


def _is_heard(number: signal.Signals) -> bool:
    """Whether a signal is to stop the run; ``nohup`` has SIGHUP ignored."""
    return number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN


def _epoch_is_validated_next(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether an epoch's last batch has just ended and its validation comes before anything else."""
    every, interval = trainer.check_val_every_n_epoch, trainer.val_check_batch
    if not (trainer.is_last_batch and trainer.enable_validation and every) or (trainer.current_epoch + 1) % every:
        return False
    return interval is None or interval == float("inf") or (batch_idx + 1) % interval == 0
