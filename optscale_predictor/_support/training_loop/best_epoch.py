"""Training LoRA updates, measured on held-out data before the first epoch and after each; the best epoch is kept.

What verifiers and generators share: the untrained network counts among the epochs, a step's random numbers depend on
its place alone, and a run that was stopped goes on bit for bit. What a step learns from, and which epoch is better, is
the subclass's.
"""

import logging
from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from optscale_predictor._support.training_loop.learning_rate import share_of_rate
from optscale_predictor._support.training_loop.length_buckets import LengthBuckets
from optscale_predictor.errors import InputError

_LOG = logging.getLogger(__name__)
_KEY = "optscale_run"


class BestEpochModule(pl.LightningModule):
    """Keeps the state of the epoch that does best on held-out data.

    Args:
        network: With untrained LoRA updates; ``trained_state()`` says what training changes.
        buckets: The order of the training batches.
        run: A name of settings and data, so that a state of another run is not gone on from.
        epochs: Of the run, >= 1.
        seed: Of dropout, >= 0.

    Attributes:
        before: Figures of the network before training; empty until they are measured.
        best: Figures of the best epoch so far, by name, and ``epoch``, 0 for the untrained network.
        best_state: Its trained tensors, on the CPU.
        best_found: Whatever else was found of it on held-out data.
    """

    def __init__(self, network: Any, buckets: LengthBuckets, run: str, epochs: int, seed: int) -> None:
        super().__init__()
        # The frozen base is not in checkpoints; what must be is checked when one is loaded.
        self.strict_loading = False
        self.network = network
        self._buckets, self._run, self._epochs, self._seed = buckets, run, epochs, seed
        self.before: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.best_state: dict[str, Tensor] = {}
        self.best_found: dict[str, Tensor] = {}
        self._resumed_at: Mapping[str, Any] | None = None

    @abstractmethod
    def measure(self) -> tuple[dict[str, float], dict[str, Tensor], dict[str, Tensor]]:
        """Figures of the network on held-out data, the state that has them, and whatever else is kept with it."""

    @abstractmethod
    def is_better(self, found: Mapping[str, float]) -> bool:
        """Whether figures are better than the best so far."""

    @abstractmethod
    def in_words(self, found: Mapping[str, float]) -> str:
        """Figures in a line."""

    def on_fit_start(self) -> None:
        """Measures what the network is worth untrained; a resumed run knows."""
        if not self.before and self._resumed_at is None:
            self.network.eval()
            self.before, state, rest = self.measure()
            self.network.train()
            _LOG.info(f"before training, on held-out questions: {self.in_words(self.before)}")
            self._keep_if_best({**self.before, "epoch": 0}, state, rest)

    def on_train_start(self) -> None:
        """Goes on with the batches that a resumed run would have had."""
        if self._resumed_at is not None:
            self._buckets.load_state_dict(dict(self._resumed_at))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Dropout depends on the step's number alone, so that a resumed run draws what it would have drawn."""
        seed = np.random.SeedSequence([self._seed, self.current_epoch, batch_idx]).generate_state(1)[0]
        torch.manual_seed(int(seed))

    def validation_step(self, batch: Any, _: int) -> None:
        """Measures on all held-out data at once, and keeps the best epoch's state."""
        epoch = self.current_epoch + 1
        found, state, rest = self.measure()
        _LOG.info(f"epoch {epoch} of {self._epochs}, on held-out questions: {self.in_words(found)}")
        self._keep_if_best({**found, "epoch": epoch}, state, rest)

    def _keep_if_best(self, found: dict[str, float], state: dict[str, Tensor], rest: dict[str, Tensor]) -> None:
        if not self.best or self.is_better(found):
            self.best, self.best_state, self.best_found = found, state, rest

    def adamw(self, groups: list[dict[str, Any]], weight_decay: float, warmup_share: float) -> Any:
        """AdamW whose rates rise over a share of the steps, and then fall to nothing by half a cosine.

        Args:
            groups: Parameters with their highest rates.
            weight_decay: AdamW's, >= 0.
            warmup_share: In [0, 1).
        """
        optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        share = partial(share_of_rate, steps=steps, warmup_share=warmup_share, shape="cosine")
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves out the frozen base, which is on the disk already."""
        checkpoint["state_dict"] = {f"network.{name}": part for name, part in self.network.trained_state().items()}
        checkpoint[_KEY] = {
            "run": self._run,
            "batches": self._buckets.state_dict(),
            "before": self.before,
            "best": self.best,
            "best_state": self.best_state,
            "best_found": self.best_found,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes back what :meth:`on_save_checkpoint` kept.

        Raises:
            InputError: The state is of another run.
        """
        state = checkpoint.get(_KEY)
        if not isinstance(state, dict) or state["run"] != self._run:
            raise InputError("the state to go on from is of other settings, another base or other samples")
        self.before, self.best, self.best_state = state["before"], state["best"], state["best_state"]
        self.best_found, self._resumed_at = state["best_found"], state["batches"]
