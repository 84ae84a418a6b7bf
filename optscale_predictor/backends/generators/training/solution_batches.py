"""Batches of solutions of like lengths."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from optscale_predictor._support.training_loop.length_buckets import BucketLoader, LengthBuckets
from optscale_predictor.backends.generators.training.solution_tokens import SolutionTokens

Batch = dict[str, Tensor]
"""``tokens`` and ``mask`` [solutions, length]; ``start`` [solutions]."""


class SolutionBatches(Dataset[Batch]):
    """Gives out batches of solutions.

    Args:
        read: The solutions' tokens.
        tokens_per_batch: Tokens in a batch at most, padding included, >= 1.
        padding: The token that pads.
        seed: Of the order; None keeps solutions in order of length.

    Attributes:
        buckets: The order of the batches.
    """

    def __init__(
        self, read: Sequence[SolutionTokens], tokens_per_batch: int, padding: int, seed: int | None = None
    ) -> None:
        self._read, self._padding = read, padding
        self.buckets = LengthBuckets([len(one.tokens) for one in read], 1, seed, tokens_per_batch)

    @property
    def tokens_a_batch(self) -> float:
        """Tokens of solutions in a batch, on average over an epoch."""
        return sum(len(one.tokens) - one.start for one in self._read) / max(len(self.buckets), 1)

    def loader(self) -> BucketLoader:
        """What a trainer takes."""
        return BucketLoader(self, self.buckets)

    def __len__(self) -> int:
        """Number of solutions."""
        return len(self._read)

    def __getitem__(self, rows: list[int]) -> Batch:
        """The batch of these solutions."""
        tokens = [torch.tensor(self._read[row].tokens) for row in rows]
        ones = [torch.ones_like(one) for one in tokens]
        return {
            "tokens": pad_sequence(tokens, batch_first=True, padding_value=self._padding),
            "mask": pad_sequence(ones, batch_first=True),
            "start": torch.tensor([self._read[row].start for row in rows]),
        }
