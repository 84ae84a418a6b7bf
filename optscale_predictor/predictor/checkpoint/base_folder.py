"""A base model that is a folder of this machine: its name goes into the checkpoint, its place into a file of its own.

Others can do nothing with a place on the machine of whoever trained a predictor, and it may tell more than it should.
So what is published (config, card, PEFT's config) knows such a base by ``folder:NAME`` or not at all, and
``local_base.json``, which is no part of what goes to a hub, says where it lies, so that the checkpoint loads where it
was made. On another machine the base is copied too and its place named once (``optscale publish --base_model``).
"""

import json
from pathlib import Path

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.checkpoint.checked_files import own_file, read_json
from optscale_predictor.predictor.provenance.score_source import public_name

FILE = "local_base.json"
MARK = "folder:"


def is_folder(base_model: str) -> bool:
    """Whether a base is a folder, and not a name that others can load it by."""
    return base_model.startswith(MARK) or public_name(base_model) != base_model or Path(base_model).is_dir()


def folder_name(base_model: str) -> str:
    """A base's name as others may read it; of a folder its own name alone."""
    return Path(public_name(base_model.removeprefix(MARK))).name if is_folder(base_model) else base_model


def published_name(base_model: str) -> str:
    """What a checkpoint's config calls a base."""
    return f"{MARK}{folder_name(base_model)}" if is_folder(base_model) else base_model


def record_place(base_model: str, folder: Path) -> None:
    """Writes down where a base lies, where it is a folder; of another nothing stays that an earlier one left."""
    if is_folder(base_model) and not base_model.startswith(MARK):
        place = str(Path(base_model).expanduser().absolute())
        (folder / FILE).write_text(json.dumps({"base_model": place}) + "\n", encoding="utf-8")
    else:
        (folder / FILE).unlink(missing_ok=True)


def find_base(base_model: str, folder: Path) -> str:
    """The base that a checkpoint's config names, as it can be loaded here.

    Raises:
        InputError: It was a folder, and is not here.
    """
    if not base_model.startswith(MARK):
        return base_model
    place = str(read_json(own_file(folder, FILE)).get("base_model", "")) if (folder / FILE).exists() else ""
    if not place or not Path(place).is_dir():
        raise InputError(
            f"{folder}: its base model {folder_name(base_model)!r} was a folder of the machine that it was trained on "
            f"and is not here; copy it and name its place: optscale publish {folder} --base_model FOLDER"
        )
    return place
