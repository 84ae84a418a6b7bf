"""The Hugging Face hub: folders that go there and come back, for pools and predictors alike.

Tokens are the hub library's affair: it reads them from its own login or from ``HF_TOKEN``; none is ever written or
shown here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from optscale_predictor._support.hub_connection import hub_or_cache
from optscale_predictor.errors import InputError


def fetch(name: str, repo_id: str, repo_type: str, revision: str | None, files: Sequence[str]) -> Path:
    """Downloads a repository's files, or what of them the hub library's cache does not hold yet.

    Args:
        name: What errors call it.
        repo_id: The repository.
        repo_type: ``dataset`` or ``model``.
        revision: Branch, tag or commit; the main branch by default.
        files: Patterns of the files that are wanted.

    Returns:
        Their folder in the cache.

    Raises:
        InputError: The hub does not give it.
    """
    from huggingface_hub import snapshot_download

    brings = f"`hf download {'--repo-type dataset ' * (repo_type == 'dataset')}{repo_id}` brings it"
    with telling(name, f", and its cache does not hold it; where it can be, {brings}"):
        found = snapshot_download(repo_id, repo_type=repo_type, revision=revision, allow_patterns=list(files))
    return Path(found)


def push(
    name: str,
    folder: Path,
    repo_id: str,
    repo_type: str,
    private: bool,
    message: str,
    files: Sequence[str],
    stale: Sequence[str],
    revision: str | None = None,
) -> str:
    """Uploads a folder's files as one commit; makes the repository where there is none.

    Args:
        name: What errors call it.
        folder: Where the files lie.
        repo_id: The repository.
        repo_type: ``dataset`` or ``model``.
        private: Whether a repository that is made is private.
        message: Of the commit.
        files: Patterns of the files that go there, whatever else lies beside them.
        stale: Patterns of files that are removed there where the folder does not have them.
        revision: Branch, made where it does not exist; the main branch by default.

    Returns:
        The repository's address.

    Raises:
        InputError: The hub refuses, or cannot be reached; or the repository is there and not as private as asked for.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with telling(name):
        url = api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True)
        if private and not api.repo_info(repo_id, repo_type=repo_type).private:
            raise InputError(f"{name}: exists and is public; nothing was uploaded")
        if revision is not None:
            api.create_branch(repo_id, branch=revision, repo_type=repo_type, exist_ok=True)
        api.upload_folder(
            repo_id=repo_id,
            repo_type=repo_type,
            folder_path=folder,
            allow_patterns=list(files),
            delete_patterns=list(stale),
            commit_message=message,
            revision=revision,
        )
    return str(url)


def find_file(name: str, file: str, local: bool = False) -> Path | None:
    """A file of a model's repository, in the hub library's cache.

    Args:
        name: The repository.
        file: One of its files.
        local: Whether it is only looked for in the cache; fetched otherwise where it is not there.

    Returns:
        None where it cannot be had: no such file or repository, or no hub.
    """
    from transformers.utils.hub import cached_file

    try:
        with hub_or_cache(asks=not local):
            found = cached_file(name, file, local_files_only=local, _raise_exceptions_for_missing_entries=False)
    except Exception:  # as in `telling`
        return None
    return None if found is None else Path(found)


def require_repository(repo_id: str) -> None:
    """Refuses what can be no repository, before anything is written that names it.

    Args:
        repo_id: For example ``name/predictor``.

    Raises:
        InputError: The hub takes no such name.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"hub repository {repo_id!r}: {' '.join(str(error).split())}") from error


@contextmanager
def telling(name: str, otherwise: str = "") -> Iterator[None]:
    """Turns whatever the hub library raises into one line, without the token.

    Args:
        name: What errors call it.
        otherwise: What is added where the hub cannot be reached.

    Raises:
        InputError: What is done inside failed.
    """
    from huggingface_hub import get_token

    reached = True
    try:
        with hub_or_cache() as reached:
            yield
    except InputError:
        raise
    except Exception as error:  # its HTTP client, and so what it raises, changes from version to version
        if not reached:
            raise InputError(f"{name}: the hub cannot be reached{otherwise}") from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason, token = " ".join(lines[:2]) or type(error).__name__, get_token()
        raise InputError(f"{name}: {reason.replace(token, '***') if token else reason}") from error
