"""Labelling samples: their final answers, and whether those are right; many at a time, as one by one is slow."""

from collections.abc import Mapping, Sequence
from typing import Any

from optscale_predictor.answers import are_correct, extract_answer


def judge(rows: Sequence[dict[str, Any]], golds: Mapping[str, str | None]) -> Sequence[dict[str, Any]]:
    """The rows with ``answer`` and ``correct`` filled in, where they do not say and it can be known.

    Args:
        rows: Of the pool's columns. A sample whose ``finish_reason`` is ``length`` has an answer only where it is
            marked; one of which that is not known is taken to have ended.
        golds: Gold answers by question; None where they are not known.
    """
    for row in rows:
        if row.get("answer") is None and row.get("text") is not None:
            row["answer"] = extract_answer(row["text"], ended=row.get("finish_reason") != "length")
    open_ = [row for row in rows if row.get("correct") is None]
    for row, right in zip(open_, verdicts(open_, golds), strict=True):
        row["correct"] = right
    return rows


def verdicts(rows: Sequence[Mapping[str, Any]], golds: Mapping[str, str | None]) -> list[bool | None]:
    """Whether each row's answer is right; None where its question has no gold answer."""
    known = [(row.get("answer"), gold) for row in rows if (gold := golds.get(row["question_id"])) is not None]
    right = iter(are_correct(known))
    return [None if golds.get(row["question_id"]) is None else next(right) for row in rows]
