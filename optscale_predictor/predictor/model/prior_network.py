"""The network of a predictor: reads a question, emits the prior of its scores.

Tokens go through the language model, their hidden states are pooled into one vector a question, and a head makes of it
a mean, a spread and a strength. Nothing here knows of files: reading and writing checkpoints stands above it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from optscale_predictor._support.arrays import Floats
from optscale_predictor.backends.adapters.lora import LoraSettings, tune
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.heads import Features, GaussianProcessHead, LinearHead
from optscale_predictor.predictor.heads.question_features import label_codes
from optscale_predictor.predictor.losses import Predicted
from optscale_predictor.predictor.model.backbone import (
    hidden_layers,
    load_base,
    make_pooling,
    num_layers,
)
from optscale_predictor.predictor.model.config import PredictorConfig
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.estimators import Prior


class PriorNetwork(nn.Module):
    """A transformers backbone with LoRA updates, masked pooling, and a head that emits mean, spread and strength.

    Args:
        backbone: A transformers encoder or decoder, wrapped by PEFT.
        tokenizer: Its tokenizer.
        config: The settings; they alone decide every shape.
    """

    def __init__(self, backbone: Any, tokenizer: Any, config: PredictorConfig) -> None:
        super().__init__()
        self.backbone, self.tokenizer, self.config = backbone, tokenizer, config
        hidden = int(backbone.config.hidden_size)
        layers = num_layers(backbone, config.layers)
        self.poolings = nn.ModuleList(make_pooling(config.pooling, hidden) for _ in range(layers))
        self.head = _make_head(config, hidden * layers)

    @classmethod
    def from_base(cls, config: PredictorConfig, lora: LoraSettings | None = None) -> Self:
        """An untrained predictor on ``config.base_model``.

        Args:
            config: The settings; they alone decide every shape.
            lora: The LoRA updates that are put around the base; the usual ones by default.

        Raises:
            InputError: There is no such base model.
        """
        backbone, tokenizer = load_base(config.base_model)
        return cls(tune(backbone, lora or LoraSettings()), tokenizer, config)

    def tokenize(self, questions: Sequence[str]) -> list[list[int]]:
        """Each question's tokens, at most ``max_length``; an empty question is one padding token."""
        encoded = self.tokenizer(list(questions), truncation=True, max_length=self.config.max_length)["input_ids"]
        return [tokens or [self.tokenizer.pad_token_id] for tokens in encoded]

    def collate(
        self, tokens: Sequence[list[int]]
    ) -> tuple[Int[Tensor, "questions length"], Int[Tensor, "questions length"]]:
        """Tokens, padded on the right, and their mask: 1 at real tokens, 0 at padding."""
        length = max(map(len, tokens))
        padding = self.tokenizer.pad_token_id
        padded = torch.tensor([one + [padding] * (length - len(one)) for one in tokens])
        mask = torch.tensor([[1] * len(one) + [0] * (length - len(one)) for one in tokens])
        return padded, mask

    def features(
        self,
        tokens: Int[Tensor, "questions length"],
        mask: Int[Tensor, "questions length"],
        labels: Int[Tensor, "questions labels"] | None = None,
    ) -> Features:
        """What the head sees of a batch of questions.

        Args:
            tokens: Padded on either side.
            mask: 1 at real tokens, 0 at padding.
            labels: Codes of the questions' labels; None where nothing is known.
        """
        hidden = hidden_layers(self.backbone, tokens, mask, self.config.layers)
        pooled = [pool(states, mask) for pool, states in zip(self.poolings, hidden, strict=True)]
        return Features(torch.cat(pooled, -1), tokens, mask, labels)

    def forward(
        self,
        tokens: Int[Tensor, "questions length"],
        mask: Int[Tensor, "questions length"],
        source: Int[Tensor, " questions"] | None = None,
        labels: Int[Tensor, "questions labels"] | None = None,
    ) -> Predicted:
        """The prior of each question.

        Args:
            tokens: Padded on either side.
            mask: 1 at real tokens, 0 at padding.
            source: Whose scores, by index in ``config.sources``; the first source's by default.
            labels: Codes of the questions' labels; None where nothing is known.
        """
        source = tokens.new_zeros(len(tokens)) if source is None else source
        return cast(Predicted, self.head(self.features(tokens, mask, labels), source))

    @torch.inference_mode()
    def predict(
        self,
        questions: Sequence[str],
        source: str | None = None,
        batch_size: int = 64,
        labels: Sequence[Mapping[str, str]] | None = None,
    ) -> Prior:
        """The prior of each question, arrays [questions], in the order given.

        Batches hold questions of neighbouring lengths; a prediction does not depend on its neighbours.

        Args:
            questions: Their texts.
            source: Whose scores, where the predictor has learnt several.
            batch_size: Questions in a batch, >= 1.
            labels: What is known of each question besides its text, by the names in ``config.labels``; others are
                passed over, and one that is missing is unknown.

        Raises:
            InputError: There is no such source, the batch size is out of range, or labels are not one a question.
        """
        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        if labels is not None and len(labels) != len(questions):
            raise InputError(f"labels must be given for each of {len(questions)} questions, got {len(labels)}")
        index = self.config.source_index(source)
        codes = label_codes(self.config.labels, labels or [{}] * len(questions))
        was_training = self.training
        self.eval()
        found = np.empty((len(questions), 3))
        for batch, tokens, mask in self._batches(self.tokenize(questions), batch_size):
            asked = torch.full((len(batch),), index, device=tokens.device)
            predicted = self(tokens, mask, asked, codes[batch].to(tokens.device))
            found[batch] = torch.stack(predicted, -1).double().cpu().numpy()
        self.train(was_training)
        return _valid_prior(found)

    def predict_questions(
        self, questions: Sequence[Question], source: str | None = None, batch_size: int = 64
    ) -> Prior:
        """The prior of each question, told the labels that the questions carry; arrays [questions], in the order given.

        Args:
            questions: The questions.
            source: Whose scores, where the predictor has learnt several.
            batch_size: Questions in a batch, >= 1.

        Raises:
            InputError: There is no such source, or the batch size is out of range.
        """
        labels = [question.labels for question in questions]
        return self.predict([question.text for question in questions], source, batch_size, labels)

    @torch.inference_mode()
    def pool(self, tokens: Sequence[list[int]], batch_size: int = 64) -> Float[Tensor, "questions width"]:
        """Pooled hidden states of many questions, without dropout.

        Args:
            tokens: Each question's tokens, as :meth:`tokenize` gives them.
            batch_size: Questions in a batch, >= 1.

        Raises:
            InputError: There is no question.
        """
        was_training = self.training
        self.eval()
        found: Tensor | None = None
        for batch, padded, mask in self._batches(tokens, batch_size):
            pooled = self.features(padded, mask).pooled
            found = pooled.new_empty((len(tokens), pooled.shape[1])) if found is None else found
            found[batch] = pooled
        self.train(was_training)
        if found is None:
            raise InputError("no questions to pool")
        return found

    def _batches(self, tokens: Sequence[list[int]], batch_size: int) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Batches of neighbouring lengths, so that little of one is padding: indices, tokens and mask of each."""
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
        device = next(self.parameters()).device
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            padded, mask = self.collate([tokens[index] for index in batch])
            yield batch, padded.to(device), mask.to(device)


def _make_head(config: PredictorConfig, width: int) -> nn.Module:
    if config.head == "linear":
        return LinearHead(width, len(config.sources))
    return GaussianProcessHead(width, config.head_sizes)


def _valid_prior(found: Floats) -> Prior:
    """From [questions, 3]; single precision may round a spread to a hair above what its mean allows."""
    mean, std, strength = found.T
    return Prior.expecting(mean, np.minimum(std, np.sqrt(mean * (1 - mean))), strength)
