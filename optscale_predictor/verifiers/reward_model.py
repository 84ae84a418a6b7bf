"""Reward models: sequence classifiers with one label, whose logit's sigmoid is the score.

The logit reads the question's text and the sample's text, one after the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from optscale_predictor.errors import InputError
from optscale_predictor.models import load_pretrained
from optscale_predictor.verifiers._batches import by_length, too_long
from optscale_predictor.verifiers._verifier import Answered, Scores, Verifier


class RewardModel(Verifier):
    """A transformers sequence classifier in this process.

    Args:
        model: Folder, hub id, or a name that ``models.resolve_model`` knows.
        batch_size: Samples in one batch, >= 1.
        device: A torch device; ``auto`` takes CUDA where there is one.
        trust_remote_code: Whether to run code that the model's repository brings.

    Raises:
        InputError: There is no such model, or it has more than one label, or cannot be padded.
    """

    def __init__(
        self, model: str, batch_size: int = 256, device: str = "auto", trust_remote_code: bool = False
    ) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        self._name, self._batch_size = model, batch_size
        self._tokenizer: Any = load_pretrained(AutoTokenizer, model, trust_remote_code=trust_remote_code)
        self._model: Any = load_pretrained(AutoModelForSequenceClassification, model, device, trust_remote_code).eval()
        if self._model.config.num_labels != 1:
            raise InputError(
                f"verifier {model!r}: expected a reward model of one label, got {self._model.config.num_labels}"
            )
        if self._model.config.pad_token_id is None or self._tokenizer.pad_token is None:
            raise InputError(f"verifier {model!r}: it has no padding token, so its last token cannot be found")
        self._context = int(getattr(self._model.config, "max_position_embeddings", 1 << 30))

    def describe(self) -> Mapping[str, object]:
        """See :class:`Verifier`."""
        return {"adapter": "reward_model", "model": self._name, "score": "sigmoid of the logit"}

    @torch.inference_mode()
    def score(self, items: Sequence[Answered]) -> Scores:
        """See :class:`Verifier`. Batches hold texts of neighbouring lengths."""
        tokens = [self._tokenizer(item.question.text + item.text)["input_ids"] for item in items]
        lengths = [len(one) for one in tokens]
        refusals = too_long(lengths, self._context)
        scores = np.full(len(items), np.nan)
        for batch in by_length(lengths, self._batch_size, refusals):
            padded = self._tokenizer.pad(
                {"input_ids": [tokens[index] for index in batch]}, padding_side="right", return_tensors="pt"
            ).to(self._model.device)
            logits = self._model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"]).logits
            scores[batch] = logits[:, 0].double().sigmoid().cpu().numpy()
        return Scores.of(scores, lengths, refusals)
