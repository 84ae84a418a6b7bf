"""Rows of a pool as verifiers read them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from optscale_predictor.backends.token_logprobs import LogprobSummary
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.pools import Pool
from optscale_predictor.pools.rejected_rows import unreadable_rows
from optscale_predictor.questions.answers import has_ended
from optscale_predictor.questions.question import Question

_MAP_SAMPLES = 1024  # samples that an unbounded verifier's map is fitted on


def first_samples(pool: Pool) -> tuple[list[Answered], list[bool | None]]:
    """Samples of many questions, and whether each is right, None where that is not known: for fitting a score map.

    Args:
        pool: Whose; samples without text, blank ones and stopped ones are left out.
    """
    questions = {question.id: question for question in pool.questions}
    items: list[Answered] = []
    correct: list[bool | None] = []
    for table in pool.tables(["question_id", "text", "finish_reason", "correct"]):
        # Every k-th of a shard: shards hold runs of one question's samples, and the map should see many questions.
        step = max(1, table.num_rows // _MAP_SAMPLES)
        some = table.take(np.arange(0, table.num_rows, step))
        unread = unreadable_rows(some)
        for row in (row for place, row in enumerate(some.to_pylist()) if place not in unread):
            item = answered_row(row, questions)
            if item.text.strip():  # the others are scored without the map
                items.append(item)
                correct.append(row["correct"])
        if len(items) >= 4 * _MAP_SAMPLES:
            break
    step = max(1, len(items) // _MAP_SAMPLES)
    return items[::step], correct[::step]


def answered_row(row: Mapping[str, Any], questions: Mapping[str, Question]) -> Answered:
    """A row as a verifier reads it.

    Args:
        row: Its columns ``question_id``, ``text``, ``finish_reason`` and, where they are kept, its log-probabilities.
        questions: By id.
    """
    ended = has_ended(row["finish_reason"])
    return Answered(questions[row["question_id"]], row["text"], ended, LogprobSummary.of_row(row))
