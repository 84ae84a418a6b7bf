"""A user's own verifier: any function that gives a question and a sample's text a score in [0, 1].

Named ``module:function``; the function takes ``(question: str, text: str)``, or ``(question, text, gold)`` where it has
three parameters.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from optscale_predictor.errors import InputError
from optscale_predictor.verifiers._verifier import Answered, Scores, Verifier


class FunctionVerifier(Verifier):
    """Calls a function once a sample.

    Args:
        name: ``module:function``, importable.

    Raises:
        InputError: There is no such module or function.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._function = _find(name)
        self._takes_gold = len(inspect.signature(self._function).parameters) >= 3

    def score(self, items: Sequence[Answered]) -> Scores:
        """See :class:`Verifier`."""
        return Scores.of([self._score_one(item) for item in items])

    def describe(self) -> Mapping[str, object]:
        """See :class:`Verifier`."""
        return {"adapter": "function", "function": self._name}

    def _score_one(self, item: Answered) -> float:
        extra = (item.question.gold,) if self._takes_gold else ()
        return float(self._function(item.question.text, item.text, *extra))


def _find(name: str) -> Callable[..., float]:
    module, colon, function = name.partition(":")
    if not colon:
        raise InputError(f"verifier 'python:{name}': expected python:module:function")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"verifier 'python:{name}': {error}") from error
    if not callable(found):
        raise InputError(f"verifier 'python:{name}': {function} is not a function")
    return found  # type: ignore[no-any-return]
