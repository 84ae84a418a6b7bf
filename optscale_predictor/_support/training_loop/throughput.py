"""How fast training goes, and how long it will take: in the progress bar, in the loggers, or as lines in a log file.

Tokens are the rows' own: of questions, or of samples. What a batch holds beyond them is padding, and is told apart: a
rate that counts padding looks the better the more of it there is.
"""

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

_LOG = logging.getLogger(__name__)
_FORWARD = 1 / 3  # of a step: reading a batch without the way back, which costs about twice as much


class Throughput(Callback):
    """Logs ``tokens_per_second``, ``questions_per_second``, ``padding_share`` and ``minutes_left``.

    Rates are over the training steps since the last were logged, validation left out; the time left counts it.

    Args:
        unit: What the rows of a batch's ``mask`` are, in place of questions.
        line_seconds: Between two lines where there is no terminal, >= 0; the first comes with the first step.
    """

    def __init__(self, unit: str = "questions", line_seconds: float = 30.0) -> None:
        self._unit, self._line_seconds = unit, line_seconds
        self._tokens = self._rows = self._padded_tokens = 0
        self._seconds = self._stepping = 0.0
        self._began = self._step_began = self._said = 0.0
        self._first_step, self._first_epoch, self._every = 0, 0, 1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        self._began = time.perf_counter()
        self._said = self._began - self._line_seconds
        self._first_step, self._first_epoch = trainer.global_step, trainer.current_epoch
        self._stepping = 0.0
        self._every = int(trainer.log_every_n_steps)  # type: ignore[attr-defined]
        self._reset()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Starts the step's clock."""
        self._step_began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Mapping[str, Any], batch_idx: int
    ) -> None:
        """Counts the step, and logs where it is time to."""
        masks = [value for name, value in batch.items() if name.endswith("mask")]
        # The sum waits for the device: the step is done when its time is taken.
        self._tokens += sum(int(mask.sum()) for mask in masks)
        self._rows += len(batch["mask"])
        self._padded_tokens += sum(mask.numel() for mask in masks)
        took = time.perf_counter() - self._step_began
        self._seconds += took
        self._stepping += took
        if (batch_idx + 1) % self._every == 0:
            self._log(trainer, pl_module)

    def rates(self) -> dict[str, float]:
        """What was counted since the last time, of this device."""
        seconds = max(self._seconds, 1e-9)
        return {
            "tokens_per_second": self._tokens / seconds,
            f"{self._unit}_per_second": self._rows / seconds,
            "padding_share": 1 - self._tokens / max(self._padded_tokens, 1),
        }

    def _log(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        values = self.rates()
        for name in ("tokens_per_second", f"{self._unit}_per_second"):  # devices take steps together
            values[name] *= trainer.world_size
        left = self._minutes_left(trainer)
        pl_module.log("tokens_per_second", values["tokens_per_second"], prog_bar=True)
        pl_module.log_dict({name: values[name] for name in (f"{self._unit}_per_second", "padding_share")})
        if left is not None:
            pl_module.log("minutes_left", left, prog_bar=True, logger=False)
        due = time.perf_counter() - self._said >= self._line_seconds
        if trainer.is_global_zero and not sys.stderr.isatty() and due:
            self._said = time.perf_counter()
            _LOG.info(_line(trainer, values, left, self._unit))
        self._reset()

    def _minutes_left(self, trainer: pl.Trainer) -> float | None:
        """None where the run has no end."""
        total, done = trainer.estimated_stepping_batches, trainer.global_step - self._first_step
        if total == float("inf") or done < 1:
            return None
        epoch, last = trainer.current_epoch, trainer.max_epochs
        begun = epoch - self._first_epoch + 1
        to_begin = max((last if last and last > 0 else epoch + 1) - epoch - 1, 0)
        between = time.perf_counter() - self._began - self._stepping
        steps = done, max(int(total) - trainer.global_step, 0)
        batches = sum(trainer.num_val_batches) if begun == 1 and trainer.enable_validation else 0
        return minutes_left(steps, self._stepping, (begun, to_begin), between, batches)

    def _reset(self) -> None:
        self._tokens = self._rows = self._padded_tokens = 0
        self._seconds = 0.0


def minutes_left(
    steps: tuple[int, int], stepping: float, epochs: tuple[int, float], between: float, unseen: float = 0.0
) -> float:
    """Minutes until the last epoch's end, at the pace so far; what epochs begin and end with is counted by the epoch.

    Args:
        steps: Done, >= 1, and to do.
        stepping: Seconds that those done took.
        epochs: Begun, >= 1, and to begin.
        between: Seconds that passed outside of steps: solving a head, validation.
        unseen: Batches that validation reads after each epoch, before it has done so for the first time, >= 0.
    """
    step = stepping / steps[0]
    validating = unseen * step * _FORWARD
    return (step * steps[1] + (between / epochs[0] + validating) * epochs[1] + validating) / 60


def _line(trainer: pl.Trainer, values: dict[str, float], left: float | None, unit: str) -> str:
    loss = trainer.callback_metrics.get("loss")
    parts = [
        f"epoch {trainer.current_epoch + 1}, step {trainer.global_step:,} of {trainer.estimated_stepping_batches:,}",
        *([] if loss is None else [f"loss {float(loss):.4g}"]),
        f"{values['tokens_per_second']:,.0f} tokens/s ({values['padding_share']:.0%} of a batch is padding)",
        f"{values[f'{unit}_per_second']:,.1f} {unit}/s",
        *([] if left is None else [f"{left:,.1f} minutes left"]),
    ]
    return ", ".join(parts)
