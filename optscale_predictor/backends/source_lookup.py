"""Finding a model's source and licence by its name, without its weights.

- of a GGUF file, what its header says;
- of a folder or a hub's repository, the ``license`` at the top of its model card (``README.md``);
- of ``package:NAME`` and ``embedded:NAME``, besides, the installed distribution's name, version and licence;
- of LoRA updates, what their folder recorded of the base, or else what is found of it.

Nothing here fails because of a model that cannot be had: whoever loads it says so.
"""

import re
from dataclasses import replace
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from optscale_predictor._support.hub import find_file
from optscale_predictor.backends.adapters.generator_folder import load_generator_config
from optscale_predictor.backends.gguf_files import gguf_source
from optscale_predictor.backends.model_loading import base_and_adapters, find_in_package
from optscale_predictor.backends.model_names import EMBEDDED
from optscale_predictor.backends.model_source import ModelSource, known_text
from optscale_predictor.errors import InputError

_OWN_PACKAGE = __name__.partition(".")[0]
_CARD = "README.md"
_LARGEST_CARD = 2**20  # bytes
_CLASSIFIER = "License :: "
_COMMIT = re.compile("[0-9a-f]{40}")


def find_source(name: str) -> ModelSource:
    """What is stated of a model's origin and licence.

    Args:
        name: As ``--generator`` takes it. Of a hub's repository the card is read from the hub library's cache, or from
            the hub.

    Returns:
        Without any entry, where nothing is stated or the model is not here.
    """
    try:
        base, adapters = base_and_adapters(name)
        recorded = load_generator_config(adapters[0]).base_source if adapters else {}
        return ModelSource.from_json(recorded) if recorded else _whole_model(base)
    except (InputError, OSError):
        return ModelSource()


def _whole_model(name: str) -> ModelSource:
    kind, colon, rest = name.partition(":")
    if not name:  # as a path it would be the working folder
        return ModelSource()
    if kind == "embedded":
        return _with_package(_of_path(EMBEDDED / rest), _installed(_OWN_PACKAGE))
    if kind == "package":
        return _with_package(_of_path(find_in_package(rest, name)), _distribution(rest))
    if name.endswith(".gguf") or Path(name).exists():
        return _of_path(Path(name))
    return ModelSource() if colon or name.startswith((".", "/", "~")) else _of_hub(name)


def _of_path(path: Path) -> ModelSource:
    return gguf_source(path) if path.suffix == ".gguf" else _of_card(path / _CARD)


def _of_card(card: Path) -> ModelSource:
    license = known_text(_license_in_card(card))
    return ModelSource(license=license, license_from="model card" if license else None)


def _license_in_card(card: Path) -> object:
    """The licence that a model card's metadata state; ``other`` goes by the name that stands beside it."""
    if not card.is_file() or card.stat().st_size > _LARGEST_CARD:
        return None
    from huggingface_hub import metadata_load
    from yaml import YAMLError

    try:
        stated = metadata_load(card) or {}
    except (ValueError, YAMLError, RecursionError, AttributeError, LookupError, TypeError):  # a tag that lies
        return None
    license = stated.get("license")
    if isinstance(license, list):
        return ", ".join(license) if all(isinstance(one, str) for one in license) else None
    return stated.get("license_name") or license if license == "other" else license


@cache
def _of_hub(name: str) -> ModelSource:
    """A repository's; asked for once a process."""
    card = _hub_file(name, _CARD)
    source = ModelSource() if card is None else _of_card(card)
    held = card or _hub_file(name, "config.json")
    commit = "" if held is None else held.parent.name
    return replace(source, revision=commit) if _COMMIT.fullmatch(commit) else source


def _hub_file(name: str, file: str) -> Path | None:
    """A repository's file in the hub library's cache, fetched where it is not there; None where it cannot be had."""
    return find_file(name, file, local=True) or find_file(name, file)


def _with_package(source: ModelSource, found: Distribution | None) -> ModelSource:
    """Adds what is known of the distribution that brought a model."""
    if found is None:
        return source
    source = replace(source, package=known_text(found.metadata["Name"]), package_version=known_text(found.version))
    license = None if source.license else _license_of(found)
    return replace(source, license=license, license_from="package") if license else source


@cache
def _distribution(package: str) -> Distribution | None:
    """The one that installed an import package; most are called like it, and the others are looked for in all."""
    own = _installed(package)
    if own is not None and any(file.parts[:1] == (package,) for file in own.files or ()):
        return own
    holders = packages_distributions().get(package, [])
    return _installed(holders[0]) if len(set(holders)) == 1 else own


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except (PackageNotFoundError, ValueError):
        return None


def _license_of(found: Distribution) -> str | None:
    """The licence's name; some distributions have its whole text in its place, and its name as a classifier."""
    fields = {key: found.metadata.get_all(key) or [] for key in ("License-Expression", "License", "Classifier")}
    stated = [known_text(value) for key in ("License-Expression", "License") for value in fields[key][:1]]
    if any(stated):
        return next(filter(None, stated))
    classified = [one for one in fields["Classifier"] if one.startswith(_CLASSIFIER)]
    return known_text(classified[0].rpartition(" :: ")[2]) if len(classified) == 1 else None
