"""The votes of one question under way: its answers as groups, compared only when a policy or a selection looks."""

import threading
from collections.abc import Sequence

from optscale_predictor.questions.answers import AnswerGroups


class Votes:
    """One question's answers, in the order drawn.

    Comparing two answers may take seconds. It is done on the thread of whoever looks first, which must be one that may
    wait: a worker's, never the event loop's.

    Attributes:
        answers: As extracted; None where a sample has none.
    """

    def __init__(self) -> None:
        self.answers: list[str | None] = []
        self._numbers: list[int] = []
        self._groups = AnswerGroups()
        self._lock = threading.Lock()

    def first(self, count: int) -> Sequence[int]:
        """The groups of the first ``count`` answers; -1 = none."""
        with self._lock:
            for answer in self.answers[len(self._numbers) : count]:
                self._numbers.append(self._groups.number(answer))
            return self._numbers[:count]
