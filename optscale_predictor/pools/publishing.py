"""Putting a pool on the hub, with a card: the page shown there, and the lines by which ``load_dataset`` reads it."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor._support.hub import push
from optscale_predictor.errors import InputError
from optscale_predictor.pages.cards import front_matter, size_category
from optscale_predictor.pages.markdown import table
from optscale_predictor.pools._lock import lock_pool
from optscale_predictor.pools.info import PoolInfo, pool_info
from optscale_predictor.pools.pool import POOL_FILES, Pool
from optscale_predictor.pools.schema import MEANING, ScoreColumns
from optscale_predictor.pools.validation import validate_pool


def pool_card(pool: Pool, repo_id: str | None = None) -> str:
    """The card of a pool, as Markdown.

    Args:
        pool: The pool.
        repo_id: Where it is going to be, for the lines that show how to read it.
    """
    from huggingface_hub import DatasetCardData

    info = pool_info(pool)
    metadata = DatasetCardData(
        # The questions have no config of their own: `datasets` reads all of a repository in the format of its first.
        configs=[
            {
                "config_name": "samples",
                "default": True,
                "data_files": [{"split": "train", "path": "samples-*.parquet"}],
            }
        ],
        size_categories=[size_category(info.samples)],
        tags=["best-of-n", "inference-scaling", "optscale"],
    )
    return front_matter(metadata) + "\n" + "\n".join(_lines(pool, info, repo_id or "REPO_ID")) + "\n"


def write_card(pool: Pool, repo_id: str | None = None) -> Path:
    """Writes the card into the pool's folder.

    Args:
        pool: The pool.
        repo_id: Where it is going to be, for the lines that show how to read it.

    Returns:
        The card's file, ``README.md``.

    Raises:
        InputError: It cannot be written.
    """
    path = pool.folder / "README.md"
    write_text(pool_card(pool, repo_id), path)
    return path


def _lines(pool: Pool, info: PoolInfo, repo_id: str) -> Iterator[str]:
    spread = str(info.fewest) if info.fewest == info.most else f"{info.fewest} to {info.most}"
    yield f"# {info.samples:,} sampled answers to {info.questions:,} questions"
    yield ""
    yield f"Each question has {spread} independent samples of one generator: {info.tokens:,} generated tokens in all."
    if info.judged:
        yield f"{info.correct / info.judged:.1%} of the {info.judged:,} samples that could be judged are right."
    for name, score in info.scores.items():
        if score.made_by is not None:
            refused = f", {score.refused:,} were refused" if score.refused else ""
            yield f"Column `{name}` holds a verifier's score of {score.scored:,} samples{refused}."
    yield ""
    yield "```python"
    yield "from datasets import load_dataset"
    yield f'samples = load_dataset("{repo_id}", split="train")'
    yield f'questions = load_dataset("json", data_files="hf://datasets/{repo_id}/questions.jsonl", split="train")'
    yield ""
    yield "from optscale_predictor.pools import Pool"
    yield f'pool = Pool("hub:{repo_id}")'
    yield "```"
    yield ""
    meaning = {**MEANING, **{key: text for name in info.scores for key, text in ScoreColumns(name).meaning.items()}}
    yield table(["column", "meaning"], [(f"`{name}`", meaning[name]) for name in pool.schema.names])
    yield ""
    yield "What made the samples, and each score:"
    yield ""
    yield "```json"
    yield json.dumps({"settings": info.settings, "scores": pool.scores}, indent=2, ensure_ascii=False)
    yield "```"


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
        message = f"{samples} samples of {len(pool.questions)} questions"
        # Shards that the pool no longer has go from the hub by the same commit: no reader sees a sample twice.
        stale = ["samples-*.parquet"]
        return push(f"hub:{repo_id}", folder, repo_id, "dataset", private, message, POOL_FILES, stale)
