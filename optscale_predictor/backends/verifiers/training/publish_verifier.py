"""Publishing a trained verifier: its folder checked, its card written, and its files put where others find them."""

from pathlib import Path

from optscale_predictor.backends.adapters.base_model import (
    require_base,
    require_findable,
)
from optscale_predictor.backends.publish_adapter import rename_base, write_and_push
from optscale_predictor.backends.verifiers.trained_config import TRAINED_VERIFIER_FILE
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
        config = rename_base(config, base, folder, TRAINED_VERIFIER_FILE)
    load_verifier(folder, config)
    card, said = render_verifier_card(config, license), message or "A verifier of answers, trained on labelled samples"
    return write_and_push(folder, folder / CARD, card, VERIFIER_FILES, said, repo_id, private, revision)
