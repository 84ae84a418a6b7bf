"""A loaded head's indices: they are followed without a look while predicting, so they are looked at here, once."""

from typing import TYPE_CHECKING

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.heads import GaussianProcessHead

if TYPE_CHECKING:
    from torch import nn


def require_sound(head: "nn.Module", num_sources: int, place: str) -> None:
    """Raises ``InputError`` where a Gaussian-process head's indices lead out of its tensors.

    Args:
        head: Any head; others have no indices.
        num_sources: Sources that the predictor has learnt.
        place: What the error calls it.
    """
    if not isinstance(head, GaussianProcessHead):
        return
    parts = head.state_dict()
    anchors, grams = len(parts["lengths"]), len(parts["idf"])
    rows, columns, hashes, sources = (parts[name] for name in ("gram_rows", "gram_columns", "hashes", "sources"))
    starts = rows[:1].eq(0).all() and rows[-1:].eq(len(columns)).all()
    faults = {
        "gram_rows": not (len(rows) == anchors + 1 and starts and (rows.diff() >= 0).all()),
        "gram_columns": bool(((columns < 0) | (columns >= grams)).any()),
        "hashes": bool((hashes.diff() <= 0).any()),
        "sources": bool(((sources < 0) | (sources >= num_sources)).any()),
        "length_scale": not parts["length_scale"] > 0,
    }
    for name, faulty in faults.items():
        if faulty:
            raise InputError(f"{place}: {name} holds indices or scales that no head can have")
