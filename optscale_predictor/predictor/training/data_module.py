"""Training data: targets as Lightning wants them, in batches by length, resumable in mid-epoch."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from optscale_predictor._support.progress import say
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.heads.question_features import label_codes
from optscale_predictor.predictor.losses import Observed
from optscale_predictor.predictor.provenance.score_source import ScoreSource
from optscale_predictor.predictor.provenance.source_records import source_of_targets
from optscale_predictor.predictor.training.length_buckets import LengthBuckets
from optscale_predictor.predictor.training.training_targets import (
    DEFAULT_SOURCE,
    DataSplit,
    Target,
    data_summary,
    labels_of,
    read_targets,
)
from optscale_predictor.targets.splitting import TRAIN, VALIDATION

if TYPE_CHECKING:
    from optscale_predictor.predictor.model import OptScalePredictor
    from optscale_predictor.predictor.training.frozen_layers import FrozenStates

ASSUMED_SAMPLES = 64.0

_SPLIT = DataSplit()

Batch = dict[str, torch.Tensor]
"""``tokens`` and ``mask`` [questions, length]; ``source`` and ``rows`` [questions]; ``labels`` [questions, labels].
With frozen layers cached also ``states`` [questions, length, width] and ``pooled`` [questions, widths]."""


class TargetData(pl.LightningDataModule):
    """Training and validation questions of one file of targets, or of several with names.

    Args:
        path: The file; see :func:`read_targets`.
        paths: In place of ``path``: name of each source of scores, and its file.
        batch_size: Questions in a device's batch, >= 1.
        tokens_per_batch: In place of ``batch_size``: tokens in a device's batch at most, padding included.
        split: How questions are split where files name no split.
        assumed_samples: Scores behind a question's target where the file does not say, >= 1.
        seed: Order of batches.
    """

    def __init__(
        self,
        path: str | None = None,
        paths: dict[str, str] | None = None,
        batch_size: int = 32,
        tokens_per_batch: int | None = None,
        split: DataSplit = _SPLIT,
        assumed_samples: float = ASSUMED_SAMPLES,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if (path is None) == (not paths):
            raise InputError("data needs either a path, or paths with a name each")
        if not assumed_samples >= 1:
            raise InputError(f"assumed_samples must be >= 1, got {assumed_samples}")
        for name, value in (("batch_size", batch_size), ("tokens_per_batch", tokens_per_batch)):
            if value is not None and value < 1:
                raise InputError(f"{name} must be >= 1, got {value}")
        self.files: dict[str, str] | str = paths or str(path)
        self.batch_size, self.tokens_per_batch = batch_size, tokens_per_batch
        self.split, self.assumed_samples, self.seed = split, assumed_samples, seed
        self.train: list[Target] = []
        self.validation: list[Target] = []
        self.sources: list[ScoreSource] = []
        self.summary: dict[str, Any] = {}

    def setup(self, stage: str | None = None) -> None:
        """Reads the files, and says what is in them."""
        if self.train:
            return
        targets = read_targets(self.files, self.split)
        self.train, self.validation = (
            [target for target in targets if target.split == side] for side in (TRAIN, VALIDATION)
        )
        counts = f"{len(self.train)} to train on, {len(self.validation)} to validate on"
        if len(self.train) < 2 or len(self.validation) < 2:
            raise InputError(f"{self._name}: too few questions: {counts}")
        self.sources = self._records(dict.fromkeys(target.source for target in targets))
        self.summary = data_summary(targets, self.split, self.assumed_samples)
        if self.trainer is None or self.trainer.is_global_zero:
            self._describe(counts)

    def train_dataloader(self) -> "BucketLoader":
        """Batches in a random order, another one every epoch."""
        return self._loader(self._module.questions[TRAIN], self.seed)

    def val_dataloader(self) -> "BucketLoader":
        """Batches in order of length."""
        return self._loader(self._module.questions[VALIDATION], None)

    def _records(self, names: Iterable[str]) -> list[ScoreSource]:
        """What is known of each source: what Parquet files of ``optscale targets`` say of the pool behind them."""
        files = self.files if isinstance(self.files, dict) else {DEFAULT_SOURCE: self.files}
        found = []
        for name in names:
            try:
                found.append(source_of_targets(files[name], name) if name in files else ScoreSource(name))
            except InputError:  # Parquet from elsewhere: it was read well, and says nothing of its making
                found.append(ScoreSource(name))
        return found

    @property
    def _module(self) -> Any:
        if self.trainer is None:
            raise InputError("targets are batched by a trainer; attach the data to one")
        return self.trainer.lightning_module

    @property
    def _name(self) -> str:
        return self.files if isinstance(self.files, str) else ", ".join(self.files.values())

    def _describe(self, counts: str) -> None:
        others = {side: self.summary["questions"][side] for side in ("test", "left_out")}
        kept = "".join(f", {number} {side.replace('_', ' ')}" for side, number in others.items() if number)
        say(f"{self._name}: {counts}{kept} (fingerprint {self.summary['fingerprint'][:8]})")
        if "assumed_samples" in self.summary:
            say(f"targets do not say how many samples are behind them; {self.assumed_samples:g} are assumed")

    def _loader(self, questions: "Questions", seed: int | None) -> "BucketLoader":
        assert self.trainer is not None
        lengths = [len(tokens) for tokens in questions.tokens]
        devices = self.trainer.global_rank, self.trainer.world_size
        return BucketLoader(questions, LengthBuckets(lengths, self.batch_size, seed, self.tokens_per_batch, *devices))


class Questions(Dataset[Batch]):
    """Tokenised questions of one side, given out in whole batches.

    Args:
        predictor: Whose tokenizer reads them.
        targets: The questions' targets.
        sources: Names of the sources of scores; a question's source is its place among them.
        assumed_samples: Scores behind a target that does not say.
        labels: Names of the labels that the predictor is told.
    """

    def __init__(
        self,
        predictor: "OptScalePredictor",
        targets: Sequence[Target],
        sources: Sequence[str],
        assumed_samples: float = ASSUMED_SAMPLES,
        labels: Sequence[str] = (),
    ) -> None:
        self._collate = predictor.collate
        self.texts = [target.question for target in targets]
        self.tokens = predictor.tokenize(self.texts)
        self.source = torch.tensor([list(sources).index(target.source) for target in targets])
        self.labels = label_codes(labels, [labels_of(target) for target in targets])
        self.observed = observe(targets, assumed_samples)
        self.frozen: FrozenStates | None = None

    def __len__(self) -> int:
        """Number of questions."""
        return len(self.tokens)

    def __getitem__(self, rows: list[int]) -> Batch:
        """The batch of these rows."""
        tokens, mask = self._collate([self.tokens[row] for row in rows])
        batch = {"tokens": tokens, "mask": mask, "source": self.source[rows], "rows": torch.tensor(rows)}
        batch["labels"] = self.labels[rows]
        return batch if self.frozen is None else batch | self.frozen.take(rows, tokens.shape[1])


class BucketLoader(DataLoader[Batch]):
    """A loader of whole batches whose place in the epoch goes into checkpoints (Lightning calls the two methods)."""

    def __init__(self, questions: Questions, buckets: LengthBuckets) -> None:
        # Tokens are in memory and a batch is quickly put together: worker processes would cost more than they save.
        super().__init__(questions, sampler=buckets, batch_size=None)
        self.buckets = buckets

    def state_dict(self) -> dict[str, Any]:
        """The place in the epoch."""
        return self.buckets.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a place."""
        self.buckets.load_state_dict(state)


def observe(targets: Sequence[Target], assumed_samples: float = ASSUMED_SAMPLES) -> Observed:
    """What losses see of the targets: double-precision tensors [questions] on the CPU, NaN where not known."""

    def column(name: str, default: float = torch.nan) -> torch.Tensor:
        found = (getattr(target, name) for target in targets)
        return torch.tensor([default if value is None else value for value in found], dtype=torch.float64)

    logs = [column(name) for name in ("mean_log", "mean_log1m")]
    errors = column("mean_error"), column("std_error")
    return Observed(column("num_samples", assumed_samples), column("mean"), column("std"), *errors, *logs)


def take(observed: Observed, rows: torch.Tensor) -> Observed:
    """Some of the questions' observations."""
    rows = rows.cpu()
    return Observed(*(None if part is None else part[rows] for part in observed))  # type: ignore[arg-type]
