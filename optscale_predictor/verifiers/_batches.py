"""Batches of neighbouring lengths, for verifiers that run a model: padding is waste, so it is kept small."""

from collections.abc import Iterator, Mapping, Sequence


def by_length(
    lengths: Sequence[int], batch_size: int, skip: Mapping[int, str] | None = None, max_tokens: int | None = None
) -> Iterator[list[int]]:
    """Indices into ``lengths``, shortest first, at most ``batch_size`` at a time; those in ``skip`` are left out.

    Where ``max_tokens`` is given, a batch of several holds no more tokens than that, padding included.
    """
    order = sorted((one for one in range(len(lengths)) if one not in (skip or {})), key=lambda one: lengths[one])
    batch: list[int] = []
    for one in order:
        too_many = max_tokens is not None and (len(batch) + 1) * lengths[one] > max_tokens
        if batch and (too_many or len(batch) == batch_size):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def too_long(lengths: Sequence[int], context: int) -> dict[int, str]:
    """Why some inputs cannot be read: nothing is cut off, because what is cut off is the end, where the score is."""
    return {
        index: f"a sample with its question has {length} tokens, the verifier's context is {context}"
        for index, length in enumerate(lengths)
        if not 0 < length <= context
    }
