"""Batches of neighbouring lengths, for verifiers that run a model: padding is waste, so it is kept small."""

from collections.abc import Iterator, Mapping, Sequence


def by_length(lengths: Sequence[int], batch_size: int, skip: Mapping[int, str] | None = None) -> Iterator[list[int]]:
    """Indices into ``lengths``, shortest first, at most ``batch_size`` at a time; those in ``skip`` are left out."""
    order = sorted((one for one in range(len(lengths)) if one not in (skip or {})), key=lambda one: lengths[one])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def too_long(lengths: Sequence[int], context: int) -> dict[int, str]:
    """Why some inputs cannot be read: nothing is cut off, because what is cut off is the end, where the score is."""
    return {
        index: f"a sample with its question has {length} tokens, the verifier's context is {context}"
        for index, length in enumerate(lengths)
        if not 0 < length <= context
    }
