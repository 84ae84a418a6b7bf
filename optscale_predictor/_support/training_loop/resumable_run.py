"""A training run from start to end, in whatever number of goes; its folder appears whole at the end or not at all.

Until then the run's state lies beside it, in ``NAME_training``: a run that was stopped or killed goes on from there
when it is started again with the same settings, and ends as it would have ended.
"""

import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset

from optscale_predictor._support.atomic_files import explain_write_errors, named_beside
from optscale_predictor._support.progress import bars_move
from optscale_predictor._support.training_loop.last_checkpoint import LAST, LastCheckpoint, require_state
from optscale_predictor._support.training_loop.quiet_lightning import quiet
from optscale_predictor._support.training_loop.throughput import Throughput
from optscale_predictor._support.training_loop.training_bar import bar_at_terminal
from optscale_predictor.errors import InputError

_LOG = logging.getLogger(__name__)
_LINE_SECONDS = 10.0  # between two lines of progress where there is no terminal


def require_new(output: Path) -> None:
    """Checks that a folder is still to be written, and can be.

    Raises:
        InputError: It exists and is not empty, or its parent cannot be made.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output}: exists already; name another output")
    with explain_write_errors(output):
        output.absolute().parent.mkdir(parents=True, exist_ok=True)


def state_folder(output: Path) -> Path:
    """Where the state of a run lies until its folder is written."""
    return named_beside(output, f"{output.name}_training")


def fit_resumably(
    module: pl.LightningModule,
    loader: Any,
    output: Path,
    epochs: int,
    unit: str,
    checkpoint_steps: int,
    callbacks: tuple[pl.Callback, ...] = (),
    at_start: Callable[[], object] = lambda: None,
) -> None:
    """Trains a module on its network's device, from the state of an earlier go where there is one.

    Args:
        module: Has a ``network`` with a ``device``; measures on all held-out data in one validation step.
        loader: Gives out the training batches.
        output: The folder that is to be written at the end.
        epochs: Of the whole run, >= 1.
        unit: What the rows of a batch are, for the lines that tell how fast it goes.
        checkpoint_steps: Steps between two states of the run on the disk, >= 1.
        callbacks: Further Lightning callbacks.
        at_start: Called where there is no earlier state.

    Raises:
        InputError: The state is of another run, or none that can be read.
        InterruptedRun: The user stopped it, and its state was written.
    """
    state = state_folder(output)
    with warnings.catch_warnings(), explain_write_errors(state):
        quiet()
        last = _resumed_from(state)
        if last is None:
            at_start()
        state.mkdir(parents=True, exist_ok=True)
        device: Any = module.network.device
        trainer = pl.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=[device.index or 0] if device.type == "cuda" else 1,
            max_epochs=epochs,
            gradient_clip_val=1.0,
            logger=False,
            callbacks=[
                Throughput(unit, _LINE_SECONDS),
                *bar_at_terminal(),
                LastCheckpoint(str(state), checkpoint_steps),
                *callbacks,
            ],
            enable_model_summary=False,
            enable_progress_bar=bars_move(),
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
        )
        # One batch: the module measures on all held-out data at once.
        once: DataLoader[Any] = DataLoader(_Once(), batch_size=None)
        resumed: dict[str, Any] = {} if last is None else {"ckpt_path": str(last), "weights_only": True}
        trainer.fit(module, loader, once, **resumed)


@contextmanager
def written_whole(output: Path) -> Iterator[Path]:
    """A folder beside ``output`` to write into, renamed to it at the end; then the run's state is removed.

    Args:
        output: Does not exist, or is an empty folder.
    """
    with explain_write_errors(output), TemporaryDirectory(dir=output.absolute().parent, prefix=".partial-") as name:
        partial = Path(name) / output.name
        partial.mkdir()
        yield partial
        os.rename(partial, output)
    shutil.rmtree(state_folder(output), ignore_errors=True)


def _resumed_from(state: Path) -> Path | None:
    last = state / LAST
    if not last.exists():
        return None
    require_state(last)
    _LOG.info(f"going on from {last}; to begin anew, remove {state}")
    return last


class _Once(Dataset[int]):
    """Nothing, once."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        return index
