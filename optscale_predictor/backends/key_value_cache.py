"""A transformers cache whose rows are chosen anew: a prompt is read once, and that stands for all its samples."""

from collections.abc import Container
from typing import Any

import torch


def cache_argument(parameters: Container[str]) -> str:
    """What a model's forward pass calls the cache that it is given: transformers renamed it in 5.24.

    Args:
        parameters: Names of what the forward pass takes.
    """
    return "cache" if "cache" in parameters else "past_key_values"


def cache_of(output: Any) -> Any:
    """The cache in a model's output, by either of its names; None where it has none."""
    # By what is there: asked for the former name, the newer output warns.
    named = output if isinstance(output, dict) else vars(output)
    return next((named[name] for name in ("cache", "past_key_values") if name in set(named)), None)


def can_choose_rows(cache: Any) -> bool:
    """Whether :func:`choose_rows` works on this cache; some models have none, or one that cannot be taken apart."""
    return hasattr(cache, "reorder_cache")


def choose_rows(cache: Any, rows: torch.Tensor) -> None:
    """Makes chosen rows the rows of the cache: a prompt's for each of its samples, or those that have not ended.

    Args:
        cache: Of transformers; changed in place.
        rows: Indices [new rows], in any order, any number of times.

    Beam search's ``reorder_cache`` is what every kind of layer implements, recurrent states included;
    ``batch_select_indices`` moves only keys and values in hybrid layers, and is asked for only where a cache brings
    its own.
    """
    if "batch_select_indices" in vars(type(cache)) and "reorder_cache" not in vars(type(cache)):
        cache.batch_select_indices(rows)
    else:
        cache.reorder_cache(rows)
