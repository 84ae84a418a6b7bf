"""Training: what one step learns from, what validation measures, and which epoch's predictor is kept."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor

from optscale_predictor._support.training_loop.learning_rate import Shape
from optscale_predictor._support.training_loop.length_buckets import LengthBuckets
from optscale_predictor.backends.adapters.lora import LoraSettings
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.heads import Features
from optscale_predictor.predictor.losses import (
    Likelihood,
    Loss,
    MarginalLikelihood,
    Observed,
    Predicted,
    SquaredError,
)
from optscale_predictor.predictor.model.config import PredictorConfig, ScoreSource
from optscale_predictor.predictor.pretrained import OptScalePredictor
from optscale_predictor.predictor.training.frozen_cache import Precision, cache_frozen, pool_cached
from optscale_predictor.predictor.training.frozen_layers import FrozenLayers
from optscale_predictor.predictor.training.head_training import HeadTraining, export, training_of, with_head
from optscale_predictor.predictor.training.held_out import (
    MONITORS,
    HeldOut,
    evidence_shift,
    measure,
    shifted,
    strength_shift,
)
from optscale_predictor.predictor.training.optimizer import (
    OptimizerSettings,
    freeze_unused,
    make_optimizer,
    trained_names,
)
from optscale_predictor.predictor.training.training_data import Batch, TrainingData, take
from optscale_predictor.targets.splitting import TRAIN, VALIDATION

LossName = Literal["marginal_likelihood", "likelihood", "squared_error"]
Cache = Literal["none", "memory", "disk"]

_LORA = LoraSettings()
_LOSSES: dict[str, type[Loss]] = {
    "marginal_likelihood": MarginalLikelihood,
    "likelihood": Likelihood,
    "squared_error": SquaredError,
}


class PredictorModule(pl.LightningModule):
    """Trains an :class:`OptScalePredictor`; the best epoch's is saved to ``output``, with what was measured of it.

    Args:
        output: Checkpoint folder to write.
        training_data: The questions, shared with the data module that batches them.
        base_model: A folder, a hub id, ``embedded:NAME`` or ``package:NAME``.
        pooling: ``mean``, ``last`` or ``attention``.
        layers: ``last``, or ``all``.
        max_length: Tokens of a question that are read, > 0.
        head: ``linear`` or ``gaussian_process``.
        labels: What a Gaussian-process head is told besides a question's text: ``subject`` or ``level``, where known.
        family: Of the scores' distribution: ``truncated_normal`` or ``beta``.
        lora: The LoRA updates.
        loss: A loss's name, or one with settings of its own.
        learning_rate: Highest learning rate, > 0.
        head_learning_rate: That of head and pooling; ``learning_rate`` by default.
        weight_decay: AdamW's, >= 0.
        warmup_share: Share of all steps over which the learning rate rises, in [0, 1).
        schedule: What the learning rate does then: ``cosine``, ``linear`` or ``constant``.
        monitor: The held-out number by which the best epoch is chosen: ``log_evidence`` (at the strengths that suit it
            best), ``r2_mean``, ``r2_std`` or ``spearman_mean``.
        cache_frozen: Keep what the layers below ``lora.top_layers`` make of each question: in ``memory``, on ``disk``,
            or not (``none``).
        cache_precision: Of what is kept: ``float32``, ``bfloat16`` or ``float16``.
        sources: What the checkpoint says of sources of scores, where that is not what the targets' file says.

    Raises:
        InputError: A setting is unknown or out of its range, or two of them do not go together.
    """

    def __init__(
        self,
        output: str,
        training_data: TrainingData,
        base_model: str = "embedded:generator",
        pooling: str = "mean",
        layers: str = "last",
        max_length: int = 256,
        head: str = "linear",
        labels: list[str] | None = None,
        family: str = "truncated_normal",
        lora: LoraSettings = _LORA,
        loss: Loss | LossName = "marginal_likelihood",
        learning_rate: float = 1e-3,
        head_learning_rate: float | None = None,
        weight_decay: float = 0.01,
        warmup_share: float = 0.1,
        schedule: Shape = "cosine",
        monitor: str = "log_evidence",
        cache_frozen: Cache = "none",
        cache_precision: Precision = "float32",
        sources: list[ScoreSource] | None = None,
    ) -> None:
        super().__init__()
        # The frozen base model is not in checkpoints; what must be is checked when one is loaded.
        self.strict_loading = False
        if monitor not in MONITORS:
            raise InputError(f"monitor must be one of {', '.join(MONITORS)}, got {monitor!r}")
        self._optimizer = OptimizerSettings(learning_rate, head_learning_rate, weight_decay, warmup_share, schedule)
        _require_labels(labels or [], head)
        self.output, self.monitor, self._data = Path(output), monitor, training_data
        self._config = PredictorConfig(
            base_model,
            pooling=pooling,
            layers=layers,
            max_length=max_length,
            head=head,
            family=family,
            labels=labels or [],
        )
        self._lora, self._sources = lora, {source.name: source for source in sources or []}
        self._loss = loss if isinstance(loss, Loss) else _LOSSES[loss]()
        self._cache: tuple[Cache, Precision] = cache_frozen, cache_precision
        self.predictor: OptScalePredictor | None = None
        self.best = -float("inf")
        self._head: HeadTraining
        self._frozen: FrozenLayers | None = None
        self._refreshed_at = -1
        self._seen: Tensor | None = None
        self._resumed_at: dict[str, Any] | None = None

    def configure_model(self) -> None:
        """Builds the predictor once its data is known; called by Lightning before anything is restored."""
        if self.predictor is not None:
            return
        data = self._data
        torch.manual_seed(_seed())
        sources = [self._sources.get(source.name, source) for source in data.sources]
        config = replace(self._config, sources=sources, data=data.summary)
        # A Gaussian-process head is sized by the training questions' tokens, so the tokenizer's network comes first.
        plain = OptScalePredictor.from_base(replace(config, head="linear"), self._lora)
        data.tokenize(plain, [source.name for source in sources], config.labels)
        self.predictor = with_head(plain, config, data.questions[TRAIN]).train()
        self._head = training_of(self.predictor, data.questions[TRAIN])
        question = data.questions[TRAIN][[0]]
        freeze_unused(self.predictor, question["tokens"], question["mask"])
        self._loss.fit(data.questions[TRAIN].observed)

    def on_fit_start(self) -> None:
        """Fills the cache of frozen layers' states, if there is one."""
        where, precision = self._cache
        if where != "none":
            folder = self.output.with_name(f"{self.output.name}_training") if where == "disk" else None
            sides = list(self._data.questions.values())
            self._frozen = cache_frozen(self.trainer, self._model, sides, precision, folder)

    def on_train_start(self) -> None:
        """Goes on with the batches that a resumed run would have had.

        Lightning would see to it, had it not looked at the loader before it reads checkpoints, to count the steps.
        """
        if self._resumed_at is not None:
            self._buckets.load_state_dict(self._resumed_at)

    def on_train_epoch_start(self) -> None:
        """Solves what of the head is solved; not called where a run is resumed in mid-epoch."""
        self._refresh()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Dropout depends on the step's number alone, so that a resumed run draws what it would have drawn."""
        torch.manual_seed(_seed(self.current_epoch, batch_idx, self.global_rank))

    def training_step(self, batch: Batch, _: int) -> Float[Tensor, ""]:
        """The loss of one batch; every question counts the same, whatever the size of its batch."""
        losses = self._loss(self._head.predict(self._features(batch), batch), self._observed(TRAIN, batch))
        self.log("loss", losses.detach().mean(), prog_bar=True, batch_size=len(losses))
        return losses.sum() / self._buckets.rows_a_batch

    def on_validation_epoch_start(self) -> None:
        """Solves the head on the features as they now are."""
        self._refresh()
        self._seen = torch.zeros((len(self._data.questions[VALIDATION]), 4), dtype=torch.float64, device=self.device)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Keeps the predictions for the epoch's end; a question that two devices have counts once."""
        assert self._seen is not None
        predicted: Predicted = self._model.head(self._features(batch), batch["source"])
        self._seen[batch["rows"], :3] = torch.stack([part.double() for part in predicted], -1)
        self._seen[batch["rows"], 3] = 1.0

    def on_validation_epoch_end(self) -> None:
        """Measures, and saves the predictor if it is the best so far."""
        assert self._seen is not None
        table = self.trainer.strategy.reduce(self._seen, reduce_op="sum")
        self._seen = None
        held_out = HeldOut.from_table(table, self._data.questions[VALIDATION])
        judged = self._head.left_out() or (held_out.prior, held_out.seen)
        values = measure(shifted(held_out.prior, evidence_shift(*judged)), held_out.seen)
        self.log_dict(values, rank_zero_only=False)
        if not self.trainer.sanity_checking and values[self.monitor] > self.best:
            self.best = values[self.monitor]
            # Slow, so only for an epoch that is kept; the epochs were compared by the quick shift.
            shift = strength_shift(*judged)
            values = measure(shifted(held_out.prior, shift), held_out.seen)
            names = [source.name for source in self._data.sources]
            self._model.config.metrics = {**values, **held_out.by_source(names)}
            export(self.trainer, self._model, self._head, shift, self.output)

    def configure_optimizers(self) -> Any:
        """AdamW with one rate for the backbone and one for the rest, and their schedule."""
        return make_optimizer(self._model, self.trainer, self._optimizer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves out the frozen base model, which is on the disk already."""
        kept = trained_names(self._model, checkpoint["state_dict"])
        checkpoint["state_dict"] = {name: part for name, part in checkpoint["state_dict"].items() if name in kept}
        checkpoint["optscale"] = {
            "best": self.best,
            "refreshed_at": self._refreshed_at,
            "data": self._data.summary["fingerprint"],
            "head": self._head.state_dict(),
            "batches": self._buckets.state_dict(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes back what :meth:`on_save_checkpoint` kept; called once the model is built, before its weights are read.

        Raises:
            InputError: The state was not written by this training, or with other settings or targets.
        """
        own = self.state_dict()
        kept, found = trained_names(self._model, own), checkpoint.get("state_dict", {})
        state = checkpoint.get("optscale")
        if not isinstance(state, dict):
            raise InputError("the checkpoint to resume from was not written by this training")
        # Before the data's fingerprint: other settings give other tensors, and the first mistake is the one to name.
        wrong = kept ^ found.keys() or {name for name in kept if found[name].shape != own[name].shape}
        if wrong:
            raise InputError(f"the checkpoint to resume from is of other settings: tensor {min(wrong)!r} does not fit")
        if state["data"] != self._data.summary["fingerprint"]:
            raise InputError("the checkpoint to resume from was trained on other targets, or on another split of them")
        self.best, self._refreshed_at = state["best"], state["refreshed_at"]
        self._head.load_state_dict(state["head"])
        self._resumed_at = state["batches"]

    @property
    def _model(self) -> OptScalePredictor:
        assert self.predictor is not None
        return self.predictor

    @property
    def _buckets(self) -> LengthBuckets:
        loader: Any = self.trainer.train_dataloader
        buckets: LengthBuckets = loader.buckets
        return buckets

    def _features(self, batch: Batch) -> Features:
        if self._frozen is None:
            return self._model.features(batch["tokens"], batch["mask"], batch["labels"])
        found = self._frozen.features(batch["tokens"], batch["mask"], batch["states"], batch["pooled"])
        return found._replace(labels=batch["labels"])

    def _observed(self, side: str, batch: Batch) -> Observed:
        return take(self._data.questions[side].observed, batch["rows"])

    def _refresh(self) -> None:
        if self._refreshed_at == self.global_step:
            return
        self._head.refresh(self._pool)
        self._refreshed_at = self.global_step

    @torch.no_grad()
    def _pool(self) -> Float[Tensor, "questions width"]:
        """Pooled states of all training questions, without dropout."""
        if self._frozen is None:
            return self._model.pool(self._data.questions[TRAIN].tokens).clone()
        return pool_cached(self._frozen, self._model, self._data.questions[TRAIN])


def _require_labels(labels: list[str], head: str) -> None:
    if labels and head == "linear":
        raise InputError("labels are for the gaussian_process head; a linear one reads the question alone")
    if set(labels) - {"subject", "level"}:
        raise InputError(f"labels must be among subject and level, got {', '.join(labels)}")


def _seed(*step: int) -> int:
    """The run's seed, or that of one of its steps."""
    given = int(os.environ.get("PL_GLOBAL_SEED", "0"))
    return int(np.random.SeedSequence([given, *step]).generate_state(1)[0])
