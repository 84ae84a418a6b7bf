"""What a checkpoint says of its own making, held against the file that it is assessed on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor.predictor.config import PredictorConfig
    from optscale_predictor.predictor.targets import Target


def read_sides(path: str | Path, config: "PredictorConfig") -> "list[Target]":
    """The targets with their sides: as the file says or, where it does not, by the rule the checkpoint was made with.

    Raises:
        InputError: The file cannot be read, or the checkpoint's rule.
    """
    from optscale_predictor.predictor.targets import DataSplit, read_targets

    rule = config.data.get("split", {})
    try:
        split = DataSplit(**rule)
    except (TypeError, InputError) as error:
        raise InputError(f"the checkpoint's split rule cannot be used: {error}".splitlines()[0]) from None
    return read_targets(path, split)


def of_source(targets: "Sequence[Target]", source: str | None, path: str | Path) -> "list[Target]":
    """The targets of one source of scores; all, where the file has one source alone.

    Raises:
        InputError: The file has several, and none of them is named.
    """
    names = sorted({target.source for target in targets})
    if len(names) == 1:
        return list(targets)
    if source not in names:
        raise InputError(f"{path}: source must be one of {', '.join(names)}, got {source!r}")
    return [target for target in targets if target.source == source]


def provenance_notes(targets: "Sequence[Target]", split: str, config: "PredictorConfig") -> list[str]:
    """What a reader must know of how far the predictor is from the questions that it is assessed on.

    Args:
        targets: All that the file has.
        split: The split that is held out.
        config: The predictor's.
    """
    from optscale_predictor.predictor.targets import fingerprint
    from optscale_predictor.targets.splitting import VALIDATION

    said, found, notes = config.data.get("fingerprint"), fingerprint(targets), []
    if not said:
        notes.append("The checkpoint does not say what it was trained on; that it was not on these rests on the file.")
    elif said != found:
        notes.append(
            f"The checkpoint was trained with other targets (fingerprint {str(said)[:40]}, this file has {found}): "
            "that it was not trained on these questions rests on the file's split."
        )
    if split == VALIDATION and config.data:
        notes.append(
            "Training stopped, and its best checkpoint was chosen, by these questions; `test` ones saw neither."
        )
    return notes
