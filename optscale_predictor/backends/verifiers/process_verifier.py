"""Verifiers that score steps: what those that run a model here and those that ask a server share.

A process reward model says of every step how likely it is right. Where a step ends and how the steps' scores are put
together changes the score's distribution, so both belong in a pool's manifest. What the model is, and so how it reads
steps, its config tells, before anything large is loaded.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor.backends.model_loading import read_config
from optscale_predictor.backends.verifiers.length_batches import too_long
from optscale_predictor.backends.verifiers.published_layouts import LAYOUTS, MARKER, layout_class
from optscale_predictor.backends.verifiers.step_layout import BLANK_LINE, StepRow
from optscale_predictor.backends.verifiers.verifier import Answered, Scores, Verifier, require_scores
from optscale_predictor.errors import InputError

AGGREGATES: Mapping[str, Callable[[Floats], float]] = {
    "mean": lambda scores: float(scores.mean()),
    "min": lambda scores: float(scores.min()),
    "product": lambda scores: float(scores.prod()),
    "last": lambda scores: float(scores[-1]),
}


@dataclass(frozen=True)
class StepSettings:
    """How a process reward model is read.

    Attributes:
        layout: A name of ``LAYOUTS``; ``auto`` asks the model's config.
        aggregate: ``mean``, ``min``, ``product`` or ``last``.
        separator: The text between two steps; ``None`` is the layout's own. Two line breaks stand for blank lines,
            however many and whatever blanks are in them.
    """

    layout: str = "auto"
    aggregate: str = "mean"
    separator: str | None = None

    def __post_init__(self) -> None:
        """Checks what can be checked without a model."""
        if self.aggregate not in AGGREGATES:
            raise InputError(f"aggregate must be one of {', '.join(AGGREGATES)}, got {self.aggregate!r}")
        if self.separator == "":
            raise InputError("separator must not be empty")


def split_steps(text: str, separator: str) -> list[str]:
    """The steps of a sample's text, without blanks around them; none of them is empty, and blank text has none.

    Args:
        text: The sample's.
        separator: What stands between two steps; two line breaks stand for blank lines.
    """
    parts = re.split(r"\n\s*\n", text) if separator == BLANK_LINE else text.split(separator)
    return [step for part in parts if (step := part.strip())]


def whole_steps(text: str, separator: str) -> str:
    """A sample's text up to the last separator; all of it, where no step is whole yet.

    Args:
        text: The sample's, so far.
        separator: What stands between two steps; two line breaks stand for blank lines.
    """
    ends = list(re.finditer(r"\n\s*\n" if separator == BLANK_LINE else re.escape(separator), text))
    whole = text[: ends[-1].start()] if ends else ""
    return whole if whole.strip() else text


class RowRead(NamedTuple):
    """What a model made of a row.

    Attributes:
        outputs: Raw numbers [steps, labels] at the row's positions; or why there are none.
        tokens: Tokens read and written for it.
    """

    outputs: Floats | str
    tokens: int


class ProcessVerifier(Verifier):
    """Scores a sample by its steps.

    Args:
        tokenizer: The model's tokenizer.
        model: The model's name.
        settings: Layout (not ``auto``), aggregate and separator.
    """

    scores_prefixes = True
    _context: int  # most tokens that the model reads; what loads it knows

    def __init__(self, tokenizer: Any, model: str, settings: StepSettings) -> None:
        self._layout = layout_class(settings.layout)(tokenizer, model)
        self._aggregate, self._separator = settings.aggregate, settings.separator or self._layout.separator
        self._name = model

    @abstractmethod
    def read_rows(self, rows: Mapping[int, StepRow]) -> Iterator[dict[int, RowRead]]:
        """What the model makes of every row, by the row's index, in parts as they come."""

    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples, in their order; where there is none, the reason.

        A sample without steps, or longer than the model's context, is refused.
        """
        return Scores.joined(self.stream(items), len(items))

    def score_prefixes(self, items: Sequence[Answered]) -> Scores:
        """As :meth:`score`, by the steps that are whole: one that is still being written says little of itself."""
        return self.score([replace(item, written=whole_steps(item.text, self._separator)) for item in items])

    def stream(self, items: Sequence[Answered]) -> Iterator[tuple[Sequence[int], Scores]]:
        """The scores in parts as they come, each with the indices of its items."""
        rows, refusals = self._rows(items)
        if refusals:
            yield list(refusals), _scores([RowRead(reason, 0) for reason in refusals.values()], [])
        for part in self.read_rows(rows):
            yield list(part), _scores(list(part.values()), [self._value(rows[index], part[index]) for index in part])

    def step_scores(self, item: Answered) -> Float[Floats, "steps"]:
        """The scores of one sample's steps, in their order, each in [0, 1].

        Raises:
            InputError: The sample is refused.
        """
        rows, refusals = self._rows([item])
        read = RowRead(refusals[0], 0) if refusals else next(iter(self.read_rows(rows)))[0]
        if isinstance(read.outputs, str):
            require_scores(_scores([read], []), [item])
        return self._steps(rows[0], read)

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets."""
        return {
            "adapter": "process_reward_model",
            "model": self._name,
            "layout": self._layout.name,
            "aggregate": self._aggregate,
            "separator": self._separator,
        }

    def _rows(self, items: Sequence[Answered]) -> tuple[dict[int, StepRow], dict[int, str]]:
        read = [self._layout.read(item.question.text, split_steps(item.text, self._separator)) for item in items]
        refusals = {index: row for index, row in enumerate(read) if isinstance(row, str)}
        rows = {index: row for index, row in enumerate(read) if isinstance(row, StepRow)}
        for index, reason in too_long([len(row.tokens) for row in rows.values()], self._context).items():
            refusals[list(rows)[index]] = reason
        return {index: row for index, row in rows.items() if index not in refusals}, refusals

    def _value(self, row: StepRow, read: RowRead) -> float:
        return np.nan if isinstance(read.outputs, str) else AGGREGATES[self._aggregate](self._steps(row, read))

    def _steps(self, row: StepRow, read: RowRead) -> Floats:
        outputs = np.asarray(read.outputs, np.float64)
        if outputs.shape != (len(row.positions), self._layout.labels):
            raise InputError(
                f"verifier {self._name!r}: outputs of shape {outputs.shape} for {len(row.positions)} steps of "
                f"{self._layout.labels} numbers each"
            )
        return self._layout.step_scores(outputs)


_HEADS = {"ForProcessRewardModel": "qwen", "ForPrmModel": "skywork"}


def is_reward_model(model: str) -> bool:
    """Whether a model scores whole samples: what is named so, and what says nothing of what it is.

    Raises:
        InputError: There is no such model.
    """
    architecture = _architecture(read_config(model))
    return not architecture or architecture.endswith("ForSequenceClassification")


def detect_layout(model: str, settings: StepSettings, tokenizer: Any) -> StepSettings:
    """These settings with ``auto`` replaced by the model's layout.

    Args:
        model: Folder, hub id, ``embedded:NAME`` or ``package:NAME``.
        settings: As they were asked for.
        tokenizer: The model's.

    Raises:
        InputError: The model's config does not tell its layout.
    """
    if settings.layout != "auto":
        return settings
    config = read_config(model)
    architecture = _architecture(config)
    for ending, layout in _HEADS.items():
        if architecture.endswith(ending):
            return replace(settings, layout=layout)
    marked = tokenizer.convert_tokens_to_ids(MARKER) not in (None, tokenizer.unk_token_id)
    if architecture.endswith("ForTokenClassification") and _labels(config) == 2 and marked:
        return replace(settings, layout="qwen")
    kind = architecture or "a model of no stated architecture"
    raise InputError(
        f"verifier {model!r}: {kind} does not tell how it reads steps; name its layout: one of {', '.join(LAYOUTS)}"
    )


def _scores(read: Sequence[RowRead], values: Sequence[float]) -> Scores:
    """Scores of rows; without values where all were refused."""
    refusals = {index: row.outputs for index, row in enumerate(read) if isinstance(row.outputs, str)}
    return Scores.of(values or [np.nan] * len(read), [row.tokens for row in read], refusals)


def _architecture(config: Mapping[str, Any]) -> str:
    return str((config.get("architectures") or [""])[0])


def _labels(config: Mapping[str, Any]) -> int:
    return len(config["id2label"]) if config.get("id2label") else int(config.get("num_labels", 2))
