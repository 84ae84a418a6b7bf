"""Publishing a fine-tuned generator: its folder checked, its card written, and its files put where others find them."""

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
from optscale_predictor.backends.adapters.generator_config import GENERATOR_FILE, GeneratorConfig
from optscale_predictor.backends.adapters.generator_folder import CARD, GENERATOR_FILES, load_generator_config
from optscale_predictor.backends.generators.training.generator_card import render_generator_card
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.source_lookup import find_source
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
        config = _renamed(config, base_model, folder)
    load_pretrained(AutoModelForCausalLM, str(folder), "cpu")
    write_text(render_generator_card(config, license), folder / CARD)
    lines = [f"{folder / CARD}: model card"]
    if repo_id is not None:
        said, name = message or "A generator, fine-tuned on worked solutions", f"hub repository {repo_id!r}"
        address = push(name, folder, repo_id, "model", private, said, GENERATOR_FILES, GENERATOR_FILES, revision)
        lines.append(f"{folder}: {address}")
    return lines


def _renamed(config: GeneratorConfig, base: str, folder: Path) -> GeneratorConfig:
    """Gives the base the name that others find it by, in every file that has it."""
    source = find_source(base).as_json() or config.base_source
    named = replace(config, base_model=published_name(base), base_source=source)
    content = json.dumps(named.as_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_text(content, folder / GENERATOR_FILE)
    adapter.rename_base(base, folder)
    record_base_folder(base, folder)
    return named
