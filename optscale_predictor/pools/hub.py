"""Pools on a hub: a data set repository that holds a pool's files as they are.

``hub:REPO_ID`` or ``hub:REPO_ID@REVISION`` stands wherever the folder of a pool is read. Its files are downloaded once
into the hub library's cache and are read-only. Tokens are the hub library's affair: it reads them from its own login or
from ``HF_TOKEN``; none is ever written or shown here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    from huggingface_hub import snapshot_download

    repo_id, _, revision = name.removeprefix(PREFIX).partition("@")
    if not repo_id:
        raise InputError(f"{name!r}: expected hub:REPO_ID or hub:REPO_ID@REVISION")
    with _telling(name):
        found = snapshot_download(repo_id, repo_type="dataset", revision=revision or None, allow_patterns=list(FILES))
    folder = Path(found)
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
    from huggingface_hub import HfApi

    api = HfApi()
    with _telling(f"hub:{repo_id}"):
        url = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        if private and not api.repo_info(repo_id, repo_type="dataset").private:
            raise InputError(f"hub:{repo_id}: exists and is public; nothing was uploaded")
        api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=list(FILES),
            delete_patterns=["samples-*.parquet"],
            commit_message=message,
        )
    return str(url)


@contextmanager
def _telling(name: str) -> Iterator[None]:
    """Turns whatever the hub library raises into one line, without the token."""
    from huggingface_hub import get_token

    try:
        yield
    except InputError:
        raise
    except Exception as error:  # its HTTP client, and so what it raises, changes from version to version
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason, token = " ".join(lines[:2]) or type(error).__name__, get_token()
        raise InputError(f"{name}: {reason.replace(token, '***') if token else reason}") from error
