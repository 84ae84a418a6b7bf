"""Reward models in this process: sequence classifiers with one label (Skywork-Reward and other Bradley-Terry models).

The model reads question and sample as one conversation where its tokenizer has a chat template, else the one text
after the other. Its logit is unbounded and becomes a score by a fitted logistic map.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.verifiers.length_batches import BATCH_TOKENS, by_length, padded, too_long
from optscale_predictor.backends.verifiers.score_maps import LogisticMap, RewardVerifier
from optscale_predictor.backends.verifiers.verifier import Answered
from optscale_predictor.errors import InputError


class RewardModel(RewardVerifier):
    """A transformers sequence classifier in this process.

    Args:
        model: Folder, hub id, ``embedded:NAME`` or ``package:NAME``.
        batch_size: Samples in one batch, >= 1.
        device: A torch device; ``auto`` takes CUDA where there is one.
        trust_remote_code: Whether to run code that the model's repository brings.
        score_map: How its logits become scores; fitted on a pool where it is None.

    Raises:
        InputError: There is no such model, it has no such head or more than one label, or it cannot be padded.
    """

    def __init__(
        self,
        model: str,
        batch_size: int = 256,
        device: str = "auto",
        trust_remote_code: bool = False,
        score_map: LogisticMap | None = None,
    ) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        self._name, self._batch_size, self.score_map = model, batch_size, score_map
        self._tokenizer: Any = load_pretrained(AutoTokenizer, model, trust_remote_code=trust_remote_code)
        self._model: Any = load_pretrained(
            AutoModelForSequenceClassification, model, device, trust_remote_code, complete=True
        ).eval()
        if self._model.config.num_labels != 1:
            raise InputError(
                f"verifier {model!r}: expected a reward model of one label, got {self._model.config.num_labels}"
            )
        self._padding: int = self._model.config.get_text_config().pad_token_id
        if self._padding is None:
            raise InputError(f"verifier {model!r}: it has no padding token, so its last token cannot be found")
        self._context = int(getattr(self._model.config, "max_position_embeddings", 1 << 30))

    def describe_model(self) -> Mapping[str, object]:
        """What a pool's manifest records, without the map."""
        return {"adapter": "reward_model", "model": self._name}

    @torch.inference_mode()
    def rewards(self, items: Sequence[Answered]) -> tuple[Floats, Ints, dict[int, str]]:
        """Raw rewards [items] (NaN where refused), tokens read [items], and refusals by index.

        Batches hold texts of neighbouring lengths.
        """
        tokens = [read_as_conversation(self._tokenizer, item) for item in items]
        lengths = [len(one) for one in tokens]
        refusals = too_long(lengths, self._context)
        found = np.full(len(items), np.nan)
        for batch in by_length(lengths, self._batch_size, refusals, BATCH_TOKENS):
            # The config's padding token and no other: the model takes the last token that is not it for the end.
            read, mask = padded([tokens[index] for index in batch], self._padding, self._model.device)
            logits = self._model(input_ids=read, attention_mask=mask).logits
            found[batch] = logits[:, 0].double().cpu().numpy()
        return found, np.array(lengths, np.int64), refusals


def read_as_conversation(tokenizer: Any, item: Answered) -> list[int]:
    """Tokens of a question and its sample: by the chat template where there is one, else one text after the other.

    Args:
        tokenizer: The model's.
        item: Question and sample.
    """
    if not tokenizer.chat_template:
        return list(tokenizer(item.question.text + item.text)["input_ids"])
    messages = [{"role": "user", "content": item.question.text}, {"role": "assistant", "content": item.text}]
    # Templates write the special tokens themselves; adding them again would change the reward.
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
