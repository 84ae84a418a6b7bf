"""What publishing a fine-tuned generator and a trained verifier share: the base named anew, the card, the upload."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import Field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor._support.hub import push
from optscale_predictor.backends.adapters import adapter
from optscale_predictor.backends.adapters.base_model import published_name, record_base_folder
from optscale_predictor.backends.source_lookup import find_source


class UponBase(Protocol):
    """A config of weights that are loaded upon a base: a dataclass with these fields among its own."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def base_source(self) -> Mapping[str, Any]:
        """Where the base comes from."""

    def as_json(self) -> dict[str, Any]:
        """As its file has it."""


Config = TypeVar("Config", bound=UponBase)


def rename_base(config: Config, base: str, folder: Path, file: str) -> Config:
    """Gives the base the name that others find it by, in every file that has it.

    Args:
        config: As the folder has it.
        base: The name.
        folder: Of the generator or verifier.
        file: The config's, in the folder.

    Returns:
        The config with the name.
    """
    source = find_source(base).as_json() or config.base_source
    named = replace(config, base_model=published_name(base), base_source=source)
    write_text(json.dumps(named.as_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n", folder / file)
    adapter.rename_base(base, folder)
    record_base_folder(base, folder)
    return named


def write_and_push(
    folder: Path,
    card: Path,
    text: str,
    files: Sequence[str],
    said: str,
    repo_id: str | None,
    private: bool,
    revision: str | None,
) -> list[str]:
    """Writes a card, and uploads the folder where a repository is named.

    Args:
        folder: Of the generator or verifier.
        card: The card's file.
        text: What it says.
        files: Patterns of what is published; what of them the folder does not have is removed there.
        said: Message of the upload's commit.
        repo_id: Repository of the hub; None: none.
        private: Whether a repository that is made is private.
        revision: Branch to upload to; the main branch where it is None.

    Returns:
        What was written and where, a line each.
    """
    write_text(text, card)
    lines = [f"{card}: model card"]
    if repo_id is not None:
        name = f"hub repository {repo_id!r}"
        lines.append(f"{folder}: {push(name, folder, repo_id, 'model', private, said, files, files, revision)}")
    return lines
