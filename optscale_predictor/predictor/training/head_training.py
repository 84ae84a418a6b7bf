"""What a head needs of the training questions besides gradients: where it starts, and what is solved anew every epoch.

A linear head starts at the training questions' average. A Gaussian-process head is solved on them before every epoch;
in training each question is predicted from coefficients solved without its fold, so that what the LoRA updates are
judged by is what the head makes of questions that it has not seen.

The best predictor so far is written with its strengths shifted for the while, and with its weights whole where they are
sharded.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor

from optscale_predictor.predictor.heads import Features, GaussianProcessHead, LinearHead
from optscale_predictor.predictor.heads.gaussian_process import head_sizes
from optscale_predictor.predictor.heads.solving import FOLDS, CrossFit, solve_head
from optscale_predictor.predictor.losses import Predicted
from optscale_predictor.predictor.model.config import PredictorConfig
from optscale_predictor.predictor.pretrained import OptScalePredictor
from optscale_predictor.predictor.training.training_data import Batch, Questions
from optscale_predictor.questions.near_duplicates import NearDuplicates
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics
from optscale_predictor.stats.estimators.prior import Prior

PooledStates = Callable[[], Float[Tensor, "questions width"]]
"""Gives the pooled hidden states of all training questions."""

_ALIKE = 0.8  # similarity from which two questions share a fold; numbers do not count


class HeadTraining(ABC):
    """A head in training."""

    @abstractmethod
    def predict(self, features: Features, batch: Batch) -> Predicted:
        """The prior of training questions, as it would be if the head had not learnt from them.

        Args:
            features: Of the questions.
            batch: Says which questions they are.
        """

    def refresh(self, pooled_states: PooledStates) -> None:  # noqa: B027
        """Solves what is solved; called before every epoch and every validation, unless no step was made since."""

    def left_out(self) -> tuple[Prior, ScoreStatistics] | None:
        """Predictions of training questions by heads that have not learnt from them, and their scores; None without."""
        return None

    def shift_strength(self, shift: float) -> Callable[[], None]:
        """Multiplies what every strength is beyond one sample by exp(shift); returns what takes it back."""
        part = self._log_strength()
        before = part.detach().clone()
        with torch.no_grad():
            part.add_(shift)

        def undo() -> None:
            with torch.no_grad():
                part.copy_(before)

        return undo

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs of it that is not in the head itself."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Takes what :meth:`state_dict` gave."""

    @abstractmethod
    def _log_strength(self) -> Tensor:
        """The head's own tensor that is added to every log strength."""


class LinearTraining(HeadTraining):
    """A linear head, which starts at each source's average question.

    Args:
        head: Untrained; changed in place.
        questions: The training questions.
    """

    def __init__(self, head: LinearHead, questions: Questions) -> None:
        self._head = head
        mean, std = questions.observed.mean, questions.observed.std
        for source in questions.source.unique().tolist():
            own = questions.source == source
            middle = float(mean[own].mean().clamp(0.01, 0.99))
            within = float((std[own] ** 2).mean().clamp(min=1e-6))
            # The questions' average is worth as many samples as tell a question's mean as well as it does.
            strength = within / max(float(mean[own].var(correction=0)), 1e-6)
            head.start_at(middle, min(within, middle * (1 - middle)) ** 0.5, strength, source)

    def predict(self, features: Features, batch: Batch) -> Predicted:
        """The prior of training questions: a linear head of few weights is judged as it is.

        Args:
            features: Of the questions.
            batch: Says which questions they are.
        """
        return cast(Predicted, self._head(features, batch["source"]))

    def _log_strength(self) -> Tensor:
        return self._head.bias[:, 2]


class GaussianProcessTraining(HeadTraining):
    """A Gaussian-process head, solved anew as the features change.

    Args:
        head: Sized for these questions; changed in place.
        questions: The training questions.
    """

    def __init__(self, head: GaussianProcessHead, questions: Questions) -> None:
        self._head, self._questions = head, questions
        self._folds = folds_of(questions.texts, FOLDS)
        self._fit: CrossFit | None = None

    def refresh(self, pooled_states: PooledStates) -> None:
        """Solves the head on the features as they now are, once with all questions and once without each fold."""
        asked = self._questions
        parts = asked.tokens, asked.source.tolist(), asked.observed, self._folds
        self._fit = solve_head(self._head, pooled_states(), *parts, asked.labels.to(self._head.labels.device))

    def predict(self, features: Features, batch: Batch) -> Predicted:
        """The prior of training questions, each from coefficients that were solved without its fold.

        Args:
            features: Of the questions.
            batch: Says which questions they are.
        """
        assert self._fit is not None
        fold = self._fit.fold[batch["rows"].to(self._fit.fold.device)]
        return cast(Predicted, self._head(features, batch["source"], self._fit.coefficients[fold]))

    def left_out(self) -> tuple[Prior, ScoreStatistics] | None:
        """Predictions of the training questions from coefficients solved without their folds, and their scores."""
        assert self._fit is not None
        seen = self._questions.observed
        count, mean, std = (part.double().cpu().numpy() for part in (seen.count, seen.mean, seen.std))
        return Prior.expecting(*self._fit.predicted.double().cpu().numpy().T), ScoreStatistics(count, mean, std**2)

    def state_dict(self) -> dict[str, Any]:
        """The coefficients without each fold: solving again after a step would give a resumed run others."""
        return {} if self._fit is None else dict(vars(self._fit))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what :meth:`state_dict` gave."""
        device = self._head.coefficients.device
        self._fit = CrossFit(**{name: part.to(device) for name, part in state.items()}) if state else None

    def _log_strength(self) -> Tensor:
        offset: Tensor = self._head.offset
        return offset[2:]


def with_head(predictor: OptScalePredictor, config: PredictorConfig, questions: Questions) -> OptScalePredictor:
    """The predictor with the head that ``config`` names, sized for these training questions.

    Args:
        predictor: With a linear head.
        config: Its settings.
        questions: The training questions.
    """
    if config.head == "linear":
        return predictor
    width = int(cast(LinearHead, predictor.head).weight.shape[-1])
    return OptScalePredictor(
        predictor.backbone,
        predictor.tokenizer,
        replace(config, head_sizes=head_sizes(questions.tokens, width, len(config.labels))),
    )


def training_of(predictor: OptScalePredictor, questions: Questions) -> HeadTraining:
    """How a predictor's head is trained.

    Args:
        predictor: Whose head it is; changed in place.
        questions: The training questions.
    """
    head = predictor.head
    return (
        GaussianProcessTraining(head, questions)
        if isinstance(head, GaussianProcessHead)
        else LinearTraining(cast(LinearHead, head), questions)
    )


def folds_of(texts: Sequence[str], folds: int) -> list[int]:
    """A fold in [0, folds) for each question; near-duplicates, numbers not counting, are in one.

    Args:
        texts: The questions.
        folds: How many, >= 1.
    """
    # Which member stands for a group decides its fold, and so every coefficient: trained predictors depend on this
    # order of unions, which `group_near_duplicates` does not keep.
    found = NearDuplicates(texts, _ALIKE, False)
    group = list(range(len(texts)))
    for member, others in found.candidates():
        for other in others:
            if _first(group, other) != _first(group, member) and found.similar(member, other):
                group[_first(group, member)] = _first(group, other)
    order = np.random.default_rng(0).permutation(len(texts)) % folds
    return [int(order[_first(group, member)]) for member in range(len(texts))]


def _first(group: list[int], member: int) -> int:
    """The member that stands for a group."""
    while group[member] != member:
        group[member] = group[group[member]]
        member = group[member]
    return member


def export(trainer: pl.Trainer, model: OptScalePredictor, head: HeadTraining, shift: float, output: Path) -> None:
    """Saves the predictor, its strengths as sure as held-out questions allow; called on every device, one writes.

    Args:
        trainer: Knows how weights are spread over devices.
        model: The predictor.
        head: How its head is trained; shifts the strengths.
        shift: Of the log of what strengths are beyond one sample.
        output: The checkpoint folder.

    Raises:
        InputError: The folder cannot be written.
    """
    # Taken back below: training goes on from the strengths that the loss has taught, not from the shifted ones.
    undo = head.shift_strength(shift)
    with _whole_weights(trainer, model):
        if trainer.is_global_zero:
            model.save_pretrained(output)
    undo()


def _whole_weights(trainer: pl.Trainer, model: OptScalePredictor) -> AbstractContextManager[Any]:
    """While it lasts every device has all weights, also where they are sharded."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    whole = trainer.strategy.model
    if whole is None or not any(isinstance(part, FullyShardedDataParallel) for part in whole.modules()):
        return nullcontext()
    found: AbstractContextManager[Any] = FullyShardedDataParallel.summon_full_params(whole, writeback=False)
    return found
