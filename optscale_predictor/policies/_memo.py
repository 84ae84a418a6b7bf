"""What was computed once from a question's first n samples, for every policy and setting that asks again.

A replay runs a thousand settings over the same samples. What they compute from a prefix of a question's samples (a
fit, a posterior) does not depend on the setting, so it is computed the first time that one of them gets there.
"""

from collections.abc import Callable, Hashable

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints


class PrefixMemo:
    """Values of prefixes, by a key that says what they are.

    Args:
        num_questions: Questions, or rows: two orders of a question's samples are two rows; >= 0.
        depth: Most samples of a prefix, >= 1.
        keeps_beliefs: Whether the members of every prefix's posterior are worth computing and keeping: they are where
            many settings ask. A few are answered faster by what does without them (``against_bound.falls_short``).
    """

    def __init__(self, num_questions: int, depth: int, keeps_beliefs: bool = True) -> None:
        self.keeps_beliefs = keeps_beliefs
        self._shape = (num_questions, depth + 1)
        self._index: dict[Hashable, Ints] = {}  # of a prefix's value among those computed; -1 = not computed
        self._values: dict[Hashable, Floats] = {}
        self._sizes: dict[Hashable, int] = {}

    def lookup(
        self,
        key: Hashable,
        rows: Int[Ints, " rows"],
        counts: Int[Ints, " rows"],
        compute: "Callable[[Int[Ints, ' some']], Float[Floats, 'some ...']]",
    ) -> Float[Floats, "rows ..."]:
        """The values of prefixes.

        Args:
            key: What is asked for, with all that it depends on besides the samples.
            rows: Which questions.
            counts: How many of their first samples, in [0, depth].
            compute: Gives the values for some of the rows, by their positions in ``rows``.
        """
        index = self._index.setdefault(key, np.full(self._shape, -1))
        missing = np.flatnonzero(index[rows, counts] < 0)
        if missing.size:
            start = self._append(key, compute(missing))
            index[rows[missing], counts[missing]] = start + np.arange(missing.size)
        return self._values[key][index[rows, counts]]

    def _append(self, key: Hashable, values: Floats) -> int:
        start = self._sizes.get(key, 0)
        held = self._values.get(key, np.empty((0, *values.shape[1:])))
        if start + len(values) > len(held):
            # Doubled: values come a few at a time, and copying all of them each time would be quadratic.
            grown = np.empty((max(2 * len(held), start + len(values)), *values.shape[1:]))
            grown[:start] = held[:start]
            self._values[key] = held = grown
        held[start : start + len(values)] = values
        self._sizes[key] = start + len(values)
        return start
