"""Batches of rows of neighbouring lengths, resumable in mid-epoch.

Little of a batch of like lengths is padding. Lengths are jittered before they are sorted: neighbours stay alike, and
every epoch has other batches, in another order. The order depends on seed and epoch alone, and a position in it can be
written down: a run that was stopped in mid-epoch goes on with the batches it would have had.

On several devices every step is one batch cut into parts, so that all devices have questions of like lengths and none
waits for another. Every device has the same number of batches and of questions in each.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from optscale_predictor.errors import InputError

_JITTER = 0.1  # a length is taken for up to so much less when it is sorted


class BucketLoader(DataLoader[Any]):
    """A loader of whole batches whose position in the epoch goes into checkpoints (Lightning calls the two methods).

    Args:
        rows: Gives out the batch of a list of rows.
        buckets: Say which rows are in each.
    """

    def __init__(self, rows: Dataset[Any], buckets: "LengthBuckets") -> None:
        # Tokens are in memory and a batch is quickly put together: worker processes would cost more than they save.
        super().__init__(rows, sampler=buckets, batch_size=None)
        self.buckets = buckets

    def state_dict(self) -> dict[str, Any]:
        """The position in the epoch."""
        return self.buckets.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a position."""
        self.buckets.load_state_dict(state)


class LengthBuckets(Sampler[list[int]]):
    """Rows of batches, one device's part of them.

    Args:
        lengths: Each row's length in tokens, >= 1.
        batch_size: Rows in a device's batch, >= 1.
        seed: Order of rows and batches, another one every epoch; None keeps rows in order of length.
        tokens_per_batch: In place of ``batch_size``: tokens in a device's batch at most, padding included. A row that
            is longer is a batch of its own.
        rank: Which device this is, in [0, num_devices).
        num_devices: Devices that share the rows, >= 1. The last rows of a batch are repeated where they cannot be
            shared out evenly.

    Raises:
        InputError: A size is out of range.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int | None = None,
        tokens_per_batch: int | None = None,
        rank: int = 0,
        num_devices: int = 1,
    ) -> None:
        require_sizes(batch_size, tokens_per_batch)
        self._lengths = np.asarray(lengths)
        self._seed, self._rank, self._num_devices = seed, rank, num_devices
        self._sizes = self._cut(batch_size, tokens_per_batch)
        self._epoch = self._done = self._start = 0

    def __len__(self) -> int:
        """Batches in an epoch: the same in every one."""
        return len(self._sizes)

    @property
    def rows_a_batch(self) -> float:
        """Rows in a device's batch, on average over an epoch."""
        return float(np.mean([-(-size // self._num_devices) for size in self._sizes])) if self._sizes else 1.0

    @property
    def epoch(self) -> int:
        """The epoch whose batches are given out, >= 0."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch; a position within that epoch is kept."""
        # A resumed run has loaded its position before Lightning calls this with the epoch that it is in.
        if epoch != self._epoch:
            self._epoch, self._done, self._start = epoch, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """The position in the order: ``epoch``, and batches ``done`` in it."""
        return {"epoch": self._epoch, "done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a position."""
        self._epoch, self._done = int(state["epoch"]), int(state["done"])
        self._start = self._done

    def __iter__(self) -> Iterator[list[int]]:
        """One epoch's batches, from the position that was loaded."""
        start, self._start = self._start, 0
        batches = self._batches()
        for number in range(start, len(batches)):
            self._done = number + 1
            yield self._part(batches[number])

    def _cut(self, batch_size: int, budget: int | None) -> list[int]:
        """Sizes of the batches of all devices together, shortest rows first; the same in every epoch."""
        ordered = np.sort(self._lengths)
        if budget is None:
            whole = batch_size * self._num_devices
            return [min(whole, len(ordered) - start) for start in range(0, len(ordered), whole)]
        # Of rows sorted by jittered length the longest in a batch may be this much longer.
        longest = ordered if self._seed is None else np.ceil(ordered / (1 - _JITTER))
        sizes, start = [], 0
        while start < len(ordered):
            stop = start + self._num_devices
            while stop < len(ordered):
                more = min(stop + self._num_devices, len(ordered))
                if -(-(more - start) // self._num_devices) * longest[more - 1] > budget:
                    break
                stop = more
            sizes.append(min(stop, len(ordered)) - start)
            start = stop
        return sizes

    def _batches(self) -> list[NDArray[np.intp]]:
        cuts = np.cumsum(self._sizes)[:-1]
        if self._seed is None:
            return np.split(np.argsort(self._lengths, kind="stable"), cuts) if self._sizes else []
        rng = np.random.default_rng([self._seed, self._epoch])
        jittered = self._lengths * rng.uniform(1 - _JITTER, 1, len(self._lengths))
        batches = np.split(np.argsort(jittered), cuts) if self._sizes else []
        return [batches[number] for number in rng.permutation(len(batches))]

    def _part(self, batch: NDArray[np.intp]) -> list[int]:
        even = -(-len(batch) // self._num_devices) * self._num_devices
        return [int(row) for row in np.resize(batch, even)[self._rank :: self._num_devices]]


def require_sizes(batch_size: int, tokens_per_batch: int | None) -> None:
    """Checks a batch's size.

    Args:
        batch_size: Rows, >= 1.
        tokens_per_batch: Tokens, >= 1, or None.

    Raises:
        InputError: One is out of range.
    """
    for name, value in (("batch_size", batch_size), ("tokens_per_batch", tokens_per_batch)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be >= 1, got {value}")
