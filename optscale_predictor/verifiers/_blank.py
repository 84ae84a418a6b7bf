"""Samples of which nothing is left without their thinking: they answer nothing, so they score 0 and nobody reads them.

A reward model would give them some score, a process reward model has no step to score and refuses, and a live run draws
a refused sample again, up to giving its question up.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.verifiers._verifier import Answered, Scores, Verifier


def score_samples(verifier: Verifier, items: Sequence[Answered]) -> Scores:
    """The verifier's scores of ``items``, in their order, blank samples scored without it.

    Raises:
        InputError: It returned not one score a sample.
    """
    blank, rest = _parted(verifier, items)
    parts = [(list(blank), Scores.of(list(blank.values())))]
    if rest:
        scores = verifier.score([items[index] for index in rest])
        if scores.values.shape != (len(rest),):
            raise InputError(f"the verifier returned shape {scores.values.shape} for {len(rest)} samples")
        parts.append((rest, scores))
    return Scores.joined(parts, len(items))


def stream_samples(verifier: Verifier, items: Sequence[Answered]) -> Iterator[tuple[Sequence[int], Scores]]:
    """As :func:`score_samples`, in parts as they come, each with the indices of its items.

    Raises:
        InputError: It returned not one score a sample.
    """
    blank, rest = _parted(verifier, items)
    if blank:
        yield list(blank), Scores.of(list(blank.values()))
    seen = 0
    for where, scores in verifier.stream([items[index] for index in rest]) if rest else ():
        if scores.values.shape != (len(where),):
            raise InputError(f"the verifier returned shape {scores.values.shape} for {len(where)} samples")
        seen += len(where)
        yield np.asarray(rest, np.int64)[np.asarray(where, np.int64)].tolist(), scores
    if seen != len(rest):
        raise InputError(f"the verifier returned {seen} scores for {len(rest)} samples")


def _parted(verifier: Verifier, items: Sequence[Answered]) -> tuple[dict[int, float], list[int]]:
    """The scores of blank samples by index, and the indices of what the verifier is to read."""
    given = {
        index: score
        for index, item in enumerate(items)
        if not item.text.strip() and (score := verifier.blank_score(item)) is not None
    }
    return given, [index for index in range(len(items)) if index not in given]
