"""What to know of policies that were replayed over a pool: samples left out, caps beyond it, scores and targets."""

from collections.abc import Sequence

import numpy as np

from optscale_predictor.policies import Policy
from optscale_predictor.policies.cautions import cap_cautions, depth_cautions, score_cautions, target_cautions
from optscale_predictor.pools import Pool
from optscale_predictor.replays.recorded_samples import RecordedSamples


def recorded_cautions(recorded: RecordedSamples, policies: Sequence[Policy], pool: Pool | None = None) -> list[str]:
    """A line each.

    Args:
        recorded: What was replayed.
        policies: Over it.
        pool: That it is of; None where nothing is to be said of what was left out.
    """
    lines = [] if pool is None else depth_cautions(_scored(pool), recorded.depth)
    best = float(np.max(recorded.hindsight, initial=0.0))
    return [
        *lines,
        *cap_cautions(policies, recorded.depth),
        *score_cautions(recorded.scores),
        *target_cautions(policies, best, recorded.scores.size),
    ]


def _scored(pool: Pool) -> dict[str, int]:
    """The scored samples of each question, by id."""
    counts = np.zeros(len(pool.questions), np.int64)
    for table in pool.tables(["question_id", "score"]):
        known = table.filter(table["score"].is_valid())
        counts += np.bincount(pool.question_numbers(known).to_numpy(), minlength=len(counts))
    return {question.id: count for question, count in zip(pool.questions, counts.tolist(), strict=True)}
