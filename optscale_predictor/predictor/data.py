"""Training data: questions with the moments of their scores, batched by length."""

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from optscale_predictor.errors import InputError
from optscale_predictor.json_lines import parse_object


@dataclass(frozen=True)
class Target:
    """One question's target.

    Attributes:
        question: Its text.
        mean: Mean of its scores, in [0, 1].
        std: Their population standard deviation, in [0, 0.5].
        split: ``train`` or ``validation``.
    """

    question: str
    mean: float
    std: float
    split: str


def read_targets(
    path: str | Path, validation_share: float = 0.1, seed: int = 0, group_numbers: bool = False
) -> list[Target]:
    """Reads targets: Parquet as ``optscale targets`` writes it, or JSON lines (``.jsonl``, ``.jsonl.gz``).

    JSON lines have ``question``, ``mean`` and ``std`` (or ``score_mean`` and ``score_std``). Where rows name no
    ``split`` it is drawn by a hash of the question.

    Args:
        path: The file.
        validation_share: Share of questions held out, in (0, 1), where rows name no split.
        seed: Which ones.
        group_numbers: Whether questions that differ in their numbers alone are kept on one side of the split.

    Raises:
        InputError: The file cannot be read, a column is missing, or moments are impossible; names file and row.
    """
    targets = []
    for number, row in enumerate(_rows(Path(path)), start=1):
        place = f"{path}: row {number}"
        question = row.get("question")
        mean, std = row.get("mean", row.get("score_mean")), row.get("std", row.get("score_std"))
        if not isinstance(question, str) or not isinstance(mean, float | int) or not isinstance(std, float | int):
            raise InputError(f"{place}: needs columns question, mean and std (or score_mean and score_std)")
        if not (0 <= mean <= 1 and 0 <= std <= np.sqrt(mean * (1 - mean)) + 1e-6):
            raise InputError(f"{place}: no scores in [0, 1] have mean {mean} and standard deviation {std}")
        split = row.get("split") or _split(question, validation_share, seed, group_numbers)
        targets.append(Target(question, float(mean), float(std), str(split)))
    if not targets:
        raise InputError(f"{path}: no targets in it")
    return targets


class TargetData(pl.LightningDataModule):
    """Training and validation questions of one targets file.

    Args:
        path: The file; see :func:`read_targets`.
        batch_size: Questions in a batch, >= 1.
        validation_share: Share of questions held out, in (0, 1), where the file names no split.
        seed: Which ones; and the order of batches.
        group_numbers: Whether questions that differ in their numbers alone are kept on one side of the split.
    """

    def __init__(
        self,
        path: str,
        batch_size: int = 32,
        validation_share: float = 0.1,
        seed: int = 0,
        group_numbers: bool = False,
    ) -> None:
        super().__init__()
        self.batch_size, self.seed = batch_size, seed
        self._how = (path, validation_share, seed, group_numbers)
        self.train: list[Target] = []
        self.validation: list[Target] = []

    def setup(self, stage: str | None = None) -> None:
        """Reads the file."""
        if self.train:
            return
        targets = read_targets(*self._how)
        self.train = [target for target in targets if target.split == "train"]
        self.validation = [target for target in targets if target.split == "validation"]
        if not self.train or len(self.validation) < 2:
            raise InputError(
                f"{self._how[0]}: too few questions: {len(self.train)} to train, {len(self.validation)} to validate"
            )

    def train_dataloader(self) -> "DataLoader[Any]":
        """Batches of neighbouring lengths in a random order, another one every epoch."""
        return self._loader(self.train, shuffle=True)

    def val_dataloader(self) -> "DataLoader[Any]":
        """Batches of neighbouring lengths."""
        return self._loader(self.validation, shuffle=False)

    def _loader(self, targets: list[Target], shuffle: bool) -> "DataLoader[Any]":
        model: Any = self.trainer.lightning_module.predictor  # type: ignore[union-attr]
        tokens = model.tokenize([target.question for target in targets])
        rows = _Rows(tokens, targets)
        batches = LengthBuckets([len(one) for one in tokens], self.batch_size, self.seed if shuffle else None)

        def collate(items: list[tuple[list[int], list[float]]]) -> dict[str, torch.Tensor]:
            padded, mask = model.collate([item[0] for item in items])
            return {"tokens": padded, "mask": mask, "moments": torch.tensor([item[1] for item in items])}

        return DataLoader(rows, batch_sampler=batches, collate_fn=collate)


class LengthBuckets(Sampler[list[int]]):
    """Batches of rows of neighbouring lengths, so that little is padding; shuffled anew every epoch where seeded.

    Args:
        lengths: Each row's length.
        batch_size: Rows in a batch, >= 1.
        seed: Order of rows and batches; None keeps them in order of length.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int | None) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        self._lengths, self._batch_size, self._seed, self._epoch = np.asarray(lengths), batch_size, seed, 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self._lengths) // self._batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning, so that a resumed run goes on with the order it would have had."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        """One epoch's batches."""
        if self._seed is None:
            order, rng = np.argsort(self._lengths, kind="stable"), None
        else:
            rng = np.random.default_rng([self._seed, self._epoch])
            # Lengths are jittered before sorting: neighbours stay alike, batches differ between epochs.
            order = np.argsort(self._lengths * rng.uniform(0.9, 1.1, len(self._lengths)))
        batches = [order[start : start + self._batch_size] for start in range(0, len(order), self._batch_size)]
        for index in range(len(batches)) if rng is None else rng.permutation(len(batches)):
            yield batches[index].tolist()


class _Rows(Dataset[tuple[list[int], list[float]]]):
    def __init__(self, tokens: list[list[int]], targets: list[Target]) -> None:
        self._tokens, self._targets = tokens, targets

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, index: int) -> tuple[list[int], list[float]]:
        target = self._targets[index]
        return self._tokens[index], [target.mean, target.std]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            yield from pq.read_table(path, partitioning=None).to_pylist()
            return
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                yield parse_object(line, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: cannot read targets: {reason}") from error


def _split(question: str, share: float, seed: int, group_numbers: bool) -> str:
    key = " ".join(re.sub(r"\d+", "0", question).lower().split()) if group_numbers else question
    digest = blake2b(f"{seed}\0{key}".encode(), digest_size=8).digest()
    return "validation" if int.from_bytes(digest, "big") / 2**64 < share else "train"
