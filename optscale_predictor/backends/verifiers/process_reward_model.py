"""Process reward models in this process: one score a step, put together into the sample's.

What each kind reads is in :mod:`~optscale_predictor.verifiers.layouts`, how each is loaded in
:mod:`~optscale_predictor.verifiers._heads`. Nothing is truncated, and every output is found by the position that its
step's marker was given, never by its value.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.verifiers._batches import BATCH_TOKENS, by_length, padded
from optscale_predictor.backends.verifiers._heads import load_reader
from optscale_predictor.backends.verifiers._process import ProcessVerifier, RowRead
from optscale_predictor.backends.verifiers.detect import detect_layout
from optscale_predictor.backends.verifiers.layouts import StepRow
from optscale_predictor.backends.verifiers.steps import StepSettings
from optscale_predictor.errors import InputError


class ProcessRewardModel(ProcessVerifier):
    """A transformers model that scores steps.

    Args:
        model: Folder, hub id, ``embedded:NAME`` or ``package:NAME``.
        settings: Layout, aggregate and separator.
        batch_size: Most samples in one batch, >= 1; long ones make smaller batches.
        device: A torch device; ``auto`` takes CUDA where there is one.
        trust_remote_code: Whether to run code that the model's repository brings. The layouts need none; it is the way
            out for an architecture that transformers does not have.

    Raises:
        InputError: There is no such model, its head is missing or of another shape, its tokenizer lacks a token that
            the layout needs, or its layout has to be named.
    """

    def __init__(
        self,
        model: str,
        settings: StepSettings | None = None,
        batch_size: int = 256,
        device: str = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        from transformers import AutoTokenizer

        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        self._batch_size = batch_size
        tokenizer: Any = load_pretrained(AutoTokenizer, model, trust_remote_code=trust_remote_code)
        settings = detect_layout(model, settings or StepSettings(), tokenizer)
        super().__init__(tokenizer, model, settings)
        self._reader = load_reader(model, self._layout, device, trust_remote_code)
        self._context = self._reader.context

    def read_rows(self, rows: Mapping[int, StepRow]) -> Iterator[dict[int, RowRead]]:
        """See :class:`ProcessVerifier`. A part is a batch of rows of neighbouring lengths."""
        order = list(rows)
        lengths = [len(row.tokens) for row in rows.values()]
        for batch in by_length(lengths, self._batch_size, max_tokens=BATCH_TOKENS):
            found = self._read([rows[order[place]] for place in batch])
            yield {order[place]: RowRead(outputs, lengths[place]) for place, outputs in zip(batch, found, strict=True)}

    @torch.inference_mode()
    def _read(self, rows: list[StepRow]) -> list[NDArray[np.float64]]:
        found = self._reader(*padded([row.tokens for row in rows], 0, self._reader.device))
        which = torch.tensor([index for index, row in enumerate(rows) for _ in row.positions])
        where = torch.tensor([position for row in rows for position in row.positions])
        picked = found[which.to(found.device), where.to(found.device)].double().cpu().numpy()
        return np.split(picked, np.cumsum([len(row.positions) for row in rows])[:-1])
