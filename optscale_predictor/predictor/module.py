"""Training: what one step learns from, what validation measures, and which epoch's predictor is kept."""

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from optscale_predictor.predictor.config import PredictorConfig
from optscale_predictor.predictor.model import OptScalePredictor


class PredictorModule(pl.LightningModule):
    """Trains an :class:`OptScalePredictor` by the paper's loss, squared error, each moment in its own units.

    The best epoch's predictor (highest R^2 of the mean on the validation questions) is saved to ``output``.

    Args:
        output: Checkpoint folder to write.
        base_model: Folder, hub id, or a name that ``models.resolve_model`` knows.
        pooling: ``mean`` or ``last``.
        max_length: Tokens of a question that are read, > 0.
        rank: Rank of the LoRA updates, >= 1.
        alpha: Their scale, times ``rank``.
        dropout: Dropout before them, in [0, 1).
        learning_rate: Highest learning rate, > 0.
        weight_decay: AdamW's, >= 0.
        warmup_share: Share of all steps over which the learning rate rises, in [0, 1).
        generator: The generator whose scores are learnt; goes into the checkpoint.
        verifier: The verifier that gave them; goes into the checkpoint.
    """

    def __init__(
        self,
        output: str,
        base_model: str = "embedded:generator",
        pooling: str = "mean",
        max_length: int = 256,
        rank: int = 16,
        alpha: int = 32,
        dropout: float = 0.05,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        warmup_share: float = 0.1,
        generator: str | None = None,
        verifier: str | None = None,
    ) -> None:
        super().__init__()
        config = PredictorConfig(base_model, pooling, max_length, generator=generator, verifier=verifier)
        self.predictor = OptScalePredictor.from_base(config, rank, alpha, dropout)
        self._output = Path(output)
        self._learning_rate, self._weight_decay, self._warmup_share = learning_rate, weight_decay, warmup_share
        self.register_buffer("_spread", torch.ones(2))
        self.register_buffer("_best", torch.tensor(-math.inf))
        self._seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def on_fit_start(self) -> None:
        """Starts the head at the training questions' mean moments, and notes their spread."""
        self.predictor.train()
        train = self.trainer.datamodule.train  # type: ignore[attr-defined]
        moments = torch.tensor([[target.mean, target.std] for target in train])
        self._spread.copy_(moments.std(0).clamp(min=1e-3))  # type: ignore[operator]
        self.predictor.start_at(*moments.mean(0).tolist())

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """The loss of one batch."""
        loss = moment_loss(self.predictor(batch["tokens"], batch["mask"]), batch["moments"], self._spread)
        self.log("loss", loss, prog_bar=True, batch_size=len(batch["tokens"]))
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Keeps the predictions for the epoch's end."""
        self._seen.append((self.predictor(batch["tokens"], batch["mask"]), batch["moments"]))

    def on_validation_epoch_end(self) -> None:
        """Measures, and saves the predictor if it is the best so far."""
        predicted, true = (torch.cat(parts).double() for parts in zip(*self._seen, strict=True))
        self._seen = []
        r2 = 1 - ((predicted - true) ** 2).mean(0) / true.var(0, correction=0).clamp(min=1e-12)
        values = {"r2_mean": float(r2[0]), "r2_std": float(r2[1])}
        self.log_dict(values, prog_bar=True)
        if self.trainer.sanity_checking or not self.trainer.is_global_zero or values["r2_mean"] <= float(self._best):  # type: ignore[arg-type]
            return
        self._best.fill_(values["r2_mean"])  # type: ignore[operator]
        self.predictor.config.strength = strength_of(predicted, true)
        self.predictor.config.metrics = {**values, "questions": float(len(true))}
        self.predictor.save_pretrained(self._output)

    def configure_optimizers(self) -> Any:
        """AdamW; linear warm-up, then cosine to zero."""
        trained = [part for part in self.parameters() if part.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=self._learning_rate, weight_decay=self._weight_decay)
        total = int(self.trainer.estimated_stepping_batches)
        warmup = max(1, round(total * self._warmup_share))

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def moment_loss(predicted: torch.Tensor, true: torch.Tensor, spread: Any) -> torch.Tensor:
    """Mean squared error of (mean, std), arguments [questions, 2], each in units of its ``spread`` [2]."""
    scaled: torch.Tensor = (predicted - true) / spread
    return (scaled**2).mean()


def strength_of(predicted: torch.Tensor, true: torch.Tensor) -> float:
    """How many real samples tell a question's mean as well as the prediction does.

    The mean of n samples errs by std^2 / n, so n = mean std^2 / mean squared error of the predicted mean.
    """
    error = ((predicted[:, 0] - true[:, 0]) ** 2).mean().clamp(min=1e-9)
    return float(((true[:, 1] ** 2).mean() / error).clamp(min=1e-3))
