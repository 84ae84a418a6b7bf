"""The predictor's network: a transformers backbone with LoRA, masked pooling, and a head that emits moments."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from torch import nn

from optscale_predictor.estimators import Prior
from optscale_predictor.models import load_pretrained
from optscale_predictor.predictor.config import PredictorConfig

_EDGE = 1e-4  # predictions keep this far from moments that no scores in [0, 1] can have


class OptScalePredictor(nn.Module):
    """Reads questions, emits the mean and standard deviation of their scores.

    Any mean in (0, 1), and any standard deviation that scores of that mean can have, by construction:
    mean = sigmoid(h_0), std = sqrt(mean (1 - mean)) sigmoid(h_1).

    Args:
        backbone: A transformers encoder or decoder, wrapped by PEFT.
        tokenizer: Its tokenizer.
        config: See :class:`PredictorConfig`.
    """

    def __init__(self, backbone: Any, tokenizer: Any, config: PredictorConfig) -> None:
        super().__init__()
        self.backbone, self.tokenizer, self.config = backbone, tokenizer, config
        self.head = nn.Linear(backbone.config.hidden_size, 2)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token

    @classmethod
    def from_base(cls, config: PredictorConfig, rank: int = 16, alpha: int = 32, dropout: float = 0.05) -> Self:
        """An untrained predictor on ``config.base_model``.

        Args:
            config: See :class:`PredictorConfig`.
            rank: Rank of the LoRA updates, >= 1.
            alpha: Their scale, times ``rank``.
            dropout: Dropout before them, in [0, 1).

        Raises:
            InputError: There is no such base model.
        """
        from peft import LoraConfig

        backbone, tokenizer = load_base(config.base_model)
        lora = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear")
        return cls(add_lora(backbone, lora), tokenizer, config)

    @classmethod
    def from_pretrained(cls, path_or_hub_id: str, revision: str | None = None, base_model: str | None = None) -> Self:
        """Loads a checkpoint, ready to predict.

        Args:
            path_or_hub_id: A checkpoint folder, or the hub id of one.
            revision: Branch, tag or commit, for a hub id.
            base_model: Use this base model in place of the one the checkpoint names (the same weights elsewhere).

        Raises:
            InputError: There is no such checkpoint, or a part of it is missing or does not fit.
        """
        from optscale_predictor.predictor.checkpoint import load

        return cast(Self, load(cls, path_or_hub_id, revision, base_model))

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes a checkpoint folder; see ``predictor.checkpoint``."""
        from optscale_predictor.predictor.checkpoint import save

        save(self, Path(folder))

    def tokenize(self, questions: Sequence[str]) -> list[list[int]]:
        """Each question's tokens, at most ``max_length``; an empty question is one padding token."""
        encoded = self.tokenizer(list(questions), truncation=True, max_length=self.config.max_length)["input_ids"]
        return [tokens or [self.tokenizer.pad_token_id] for tokens in encoded]

    def collate(self, tokens: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and mask, both [questions, length], padded on the right."""
        length = max(map(len, tokens))
        padding = self.tokenizer.pad_token_id
        padded = torch.tensor([one + [padding] * (length - len(one)) for one in tokens])
        mask = torch.tensor([[1] * len(one) + [0] * (length - len(one)) for one in tokens])
        return padded, mask

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mean and standard deviation of the scores, [questions, 2]; arguments [questions, length]."""
        hidden = self.backbone(input_ids=tokens, attention_mask=mask).last_hidden_state
        raw = self.head(self._pool(hidden, mask).float()).sigmoid()
        mean = raw[:, 0] * (1 - 2 * _EDGE) + _EDGE
        share = raw[:, 1] * (1 - 2 * _EDGE) + _EDGE
        return torch.stack([mean, (mean * (1 - mean)).sqrt() * share], -1)

    @torch.inference_mode()
    def predict(self, questions: Sequence[str], batch_size: int = 64) -> Prior:
        """The prior of each question, arrays [questions], in the order given.

        Batches hold questions of neighbouring lengths; a prediction does not depend on its neighbours.
        """
        was_training = self.training
        self.eval()
        tokens = self.tokenize(questions)
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
        moments = np.empty((len(tokens), 2))
        device = self.head.weight.device
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            padded, mask = self.collate([tokens[index] for index in batch])
            moments[batch] = self(padded.to(device), mask.to(device)).double().cpu().numpy()
        self.train(was_training)
        return Prior(moments[:, 0], moments[:, 1], self.config.strength)

    def start_at(self, mean: float, std: float) -> None:
        """Sets the head to emit these moments for every question: where training starts from."""
        share = np.clip(std / np.sqrt(mean * (1 - mean)), 0.01, 0.99)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.copy_(torch.logit(torch.tensor([np.clip(mean, 0.01, 0.99), share])))

    def _pool(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.config.pooling == "mean":
            weight = mask[..., None].to(hidden.dtype)
            return (hidden * weight).sum(1) / weight.sum(1)
        last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(-1)
        return hidden[torch.arange(len(hidden), device=mask.device), last]


def add_lora(backbone: Any, lora: Any) -> Any:
    """The backbone with LoRA updates; PEFT's notes on names and on transformers' own deprecations are left out."""
    from peft import get_peft_model

    lora.base_model_name_or_path = None  # PEFT would compare it with the folder the base was loaded from
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        return get_peft_model(backbone, lora)


def load_base(name: str) -> tuple[Any, Any]:
    """A base model, without any language-model head, and its tokenizer; single precision, on the CPU."""
    from transformers import AutoModel, AutoTokenizer

    return load_pretrained(AutoModel, name, "cpu"), load_pretrained(AutoTokenizer, name)
