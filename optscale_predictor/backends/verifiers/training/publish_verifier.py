"""Publishing a trained verifier: its folder checked, its card written, and its files put where others find them."""

import json
from dataclasses import replace
from pathlib import Path

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor._support.hub import push
from optscale_predictor.backends.adapters import adapter
from optscale_predictor.backends.adapters.base_model import (
    published_name,
    record_base_folder,
    require_base,
    require_findable,
)
from optscale_predictor.backends.source_lookup import find_source
from optscale_predictor.backends.verifiers.trained_config import TRAINED_VERIFIER_FILE, TrainedVerifierConfig
from optscale_predictor.backends.verifiers.training.verifier_card import render_verifier_card
from optscale_predictor.backends.verifiers.verifier_files import (
    CARD,
    VERIFIER_FILES,
    load_verifier,
    load_verifier_base,
    load_verifier_config,
)
from optscale_predictor.pages.cards import require_license


def publish_verifier(
    folder: Path,
    repo_id: str | None = None,
    private: bool = False,
    license: str | None = None,
    base_model: str | None = None,
    message: str | None = None,
    revision: str | None = None,
) -> list[str]:
    """Checks a trained verifier by loading it, writes its card, and on request uploads it.

    Args:
        folder: The trained verifier's.
        repo_id: Repository of the hub; None: none.
        private: Whether a repository that is made is private.
        license: As the hub names it; None: the card leaves it to be filled in.
        base_model: Name that others find the base by, which must be the same weights; None: as the folder has it.
        message: Of the upload's commit; None: a usual one.
        revision: Branch to upload to; the main branch where it is None.

    Returns:
        What was written and where, a line each.

    Raises:
        InputError: The folder is not sound, the base that is named is another, or the hub refuses.
    """
    require_license(license)
    config = load_verifier_config(folder)
    base = base_model or config.base_model
    require_findable(base, repo_id)
    if base_model is not None:
        require_base(load_verifier_base(base, config.kind, config.precision), config.base_fingerprint, base, folder)
        config = _renamed(config, base, folder)
    load_verifier(folder, config)
    write_text(render_verifier_card(config, license), folder / CARD)
    lines = [f"{folder / CARD}: model card"]
    if repo_id is not None:
        said, name = message or "A verifier of answers, trained on labelled samples", f"hub repository {repo_id!r}"
        address = push(name, folder, repo_id, "model", private, said, VERIFIER_FILES, VERIFIER_FILES, revision)
        lines.append(f"{folder}: {address}")
    return lines


def _renamed(config: TrainedVerifierConfig, base: str, folder: Path) -> TrainedVerifierConfig:
    """Gives the base the name that others find it by, in every file that has it."""
    source = find_source(base).as_json() or config.base_source
    named = replace(config, base_model=published_name(base), base_source=source)
    content = json.dumps(named.as_json(), indent=2, allow_nan=False) + "\n"
    write_text(content, folder / TRAINED_VERIFIER_FILE)
    adapter.rename_base(base, folder)
    record_base_folder(base, folder)
    return named
