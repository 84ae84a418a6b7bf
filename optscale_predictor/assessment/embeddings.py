"""Frozen embeddings: what a base model makes of a question before anybody tunes it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BATCH = 64  # questions


def embed(base_model: str, texts: Sequence[str], max_length: int = 256) -> Floats:
    """Mean of the last layer over each text's tokens, scaled to unit length, [texts, hidden size].

    Args:
        base_model: Folder, hub id or a name that ``models.resolve_model`` knows.
        texts: The texts; an empty one has one padding token.
        max_length: Tokens of a text that are read, >= 1.

    Raises:
        InputError: There is no such model.
    """
    import torch

    from optscale_predictor.predictor.backbone import load_base

    model, tokenizer = load_base(base_model)
    model.eval()
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    tokens = [one or [padding] for one in tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]]
    order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
    found = np.empty((len(tokens), model.config.hidden_size))
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            length = len(tokens[batch[-1]])
            rows = torch.tensor([tokens[index] + [padding] * (length - len(tokens[index])) for index in batch])
            mask = torch.tensor([[1] * len(tokens[index]) + [0] * (length - len(tokens[index])) for index in batch])
            hidden = model(input_ids=rows, attention_mask=mask).last_hidden_state.float() * mask[..., None]
            mean = hidden.sum(1) / mask.sum(1, keepdim=True)
            found[batch] = torch.nn.functional.normalize(mean).numpy()
    return found
