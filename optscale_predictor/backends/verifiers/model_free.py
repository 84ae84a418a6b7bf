"""Verifiers that run no model: a user's own function, and right or wrong against the gold answer."""

import inspect
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from numbers import Real
from typing import Any

import numpy as np

from optscale_predictor.backends.verifiers.verifier import Answered, FailuresInARow, Scores, Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.questions.answers import are_correct, extract_answer

_FAILURES = 256  # in a row, after which a function that has worked is taken to be broken
_FAILED_CALLS = 4  # likewise, of one that takes lists


class GoldVerifier(Verifier):
    """1 where a sample's final answer equals the gold answer, else 0; a sample without an answer is wrong.

    The comparison is the one that labels a pool's samples (math-verify's). This is for labels, and for training on the
    pass rate: it knows the answer, so there is nothing to verify with where the gold answer is not known. A sample that
    was cut off has an answer only where it is marked. A question without a gold answer refuses its samples.
    """

    reads_tokens = False

    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples, in their order; where there is none, the reason."""
        known = {index: item.question.gold for index, item in enumerate(items) if item.question.gold is not None}
        refusals = {index: "its question has no gold answer" for index in range(len(items)) if index not in known}
        answers = (extract_answer(items[index].written, items[index].ended) for index in known)
        values = np.full(len(items), np.nan)
        values[list(known)] = are_correct(list(zip(answers, known.values(), strict=True)))
        return Scores.of(values, refusals=refusals)

    def blank_score(self, item: Answered) -> None:
        """None: without a gold answer even a blank sample is refused."""

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets."""
        return {"adapter": "math_verify"}


class FunctionVerifier(Verifier):
    """A user's own function that gives a question and a sample's text a score in [0, 1].

    It takes ``(question: str, text: str)``, or ``(question, text, gold)`` where it needs the gold answer (None where
    that is not known). One that takes ``questions, texts`` (or ``questions, texts, golds``), by these names, is handed
    lists and returns as many scores. A sample at which it fails, or for which it returns no number, is refused with the
    reason; one that has failed at everything since the start ends the run. To refuse a sample on purpose, return NaN.
    One with an attribute ``scores_prefixes = True`` may be asked about a part of a sample, by early rejection.

    Args:
        name: ``module:function``, importable from where the command runs.
        batch_size: Samples in one batch, >= 1.

    Raises:
        InputError: There is no such module or function, or it takes other arguments.
    """

    reads_tokens = False

    def __init__(self, name: str, batch_size: int = 256) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        self._name, self._batch_size = name, batch_size
        self._function = _find(name)
        self._takes_lists, self._takes_gold = _parameters(self._function, name)
        self.scores_prefixes = bool(getattr(self._function, "scores_prefixes", False))
        # A call with lists that fails does not say at which sample: several such calls are needed to call it broken.
        later = max(_FAILURES, _FAILED_CALLS * batch_size) if self._takes_lists else _FAILURES
        self._failures = FailuresInARow(f"verifier 'python:{name}'", most_later=later)

    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples, in their order; where there is none, the reason.

        Raises:
            InputError: The function has failed at everything since the start, or at very many in a row.
        """
        return Scores.joined(self.stream(items), len(items))

    def stream(self, items: Sequence[Answered]) -> Iterator[tuple[Sequence[int], Scores]]:
        """The scores in parts as they come, each with the indices of its items. A part is a batch."""
        for start in range(0, len(items), self._batch_size):
            batch = items[start : start + self._batch_size]
            given: list[float | str] = []
            try:
                given += self._of_lists(batch) if self._takes_lists else []
                for item in () if self._takes_lists else batch:
                    given.append(self._of_one(item))
                self._failures.stop_if_all_failed()
            except (InputError, KeyboardInterrupt, MemoryError) as error:
                # The run stops here; what came before the failures is kept, and they can be scored again.
                while isinstance(error, InputError) and given and isinstance(given[-1], str):
                    given.pop()
                if given:
                    yield range(start, start + len(given)), _scores_of(given)
                raise
            yield range(start, start + len(batch)), _scores_of(given)

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets."""
        return {"adapter": "function", "function": self._name}

    def blank_score(self, item: Answered) -> float | None:
        """The score, in [0, 1], of a sample whose text is blank; None where the function is to be asked anyway.

        One that takes the gold answer decides for itself where there is none.
        """
        return None if self._takes_gold and item.question.gold is None else 0.0

    def _of_one(self, item: Answered) -> float | str:
        """A score as the function gives it, or why there is none."""
        gold = (item.question.gold,) if self._takes_gold else ()
        try:
            return self._number(item, self._function(item.question.text, item.text, *gold))
        except MemoryError:  # the machine's affair, and no sample's: the run ends
            raise
        except Exception as error:  # whatever a user's function stumbles on is this sample's affair
            return self._failed(item, _one_line(error))

    def _of_lists(self, batch: Sequence[Answered]) -> list[float | str]:
        gold = ([item.question.gold for item in batch],) if self._takes_gold else ()
        try:
            returned = self._function([item.question.text for item in batch], [item.text for item in batch], *gold)
            scores = list(returned)
        except MemoryError:
            raise
        except Exception as error:  # which of the samples it stumbled on, it does not say
            return [self._failed(item, _one_line(error)) for item in batch]
        if len(scores) != len(batch):
            raise InputError(f"verifier 'python:{self._name}' returned {len(scores)} scores for {len(batch)} samples")
        return [self._number(item, score) for item, score in zip(batch, scores, strict=True)]

    def _number(self, item: Answered, returned: Any) -> float | str:
        plain = returned.item() if getattr(returned, "shape", None) == () else returned  # NumPy's and torch's scalars
        if not isinstance(plain, Real | Decimal):
            return self._failed(item, f"it returned {type(returned).__name__}, not a number")
        self._failures.succeeded()
        try:
            return float(plain)
        except OverflowError:  # a whole number of hundreds of digits
            return math.inf

    def _failed(self, item: Answered, reason: str) -> str:
        self._failures.failed(f"question {item.question.id!r}", reason)
        return reason


def _scores_of(given: Sequence[float | str]) -> Scores:
    """Scores as a function gave them, or the reason why there is none."""
    refusals = {index: one for index, one in enumerate(given) if isinstance(one, str)}
    return Scores.of([math.nan if isinstance(one, str) else one for one in given], refusals=refusals)


def _find(name: str) -> Callable[..., Any]:
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise InputError(f"verifier 'python:{name}': expected python:module:function")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())  # an installed command looks beside itself, not where it was called
    try:
        found = getattr(import_module(module), function)
    except Exception as error:  # a module can fail in any way while it is imported
        raise InputError(f"verifier 'python:{name}': {_one_line(error)}") from error
    if not callable(found):
        raise InputError(f"verifier 'python:{name}': {function} is not a function")
    return found  # type: ignore[no-any-return]


def _parameters(function: Callable[..., Any], name: str) -> tuple[bool, bool]:
    """Whether a function takes lists, and whether it takes the gold answer."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-in functions tell nothing
        return False, False
    positional = [
        one for one in signature.parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    names = [one.name for one in positional]
    takes_gold = len(names) > 2 and (names[2] in ("gold", "golds") or positional[2].default is inspect.Parameter.empty)
    try:
        signature.bind(*[None] * (3 if takes_gold else 2))
    except TypeError as error:
        raise InputError(
            f"verifier 'python:{name}': expected a function of (question, text) or (question, text, gold): {error}"
        ) from error
    return names[:2] == ["questions", "texts"], takes_gold


def _one_line(error: Exception) -> str:
    """An exception's type and message."""
    said = " ".join(str(error).split())
    line = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return line if len(line) <= 200 else f"{line[:197]}..."
