"""Putting a pool on the hub."""

import os
from contextlib import ExitStack, closing
from pathlib import Path

from optscale_predictor.errors import InputError
from optscale_predictor.pools._lock import lock_pool
from optscale_predictor.pools.card import write_card
from optscale_predictor.pools.hub import upload
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.validation import validate_pool


def push_pool(folder: str | Path, repo_id: str, private: bool = False) -> str:
    """Checks a pool, writes its card and uploads it as a data set; a later push replaces what changed.

    Args:
        folder: The pool; nobody else may write to it meanwhile.
        repo_id: For example ``name/math-7b-samples``; made where it does not exist.
        private: Whether a repository that is made is private.

    Returns:
        The repository's address.

    Raises:
        InputError: The pool has a fault or an unfinished score, or the hub refuses.
    """
    folder = Path(folder)
    Pool(folder)
    with ExitStack() as stack:
        if os.access(folder, os.W_OK):
            stack.enter_context(closing(lock_pool(folder)))
        fault = next(validate_pool(folder), None)
        if fault is not None:
            raise InputError(f"{folder}: {fault}; see: optscale pool validate {folder}")
        pool = Pool(folder)
        pool.require_complete()
        write_card(pool, repo_id)
        samples = sum(pool.counts().values())
        return upload(folder, repo_id, private, f"{samples} samples of {len(pool.questions)} questions")
