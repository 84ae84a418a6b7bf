"""Training a verifier with Lightning: what a step learns from, what is measured after an epoch, what is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor

from optscale_predictor._support.progress import progress_bar, say
from optscale_predictor._support.training_loop.learning_rate import share_of_rate
from optscale_predictor._support.training_loop.length_buckets import LengthBuckets
from optscale_predictor.backends.verifiers.reward_network import RewardNetwork
from optscale_predictor.backends.verifiers.sample_reader import SampleTokens
from optscale_predictor.backends.verifiers.trained_verifier import read_rewards
from optscale_predictor.backends.verifiers.training.held_out_figures import ranking_figures
from optscale_predictor.backends.verifiers.training.labelled_samples import LabelledSamples
from optscale_predictor.backends.verifiers.training.question_batches import Batch
from optscale_predictor.backends.verifiers.training.verifier_loss import verifier_losses
from optscale_predictor.backends.verifiers.training.verifier_settings import VerifierSettings
from optscale_predictor.errors import InputError


@dataclass(frozen=True)
class HeldOutSamples:
    """Held-out samples and their tokens.

    Attributes:
        samples: With their labels.
        read: Their tokens.
        padding: The token that pads.
    """

    samples: LabelledSamples
    read: Sequence[SampleTokens]
    padding: int

    def measure(self, network: RewardNetwork, pair_weight: float) -> tuple[Tensor, dict[str, float]]:
        """Rewards of the samples [samples], in double precision on the CPU; ``loss`` and how well they rank.

        Args:
            network: In evaluation mode.
            pair_weight: As in the loss.
        """
        with progress_bar("held out", len(self.read)) as bar:
            rewards = read_rewards(network, self.read, self.padding, done=bar.update)
        correct, question = self.samples.correct, self.samples.question
        found = torch.from_numpy(rewards)
        losses = verifier_losses(found, torch.from_numpy(correct), torch.from_numpy(question), pair_weight)
        return found, {"loss": float(losses.mean()), **ranking_figures(rewards, correct, question)}


class VerifierModule(pl.LightningModule):
    """Trains a network; the state of the epoch that ranks held-out samples best within their questions is kept.

    Args:
        network: With untrained LoRA updates.
        settings: Rates, decay and seed.
        held_out: Samples to measure on.
        buckets: The order of the training batches.
        run: A name of settings and data, so that a state of another run is not gone on from.

    Attributes:
        before: Figures of the network before training; empty until they are measured.
        best: Figures of the best epoch so far, by name, and ``epoch``, 0 for the untrained network.
        best_state: Its trained tensors, on the CPU.
        best_rewards: Its rewards of the held-out samples.
    """

    def __init__(
        self,
        network: RewardNetwork,
        settings: VerifierSettings,
        held_out: HeldOutSamples,
        buckets: LengthBuckets,
        run: str,
    ) -> None:
        super().__init__()
        # The frozen base is not in checkpoints; what must be is checked when one is loaded.
        self.strict_loading = False
        self.network, self._settings, self._held_out = network, settings, held_out
        self._buckets, self._run = buckets, run
        self.before: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.best_state: dict[str, Tensor] = {}
        self.best_rewards = torch.zeros(0, dtype=torch.float64)
        self._resumed_at: Mapping[str, Any] | None = None

    def on_fit_start(self) -> None:
        """Measures what the network is worth untrained; a resumed run knows."""
        if not self.before and self._resumed_at is None:
            self.network.eval()
            rewards, self.before = self._held_out.measure(self.network, self._settings.pair_weight)
            self.network.train()
            say(f"before training, on held-out questions: {in_words(self.before)}")
            self._keep_if_best(rewards, {**self.before, "epoch": 0})

    def on_train_start(self) -> None:
        """Goes on with the batches that a resumed run would have had."""
        if self._resumed_at is not None:
            self._buckets.load_state_dict(dict(self._resumed_at))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Dropout depends on the step's number alone, so that a resumed run draws what it would have drawn."""
        seed = np.random.SeedSequence([self._settings.seed, self.current_epoch, batch_idx]).generate_state(1)[0]
        torch.manual_seed(int(seed))

    def training_step(self, batch: Batch, _: int) -> Float[Tensor, ""]:
        """The loss of one batch; every question counts the same, whatever the size of its batch."""
        rewards = self.network(batch["tokens"], batch["mask"], batch["start"])
        losses = verifier_losses(rewards, batch["correct"], batch["question"], self._settings.pair_weight)
        self.log("loss", losses.detach().mean(), prog_bar=True, batch_size=len(losses))
        return losses.sum() / self._buckets.rows_a_batch

    def validation_step(self, batch: Any, _: int) -> None:
        """Measures on all held-out samples at once, as a scorer reads them, and keeps the best epoch's state."""
        self._measure(self.current_epoch + 1)

    def _measure(self, epoch: int) -> None:
        rewards, found = self._held_out.measure(self.network, self._settings.pair_weight)
        say(f"epoch {epoch} of {self._settings.epochs}, on held-out questions: {in_words(found)}")
        self._keep_if_best(rewards, {**found, "epoch": epoch})

    def _keep_if_best(self, rewards: Tensor, found: dict[str, float]) -> None:
        if not self.best or found["auc_within"] > self.best["auc_within"]:
            self.best = found
            self.best_state, self.best_rewards = self.network.trained_state(), rewards

    def configure_optimizers(self) -> Any:
        """AdamW with one rate for the LoRA updates and one for the head; both rise, and then fall to nothing."""
        own = {id(part) for part in self.network.base.parameters()}
        tuned = [part for part in self.network.parameters() if part.requires_grad]
        groups = [
            {"params": [part for part in tuned if id(part) in own], "lr": self._settings.learning_rate},
            {"params": [part for part in tuned if id(part) not in own], "lr": self._settings.head_learning_rate},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=self._settings.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        share = partial(share_of_rate, steps=steps, warmup_share=self._settings.warmup_share, shape="cosine")
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves out the frozen base, which is on the disk already."""
        checkpoint["state_dict"] = {f"network.{name}": part for name, part in self.network.trained_state().items()}
        checkpoint["optscale_verifier"] = {
            "run": self._run,
            "batches": self._buckets.state_dict(),
            "before": self.before,
            "best": self.best,
            "best_state": self.best_state,
            "best_rewards": self.best_rewards,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes back what :meth:`on_save_checkpoint` kept.

        Raises:
            InputError: The state is of another run.
        """
        state = checkpoint.get("optscale_verifier")
        if not isinstance(state, dict) or state["run"] != self._run:
            raise InputError("the state to go on from is of other settings, another base or other samples")
        self.before, self.best, self.best_state = state["before"], state["best"], state["best_state"]
        self.best_rewards, self._resumed_at = state["best_rewards"], state["batches"]


def in_words(figures: Mapping[str, float]) -> str:
    """Held-out figures in a line.

    Args:
        figures: As :meth:`HeldOutSamples.measure` gives them.
    """
    error = f" ± {figures['auc_within_error']:.3f}" if "auc_within_error" in figures else ""
    return (
        f"within-question AUC {figures['auc_within']:.3f}{error}, AUC {figures['auc']:.3f}, loss {figures['loss']:.4f}"
    )
