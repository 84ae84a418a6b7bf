"""Questions with the moments of their scores: what a predictor is assessed on, and what baselines learn from.

Which questions are held out follows from the file of targets, or from the rule that the checkpoint was made with; what
a checkpoint says of its own making is held against the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError
from optscale_predictor.stats.estimators import ScoreStatistics

if TYPE_CHECKING:
    from optscale_predictor.predictor.model.config import PredictorConfig
    from optscale_predictor.predictor.training.training_targets import Target

Labels = Mapping[str, str]

LEAST = 10  # questions on each side, below which no figure means anything


@dataclass(frozen=True)
class ScoredQuestions:
    """Questions and what was observed of their scores.

    Attributes:
        texts: The questions.
        statistics: Count, mean and variance of each question's scores, arrays [questions].
        labels: What is known of each question besides its text, such as its subject, by name.
        counted: Whether every question's number of samples is known; where not, one is assumed.
    """

    texts: tuple[str, ...]
    statistics: ScoreStatistics
    labels: tuple[Labels, ...]
    counted: bool = True

    def __len__(self) -> int:
        """Number of questions."""
        return len(self.texts)

    @classmethod
    def from_targets(cls, targets: "Sequence[Target]", assumed_samples: float = 64.0) -> "ScoredQuestions":
        """The questions of targets, in their order.

        Args:
            targets: The targets.
            assumed_samples: Scores behind the moments of those that do not say, >= 1.
        """
        numbers = [target.num_samples for target in targets]
        count = [assumed_samples if number is None else number for number in numbers]
        mean, std = (np.array([getattr(one, name) for one in targets], np.float64) for name in ("mean", "std"))
        from optscale_predictor.predictor.training.training_targets import labels_of

        labels = tuple(labels_of(one) for one in targets)
        statistics = ScoreStatistics(np.array(count), mean, std**2)
        return cls(tuple(one.question for one in targets), statistics, labels, None not in numbers)

    @property
    def moments(self) -> Float[Floats, "questions 2"]:
        """Mean and standard deviation of each question's scores."""
        return np.stack([self.statistics.mean, np.sqrt(self.statistics.variance)], -1)

    def take(self, questions: "Sequence[int] | NDArray[np.intp]") -> "ScoredQuestions":
        """Some of the questions, in the order given."""
        chosen = np.asarray(questions, np.intp)
        parts = (self.statistics.count, self.statistics.mean, self.statistics.variance)
        return replace(
            self,
            texts=tuple(self.texts[index] for index in chosen),
            statistics=ScoreStatistics(*(part[chosen] for part in parts)),
            labels=tuple(self.labels[index] for index in chosen),
        )


def two_sides(
    targets: "Sequence[Target]", split: str, name: str, assumed_samples: float = 64.0
) -> tuple[ScoredQuestions, ScoredQuestions, int]:
    """Training questions, held-out questions, and how many of the latter were dropped as training questions too.

    A held-out question whose text also stands among the training questions is no held-out question, whatever its row
    says.

    Args:
        targets: All of them, each with its split.
        split: The split that is held out; not ``train``.
        name: What errors call the targets.
        assumed_samples: Scores behind the moments of targets that do not say, >= 1.

    Raises:
        InputError: The split is the one that predictors are trained on, or a side has too few questions.
    """
    if split == "train":
        raise InputError("split must name held-out questions, got 'train', which predictors are trained on")
    train = [one for one in targets if one.split == "train"]
    seen = {_plain(one.question) for one in train}
    named = [one for one in targets if one.split == split]
    held_out = [one for one in named if _plain(one.question) not in seen]
    for side, questions in (("train", train), (split, held_out)):
        if len(questions) < LEAST:
            raise InputError(f"{name}: {len(questions)} questions of split {side!r}; an assessment needs {LEAST}")
    learnt, asked = (ScoredQuestions.from_targets(side, assumed_samples) for side in (train, held_out))
    return learnt, asked, len(named) - len(held_out)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def read_sides(path: str | Path, config: "PredictorConfig") -> "list[Target]":
    """The targets with their sides: as the file says or, where it does not, by the rule the checkpoint was made with.

    Args:
        path: The file of targets.
        config: The checkpoint's.

    Raises:
        InputError: The file cannot be read, or the checkpoint's rule.
    """
    from optscale_predictor.predictor.training.training_targets import DataSplit, read_targets

    rule = config.data.get("split", {})
    try:
        split = DataSplit(**rule)
    except (TypeError, InputError) as error:
        raise InputError(f"the checkpoint's split rule cannot be used: {error}".splitlines()[0]) from None
    return read_targets(path, split)


def of_source(targets: "Sequence[Target]", source: str | None, path: str | Path) -> "list[Target]":
    """The targets of one source of scores; all, where the file has one source alone.

    Args:
        targets: All that the file has.
        source: Name of the source; None where there is one alone.
        path: What errors call the targets.

    Raises:
        InputError: The file has several, and none of them is named.
    """
    names = sorted({target.source for target in targets})
    if len(names) == 1:
        return list(targets)
    if source not in names:
        raise InputError(f"{path}: source must be one of {', '.join(names)}, got {source!r}")
    return [target for target in targets if target.source == source]


def provenance_notes(targets: "Sequence[Target]", split: str, config: "PredictorConfig") -> list[str]:
    """What a reader must know of how far the predictor is from the questions that it is assessed on.

    Args:
        targets: All that the file has.
        split: The split that is held out.
        config: The predictor's.
    """
    from optscale_predictor.predictor.training.training_targets import fingerprint
    from optscale_predictor.targets.splitting import VALIDATION

    said, found, notes = config.data.get("fingerprint"), fingerprint(targets), []
    if not said:
        notes.append("The checkpoint does not say what it was trained on; that it was not on these rests on the file.")
    elif said != found:
        notes.append(
            f"The checkpoint was trained with other targets (fingerprint {str(said)[:40]}, this file has {found}): "
            "that it was not trained on these questions rests on the file's split."
        )
    if split == VALIDATION and config.data:
        notes.append(
            "Training stopped, and its best checkpoint was chosen, by these questions; `test` ones saw neither."
        )
    return notes
