"""Training a verifier with Lightning: what a step learns from, what is measured after an epoch, what is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from optscale_predictor._support.progress import progress_bar
from optscale_predictor._support.training_loop.best_epoch import BestEpochModule
from optscale_predictor._support.training_loop.length_buckets import LengthBuckets
from optscale_predictor.backends.verifiers.reward_network import RewardNetwork
from optscale_predictor.backends.verifiers.sample_reader import SampleTokens
from optscale_predictor.backends.verifiers.trained_verifier import read_rewards
from optscale_predictor.backends.verifiers.training.held_out_figures import ranking_figures
from optscale_predictor.backends.verifiers.training.labelled_samples import LabelledSamples
from optscale_predictor.backends.verifiers.training.question_batches import Batch
from optscale_predictor.backends.verifiers.training.verifier_loss import verifier_losses
from optscale_predictor.backends.verifiers.training.verifier_settings import VerifierSettings


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


class VerifierModule(BestEpochModule):
    """Trains a network; the state of the epoch that ranks held-out samples best within their questions is kept.

    Args:
        network: With untrained LoRA updates.
        settings: Rates, decay and seed.
        held_out: Samples to measure on.
        buckets: The order of the training batches.
        run: A name of settings and data, so that a state of another run is not gone on from.
    """

    def __init__(
        self,
        network: RewardNetwork,
        settings: VerifierSettings,
        held_out: HeldOutSamples,
        buckets: LengthBuckets,
        run: str,
    ) -> None:
        super().__init__(network, buckets, run, settings.epochs, settings.seed)
        self._settings, self._held_out = settings, held_out

    @property
    def best_rewards(self) -> Tensor:
        """The best epoch's rewards of the held-out samples."""
        return self.best_found["rewards"]

    def training_step(self, batch: Batch, _: int) -> Float[Tensor, ""]:
        """The loss of one batch; every question counts the same, whatever the size of its batch."""
        rewards = self._rewards(batch)
        losses = verifier_losses(rewards, batch["correct"], batch["question"], self._settings.pair_weight)
        self.log("loss", losses.detach().mean(), prog_bar=True, batch_size=len(losses))
        return losses.sum() / self._buckets.rows_a_batch

    def _rewards(self, batch: Batch) -> Float[Tensor, " samples"]:
        names = (
            ("tokens", "mask", "start") if "start" in batch else ("prompts", "prompt_mask", "owner", "tokens", "mask")
        )
        read = self.network if "start" in batch else self.network.after_prompts
        rewards: Tensor = read(**{name: batch[name] for name in names})
        return rewards

    def measure(self) -> tuple[dict[str, float], dict[str, Tensor], dict[str, Tensor]]:
        """Figures of all held-out samples, read as a scorer reads them; the network's state; and their rewards."""
        rewards, found = self._held_out.measure(self.network, self._settings.pair_weight)
        return found, self.network.trained_state(), {"rewards": rewards}

    def is_better(self, found: Mapping[str, float]) -> bool:
        """Whether held-out samples are ranked better within their questions than they were at best."""
        return found["auc_within"] > self.best["auc_within"]

    def in_words(self, found: Mapping[str, float]) -> str:
        """Figures in a line."""
        return in_words(found)

    def configure_optimizers(self) -> Any:
        """AdamW with one rate for the LoRA updates and one for the head; both rise, and then fall to nothing."""
        own = {id(part) for part in self.network.base.parameters()}
        tuned = [part for part in self.network.parameters() if part.requires_grad]
        groups = [
            {"params": [part for part in tuned if id(part) in own], "lr": self._settings.learning_rate},
            {"params": [part for part in tuned if id(part) not in own], "lr": self._settings.head_learning_rate},
        ]
        return self.adamw(groups, self._settings.weight_decay, self._settings.warmup_share)


def in_words(figures: Mapping[str, float]) -> str:
    """Held-out figures in a line.

    Args:
        figures: As :meth:`HeldOutSamples.measure` gives them.
    """
    error = f" ± {figures['auc_within_error']:.3f}" if "auc_within_error" in figures else ""
    return (
        f"within-question AUC {figures['auc_within']:.3f}{error}, AUC {figures['auc']:.3f}, loss {figures['loss']:.4f}"
    )
