"""Verifiers that score steps: what those that run the model here and those that ask a server share."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.backends.verifiers._batches import too_long
from optscale_predictor.backends.verifiers._verifier import Answered, Scores, Verifier, require_scores
from optscale_predictor.backends.verifiers.layouts import StepRow, layout_class
from optscale_predictor.backends.verifiers.steps import AGGREGATES, StepSettings, split_steps
from optscale_predictor.errors import InputError

Floats = NDArray[np.float64]


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

    _context: int  # most tokens that the model reads; what loads it knows

    def __init__(self, tokenizer: Any, model: str, settings: StepSettings) -> None:
        self._layout = layout_class(settings.layout)(tokenizer, model)
        self._aggregate, self._separator = settings.aggregate, settings.separator or self._layout.separator
        self._name = model

    @abstractmethod
    def read_rows(self, rows: Mapping[int, StepRow]) -> Iterator[dict[int, RowRead]]:
        """What the model makes of every row, by the row's index, in parts as they come."""

    def score(self, items: Sequence[Answered]) -> Scores:
        """See :class:`Verifier`. A sample without steps, or longer than the model's context, is refused."""
        return Scores.joined(self.stream(items), len(items))

    def stream(self, items: Sequence[Answered]) -> Iterator[tuple[Sequence[int], Scores]]:
        """See :class:`Verifier`."""
        rows, refusals = self._rows(items)
        if refusals:
            yield list(refusals), _scores([RowRead(reason, 0) for reason in refusals.values()], [])
        for part in self.read_rows(rows):
            yield list(part), _scores(list(part.values()), [self._value(rows[index], part[index]) for index in part])

    def step_scores(self, item: Answered) -> Floats:
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
        """See :class:`Verifier`."""
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
        for place, reason in too_long([len(row.tokens) for row in rows.values()], self._context).items():
            refusals[list(rows)[place]] = reason
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


def _scores(read: Sequence[RowRead], values: Sequence[float]) -> Scores:
    """Scores of rows; without values where all were refused."""
    refusals = {index: row.outputs for index, row in enumerate(read) if isinstance(row.outputs, str)}
    return Scores.of(values or [np.nan] * len(read), [row.tokens for row in read], refusals)
