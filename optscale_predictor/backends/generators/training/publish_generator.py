"""Publishing a fine-tuned generator: its folder checked, its card written, and its files put where others find them."""

from pathlib import Path

from optscale_predictor.backends.adapters.base_model import (
    require_base,
    require_findable,
)
from optscale_predictor.backends.adapters.generator_config import GENERATOR_FILE
from optscale_predictor.backends.adapters.generator_folder import CARD, GENERATOR_FILES, load_generator_config
from optscale_predictor.backends.generators.training.generator_card import render_generator_card
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.publish_adapter import rename_base, write_and_push
from optscale_predictor.pages.cards import require_license


def publish_generator(
    folder: Path,
    repo_id: str | None = None,
    private: bool = False,
    license: str | None = None,
    base_model: str | None = None,
    message: str | None = None,
    revision: str | None = None,
) -> list[str]:
    """Checks a fine-tuned generator by loading it upon its base, writes its card, and on request uploads it.

    Args:
        folder: The generator's, as ``train-generator`` writes it.
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
    from transformers import AutoModelForCausalLM

    require_license(license)
    config = load_generator_config(folder)
    require_findable(base_model or config.base_model, repo_id)
    if base_model is not None:
        base = load_pretrained(AutoModelForCausalLM, base_model, "cpu", complete=True)
        require_base(base, config.base_fingerprint, base_model, folder)
        config = rename_base(config, base_model, folder, GENERATOR_FILE)
    load_pretrained(AutoModelForCausalLM, str(folder), "cpu")
    card, said = render_generator_card(config, license), message or "A generator, fine-tuned on worked solutions"
    return write_and_push(folder, folder / CARD, card, GENERATOR_FILES, said, repo_id, private, revision)
