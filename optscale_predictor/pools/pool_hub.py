"""Pools on a hub: a data set repository that holds a pool's files as they are.

``hub:REPO_ID`` or ``hub:REPO_ID@REVISION`` stands wherever the folder of a pool is read. Its files are downloaded once
into the hub library's cache and are read-only.
"""

from pathlib import Path

from optscale_predictor._support.hub import fetch, push
from optscale_predictor.errors import InputError

PREFIX = "hub:"

#: A pool's own files: what is uploaded and downloaded, whatever else lies beside them.
FILES = ("README.md", "manifest.json", "questions.jsonl", "journal.jsonl", "runs.jsonl", "samples-*.parquet")


def is_hub_name(name: str) -> bool:
    """Whether a pool's name means a data set on the hub."""
    return name.startswith(PREFIX)


def local_copy(name: str) -> Path:
    """Downloads a pool, or what of it the cache does not hold yet; returns its folder in the cache.

    Raises:
        InputError: The name is none, or the hub does not give it.
    """
    repo_id, _, revision = name.removeprefix(PREFIX).partition("@")
    if not repo_id:
        raise InputError(f"{name!r}: expected hub:REPO_ID or hub:REPO_ID@REVISION")
    folder = fetch(name, repo_id, "dataset", revision or None, FILES)
    if not (folder / "manifest.json").is_file():
        raise InputError(f"{name}: not a pool (no manifest.json), or not downloaded yet")
    return folder


def upload(folder: Path, repo_id: str, private: bool, message: str) -> str:
    """Uploads a pool's files as one commit, which also removes shards that the pool no longer has.

    Returns:
        The repository's address.

    Raises:
        InputError: The hub refuses, or cannot be reached; or the repository is there and not as private as asked for.
    """
    return push(f"hub:{repo_id}", folder, repo_id, "dataset", private, message, FILES, ["samples-*.parquet"])
