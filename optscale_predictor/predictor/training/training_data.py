"""The questions that a run learns from and is measured on, as the lightning module and the data module share them.

Batches by length need tokens, and tokens need the predictor's tokenizer; the predictor needs to know which sources and
questions there are before it can be sized. So neither Lightning object can be made from the other. Both are handed this
one: the data module reads the files into it, the lightning module tokenises what was read, and the data module's
batches are cut from the result.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.heads.question_features import label_codes
from optscale_predictor.predictor.losses import Observed
from optscale_predictor.predictor.model.config import ScoreSource
from optscale_predictor.predictor.model.prior_network import PriorNetwork
from optscale_predictor.predictor.provenance import source_of_targets
from optscale_predictor.predictor.training.training_targets import (
    DEFAULT_SOURCE,
    DataSplit,
    Target,
    data_summary,
    labels_of,
    read_targets,
)
from optscale_predictor.targets.splitting import TRAIN, VALIDATION

ASSUMED_SAMPLES = 64.0

Batch = dict[str, Tensor]
"""``tokens`` and ``mask`` [questions, length]; ``source`` and ``rows`` [questions]; ``labels`` [questions, labels].
With frozen layers cached also ``states`` [questions, length, width] and ``pooled`` [questions, widths]."""


class TrainingData:
    """Targets of one file, or of several with names, and their questions once a predictor has tokenised them.

    Args:
        files: A file, or name of each source of scores and its file.
        split: How questions are split where files name no split.
        assumed_samples: Scores behind a question's target where the file does not say, >= 1.

    Attributes:
        targets: By side (``train``, ``validation``), what :meth:`read` found.
        sources: Sources of scores, with what the files say of them.
        summary: What a checkpoint says of its data.
        questions: By side, what :meth:`tokenize` made of the targets.

    Raises:
        InputError: ``assumed_samples`` is out of range.
    """

    def __init__(self, files: str | dict[str, str], split: DataSplit, assumed_samples: float = ASSUMED_SAMPLES) -> None:
        if not assumed_samples >= 1:
            raise InputError(f"assumed_samples must be >= 1, got {assumed_samples}")
        self.files, self.split, self.assumed_samples = files, split, assumed_samples
        self.targets: dict[str, list[Target]] = {}
        self.sources: list[ScoreSource] = []
        self.summary: dict[str, Any] = {}
        self.questions: dict[str, Questions] = {}

    @property
    def name(self) -> str:
        """What errors and notes call the files."""
        return self.files if isinstance(self.files, str) else ", ".join(self.files.values())

    def read(self) -> None:
        """Reads the files.

        Raises:
            InputError: A file cannot be read or is no file of targets, or a side has fewer than two questions.
        """
        found = read_targets(self.files, self.split)
        targets = {side: [target for target in found if target.split == side] for side in (TRAIN, VALIDATION)}
        if any(len(side) < 2 for side in targets.values()):
            raise InputError(f"{self.name}: too few questions: {_counts(targets)}")
        self.targets = targets
        self.sources = self._records(dict.fromkeys(target.source for target in found))
        self.summary = data_summary(found, self.split, self.assumed_samples)

    def describe(self) -> list[str]:
        """What was read, in lines for the user."""
        others = {side: self.summary["questions"][side] for side in ("test", "left_out")}
        kept = "".join(f", {number} {side.replace('_', ' ')}" for side, number in others.items() if number)
        lines = [f"{self.name}: {_counts(self.targets)}{kept} (fingerprint {self.summary['fingerprint'][:8]})"]
        if "assumed_samples" in self.summary:
            lines.append(f"targets do not say how many samples are behind them; {self.assumed_samples:g} are assumed")
        return lines

    def tokenize(self, predictor: PriorNetwork, sources: Sequence[str], labels: Sequence[str] = ()) -> None:
        """Makes the questions of both sides.

        Args:
            predictor: Whose tokenizer reads them.
            sources: Names of the sources of scores, in the predictor's order.
            labels: Names of the labels that the predictor is told.
        """
        self.questions = {
            side: Questions(predictor, targets, sources, self.assumed_samples, labels)
            for side, targets in self.targets.items()
        }

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


class KeptStates(Protocol):
    """What frozen layers make of the questions, where that is kept."""

    def take(self, rows: Sequence[int], length: int) -> dict[str, Tensor]:
        """What a batch holds of it.

        Args:
            rows: Which questions.
            length: Of the longest of them, in tokens.
        """


class Questions(Dataset[Batch]):
    """Tokenised questions of one side, given out in whole batches.

    Args:
        predictor: Whose tokenizer reads them.
        targets: The questions' targets.
        sources: Names of the sources of scores; a question's source is its index among them.
        assumed_samples: Scores behind a target that does not say, >= 1.
        labels: Names of the labels that the predictor is told.
    """

    def __init__(
        self,
        predictor: PriorNetwork,
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
        self.frozen: KeptStates | None = None

    def __len__(self) -> int:
        """Number of questions."""
        return len(self.tokens)

    def __getitem__(self, rows: list[int]) -> Batch:
        """The batch of these rows."""
        tokens, mask = self._collate([self.tokens[row] for row in rows])
        batch = {"tokens": tokens, "mask": mask, "source": self.source[rows], "rows": torch.tensor(rows)}
        batch["labels"] = self.labels[rows]
        return batch if self.frozen is None else batch | self.frozen.take(rows, tokens.shape[1])


def observe(targets: Sequence[Target], assumed_samples: float = ASSUMED_SAMPLES) -> Observed:
    """What losses see of the targets: double-precision tensors [questions] on the CPU, NaN where not known.

    Args:
        targets: One a question.
        assumed_samples: Scores behind a target that does not say, >= 1.
    """

    def column(name: str, default: float = torch.nan) -> Tensor:
        found = (getattr(target, name) for target in targets)
        return torch.tensor([default if value is None else value for value in found], dtype=torch.float64)

    logs = [column(name) for name in ("mean_log", "mean_log1m")]
    errors = column("mean_error"), column("std_error")
    return Observed(column("num_samples", assumed_samples), column("mean"), column("std"), *errors, *logs)


def take(observed: Observed, rows: Int[Tensor, " rows"]) -> Observed:
    """Some of the questions' observations.

    Args:
        observed: Of all questions.
        rows: Which of them.
    """
    rows = rows.cpu()
    return Observed(*(None if part is None else part[rows] for part in observed))  # type: ignore[arg-type]


def _counts(targets: dict[str, list[Target]]) -> str:
    return f"{len(targets[TRAIN])} to train on, {len(targets[VALIDATION])} to validate on"
