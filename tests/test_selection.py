"""Selection against plain counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.selection import select


@given(st.lists(st.tuples(st.integers(-1, 3), st.floats(0, 1)), min_size=1, max_size=12))
def test_majority_is_what_counting_says(row):
    answers, scores = (np.array([column]) for column in zip(*row, strict=True))
    for rule, weigh in (("majority", lambda s: 1.0), ("weighted_majority", lambda s: s)):
        totals = {}
        for answer, score in row:
            totals[answer] = totals.get(answer, 0.0) + (weigh(score) if answer >= 0 else 0.0)
        chosen = int(select(rule, scores, answers)[0])
        most = max((total for answer, total in totals.items() if answer >= 0), default=0.0)
        assert totals.get(int(answers[0, chosen]), 0.0) == pytest.approx(most)
