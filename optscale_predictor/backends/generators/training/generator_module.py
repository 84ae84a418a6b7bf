"""Fine-tuning a generator with Lightning: what a step learns from, what is measured after an epoch, what is kept."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from optscale_predictor._support.progress import progress_bar
from optscale_predictor._support.training_loop.best_epoch import BestEpochModule
from optscale_predictor.backends.generators.training.generator_settings import GeneratorSettings
from optscale_predictor.backends.generators.training.solution_batches import Batch, SolutionBatches
from optscale_predictor.backends.generators.training.solution_likelihood import SolutionLikelihood


class GeneratorModule(BestEpochModule):
    """Trains a network; the state of the epoch that finds held-out solutions likeliest is kept.

    Args:
        network: With untrained LoRA updates.
        settings: Rates, decay and seed.
        training: Solutions to learn from.
        held_out: Solutions to measure on.
        run: A name of settings and data, so that a state of another run is not gone on from.
    """

    def __init__(
        self,
        network: SolutionLikelihood,
        settings: GeneratorSettings,
        training: SolutionBatches,
        held_out: SolutionBatches,
        run: str,
    ) -> None:
        super().__init__(network, training.buckets, run, settings.epochs, settings.seed)
        self._settings, self._held_out, self._tokens_a_batch = settings, held_out, training.tokens_a_batch

    def training_step(self, batch: Batch, _: int) -> Float[Tensor, ""]:
        """The loss of one batch; every token of a solution counts the same, whatever the size of its batch."""
        losses = self.network(batch["tokens"], batch["mask"], batch["start"])
        self.log("loss", losses.detach().mean(), prog_bar=True, batch_size=len(batch["start"]))
        total: Tensor = losses.sum() / self._tokens_a_batch
        return total

    def measure(self) -> tuple[dict[str, float], dict[str, Tensor], dict[str, Tensor]]:
        """The held-out loss of the updates as they would be written, those updates, and nothing else."""
        with written_precision(self.network, getattr(torch, self._settings.adapter_precision)):
            return held_out_figures(self.network, self._held_out), self.network.trained_state(), {}

    def is_better(self, found: Mapping[str, float]) -> bool:
        """Whether held-out solutions are likelier than they were at best."""
        return found["loss"] < self.best["loss"]

    def in_words(self, found: Mapping[str, float]) -> str:
        """Figures in a line."""
        return in_words(found)

    def configure_optimizers(self) -> Any:
        """AdamW; the rate rises, and then falls to nothing."""
        tuned = [part for part in self.network.parameters() if part.requires_grad]
        groups = [{"params": tuned, "lr": self._settings.learning_rate}]
        return self.adamw(groups, self._settings.weight_decay, self._settings.warmup_share)


def in_words(figures: Mapping[str, float]) -> str:
    """Held-out figures in a line.

    Args:
        figures: As :func:`held_out_figures` gives them.
    """
    error = f" ± {figures['loss_error']:.4f}" if "loss_error" in figures else ""
    return f"loss {figures['loss']:.4f}{error} nats a token"


@torch.inference_mode()
def held_out_figures(network: SolutionLikelihood, held_out: SolutionBatches) -> dict[str, float]:
    """How likely a network finds solutions: ``loss``, nats a token, and its standard error over questions.

    The error is that of a ratio of means, by linearisation; with one question there is none.

    Args:
        network: In evaluation mode.
        held_out: The solutions.
    """
    sums, counts = [], []
    with progress_bar("held out", len(held_out)) as bar:
        for rows in held_out.buckets:
            batch = {name: part.to(network.device) for name, part in held_out[rows].items()}
            losses = network(batch["tokens"], batch["mask"], batch["start"]).double().cpu()
            lengths = (batch["mask"].sum(-1) - batch["start"]).cpu()
            sums += [float(part.sum()) for part in losses.split(lengths.tolist())]
            counts += lengths.tolist()
            bar.update(len(rows))
    return _ratio(np.array(sums), np.array(counts))


def _ratio(sums: Any, counts: Any) -> dict[str, float]:
    loss = float(sums.sum() / counts.sum())
    if len(sums) < 2:
        return {"loss": loss}
    residuals = (sums - loss * counts) / counts.mean()
    return {"loss": loss, "loss_error": float(residuals.std(ddof=1) / np.sqrt(len(sums)))}


@contextmanager
def written_precision(network: SolutionLikelihood, dtype: torch.dtype) -> Iterator[None]:
    """Rounds what is trained to the numbers that would be written, meanwhile: what is measured is what is kept.

    Args:
        network: Its updates have their own numbers again afterwards.
        dtype: Of the written numbers.
    """
    tuned: Sequence[Any] = [part for part in network.parameters() if part.requires_grad]
    own = [part.detach().clone() for part in tuned]
    try:
        with torch.no_grad():
            for part in tuned:
                part.copy_(part.to(dtype).to(part.dtype))
        yield
    finally:
        with torch.no_grad():
            for part, numbers in zip(tuned, own, strict=True):
                part.copy_(numbers)
