"""Rows of samples that early rejection stopped: kept, since they were paid for, and made nothing of.

What a run stopped was chosen by how it would score, so that what is left of its questions is no random sample of their
scores either: targets, replays and fits refuse such a pool as a whole.
"""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from optscale_predictor.backends.generators.sample_parts import STOPPED
from optscale_predictor.errors import InputError
from optscale_predictor.pools.pool import Pool
from optscale_predictor.questions.answers import REJECTED


def has_rejected(pool: Pool) -> bool:
    """Whether a run has stopped samples of this pool early."""
    return any(_number(table["finish_reason"]) for table in pool.tables(["finish_reason"]))


def require_none_rejected(pool: Pool, finish_reasons: pa.ChunkedArray) -> None:
    """Checks that none of these rows was stopped early.

    Args:
        pool: Whose they are, for the error.
        finish_reasons: Their column.

    Raises:
        InputError: Some were.
    """
    if number := _number(finish_reasons):
        raise InputError(
            f"{pool.folder}: early rejection stopped {number} of its samples, so those left are no random sample of "
            "their questions' scores; draw a pool without it"
        )


def unreadable_rows(rows: pa.Table) -> Mapping[int, str]:
    """Why no verifier is to read some rows, by their place: an import may know a sample's answer and not its text.

    Args:
        rows: With the columns ``text`` and ``finish_reason``.
    """
    pairs = enumerate(zip(rows["text"].is_null().to_pylist(), rows["finish_reason"].to_pylist(), strict=True))
    return {
        place: STOPPED if reason == REJECTED else "it has no text"
        for place, (empty, reason) in pairs
        if empty or reason == REJECTED
    }


def _number(finish_reasons: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.equal(finish_reasons, REJECTED)).as_py() or 0)
