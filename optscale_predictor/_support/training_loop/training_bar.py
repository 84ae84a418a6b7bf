"""One line at a terminal for a whole training: steps, epoch, loss, tokens a second, and how long it will take.

Lightning's own bar begins anew with every epoch, names the number of a log folder, and is wider than a terminal.
"""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ProgressBar
from tqdm import tqdm

from optscale_predictor._support.progress import bars_move

_FORMAT = "{desc}: {n_fmt}/{total_fmt} steps{postfix} |{bar}|"  # the bar has what room the rest leaves
_ENDLESS = "{desc}: {n_fmt} steps{postfix}"


def bar_at_terminal() -> list[Callback]:
    """The bar, where standard error is a terminal and nobody asked for quiet; else nothing."""
    return [TrainingBar()] if bars_move() else []


class TrainingBar(ProgressBar):
    """Shows what :class:`Throughput` and the module log with ``prog_bar``; what has no short form here is left out."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm[Any] | None = None
        self._wanted = True

    def enable(self) -> None:
        """Shows it; for Lightning, which lets the first of several processes speak."""
        self._wanted = True

    def disable(self) -> None:
        """Shows nothing."""
        self._wanted = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Opens the bar, at the step that an earlier run came to."""
        super().on_train_start(trainer, pl_module)
        steps = trainer.estimated_stepping_batches
        total = None if steps == float("inf") else int(steps)
        self._bar = tqdm(
            desc="train",
            total=total,
            initial=trainer.global_step,
            bar_format=_ENDLESS if total is None else _FORMAT,
            dynamic_ncols=True,
            leave=True,
            disable=not self._wanted,
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts a step; of batches that are gathered, the last one."""
        self._show(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Says why no step is done."""
        self._show(trainer, "validating")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See :meth:`on_train_batch_end`."""
        self._show(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leaves the line as it was last."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """See :meth:`on_train_end`: what is said of the end has a line of its own."""
        self._close()

    def _show(self, trainer: pl.Trainer, doing: str = "") -> None:
        if self._bar is None:
            return
        self._bar.set_postfix_str(", ".join(filter(None, (*_parts(trainer), doing))), refresh=bool(doing))
        self._bar.update(trainer.global_step - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _parts(trainer: pl.Trainer) -> list[str]:
    shown = trainer.progress_bar_metrics
    last = trainer.max_epochs
    of = f" of {last}" if last is not None and last > 0 else ""
    parts = [f"epoch {trainer.current_epoch + 1}{of}"]
    if "loss" in shown:
        parts.append(f"loss {float(shown['loss']):.4g}")
    if "tokens_per_second" in shown:
        parts.append(f"{float(shown['tokens_per_second']):,.0f} tokens/s")
    if "minutes_left" in shown:
        parts.append(f"{float(shown['minutes_left']):,.1f} min left")
    return parts
