"""Publishing a predictor: the checkpoint checked, its card written, and its files put where others find them."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor._support.hub import push
from optscale_predictor.backends.adapters import adapter
from optscale_predictor.backends.adapters.base_model import folder_name, is_folder
from optscale_predictor.backends.source_lookup import find_source
from optscale_predictor.errors import InputError
from optscale_predictor.pages.cards import require_license
from optscale_predictor.predictor.checkpoint.measured_figures import read_assessment
from optscale_predictor.predictor.checkpoint.merging_weights import MODEL_FILES, merge
from optscale_predictor.predictor.checkpoint.model_card import CARD, render_card
from optscale_predictor.predictor.checkpoint.save_load import (
    ADAPTER_FILES,
    CHECKPOINT_FILES,
    checkpoint_folder,
    load,
    load_config,
    save,
    save_config,
)
from optscale_predictor.predictor.model.config import PredictorConfig
from optscale_predictor.predictor.model.prior_network import PriorNetwork

_ASSESSMENT = "assessment.json"


@dataclass(frozen=True)
class Publication:
    """How a predictor is published.

    Attributes:
        license: As the hub names it; None: the card leaves it to be filled in.
        assessment: File that ``optscale assess`` wrote; None: the checkpoint's own, where it has one.
        base_model: Name that others find the base by; None: as the checkpoint has it.
        repo_id: Repository of the hub to upload to; None: none.
        private: Whether a repository that is made is private.
        message: Of the upload's commit.
        revision: Branch to upload to; the main branch where it is None.
    """

    license: str | None = None
    assessment: str | None = None
    base_model: str | None = None
    repo_id: str | None = None
    private: bool = False
    message: str | None = None
    revision: str | None = None


def publish_predictor(checkpoint: str, merged: str | None, how: Publication) -> list[str]:
    """Publishes a checkpoint: its card, on request a merged copy of it, and on request all of it on the hub.

    Args:
        checkpoint: A folder; or, with ``merged``, also a hub id.
        merged: Folder for a merged copy; None: the checkpoint itself is published.
        how: Licence, assessment, name of the base, and repository.

    Returns:
        What was written and where, a line each.

    Raises:
        InputError: The checkpoint is not sound, or the hub refuses.
    """
    require_license(how.license)
    folder = checkpoint_folder(checkpoint)
    if merged is None and folder != Path(checkpoint):
        raise InputError(f"{checkpoint!r} is on the hub already; name a folder, or --merged FOLDER for a merged copy")
    assessment = _assessment(folder, how.assessment)
    _require_public_base(load_config(folder), merged, how)
    predictor = load(PriorNetwork, str(folder), base_model=how.base_model)
    _name_base(predictor.config, how.base_model)
    lines = []
    if merged is not None:
        folder = Path(merged)
        merge(predictor)
        save(predictor, folder)
        lines.append(f"{folder}: merged checkpoint")
    _write_documents(predictor, folder, assessment, how)
    lines.append(f"{folder / CARD}: model card")
    if is_folder(predictor.config.base_model) and not predictor.config.merged:
        name = folder_name(predictor.config.base_model)
        lines.append(f"note: the card names no base_model: {name!r} is a folder of this machine (--base_model NAME)")
    if how.repo_id is not None:
        lines.append(f"{folder}: {push_folder(folder, how.repo_id, how.private, how.message, how.revision)}")
    return lines


def push_predictor(
    predictor: PriorNetwork, repo_id: str, private: bool, message: str | None, revision: str | None
) -> str:
    """Uploads a predictor from memory, with its card; returns the repository's address.

    Args:
        predictor: The predictor.
        repo_id: Repository; made where it does not exist.
        private: Whether a repository that is made is private.
        message: Of the commit; None: a usual one.
        revision: Branch to upload to, made where it does not exist; None: the main branch.

    Raises:
        InputError: The hub refuses; or the base model is a folder of this machine, which nobody else has.
    """
    how = Publication(repo_id=repo_id, private=private, message=message, revision=revision)
    _require_public_base(predictor.config, None, how)
    with TemporaryDirectory() as name:
        folder = Path(name)
        save(predictor, folder)
        _write_documents(predictor, folder, None, how)
        return push_folder(folder, repo_id, private, message, revision)


def push_folder(folder: Path, repo_id: str, private: bool, message: str | None, revision: str | None) -> str:
    """Uploads a checkpoint's own files as one commit; returns the repository's address.

    Args:
        folder: The checkpoint.
        repo_id: Repository; made where it does not exist.
        private: Whether a repository that is made is private.
        message: Of the commit; None: a usual one.
        revision: Branch to upload to, made where it does not exist; None: the main branch.

    Raises:
        InputError: The folder is no checkpoint, or the hub refuses.
    """
    # What an earlier commit of the other layout left in the repository is removed: transformers would load it.
    other = ADAPTER_FILES if load_config(folder).merged else MODEL_FILES
    name, said = f"hub repository {repo_id!r}", message or "A predictor of score distributions"
    files = [pattern for pattern in CHECKPOINT_FILES if pattern not in other]
    return push(name, folder, repo_id, "model", private, said, files, [*files, *other], revision)


def _write_documents(
    predictor: PriorNetwork, folder: Path, assessment: dict[str, Any] | None, how: Publication
) -> None:
    """The config, the card and the assessment, as others are to read them."""
    try:
        save_config(predictor.config, folder)
        if not predictor.config.merged:
            adapter.rename_base(predictor.config.base_model, folder)
        if assessment is not None:
            text = json.dumps(assessment, indent=2, allow_nan=False) + "\n"
            write_text(text, folder / _ASSESSMENT)
        card = render_card(predictor.config, assessment, how.license, how.repo_id)
        write_text(card, folder / CARD)
    except OSError as error:
        raise InputError(f"{folder}: cannot write: {error.strerror or error}") from error


def _name_base(config: PredictorConfig, name: str | None) -> None:
    """Gives the base the name that others find it by, and records its source where that is not yet or is another."""
    config.base_model = name or config.base_model
    if name is not None or not config.base_source:
        config.base_source = find_source(config.base_model).as_json() or config.base_source


def _assessment(folder: Path, named: str | None) -> dict[str, Any] | None:
    if named is not None:
        return read_assessment(Path(named))
    own = folder / _ASSESSMENT
    return read_assessment(own) if own.is_file() else None


def _require_public_base(config: PredictorConfig, merged: str | None, how: Publication) -> None:
    """Raises ``InputError`` where updates would go to the hub that name a base nobody else has."""
    base = how.base_model or config.base_model
    if how.repo_id is None or merged is not None or config.merged:
        return
    if is_folder(base):
        raise InputError(
            f"the base model {folder_name(base)!r} is a folder of this machine: name it as others find it "
            "(--base_model), or publish merged weights (--merged FOLDER)"
        )
