"""The verb that publishes predictors, trained verifiers and fine-tuned generators."""

from collections.abc import Mapping
from pathlib import Path

from optscale_predictor.errors import InputError


def publish(
    checkpoint: str,
    hub: str | None = None,
    private: bool = False,
    merged: str | None = None,
    license: str | None = None,
    assessment: str | None = None,
    base_model: str | None = None,
    message: str | None = None,
    revision: str | None = None,
) -> None:
    """Check a predictor, a trained verifier or a generator, write its card, upload it; or merge a predictor.

    Args:
        checkpoint: Folder of a predictor, or of a verifier or generator as train-verifier and train-generator write it;
            with --merged a predictor's, which may be a hub id.
        hub: Repository to upload to, for example `name/predictor`; made where it does not exist.
        private: Whether a repository that is made is private.
        merged: Folder for a copy of a predictor whose updates are merged into the base model, which others load without
            a base; with --hub this copy is uploaded.
        license: For the card, as the hub names it: `mit`, `apache-2.0`.
        assessment: What `optscale assess` wrote of a predictor, for the card's numbers; by default the checkpoint's own
            `assessment.json`, where it has one.
        base_model: Name that others find the base model by, where the checkpoint names a folder of this machine; it is
            loaded and must be the same weights.
        message: Of the upload's commit.
        revision: Branch to upload to, made where it does not exist.
    """
    from optscale_predictor.backends.adapters.generator_config import GENERATOR_FILE
    from optscale_predictor.backends.verifiers.trained_config import TRAINED_VERIFIER_FILE

    if hub is not None:
        from optscale_predictor._support.hub import require_repository

        require_repository(hub)
    folder, of_predictor = Path(checkpoint), {"merged": merged, "assessment": assessment}
    if (folder / TRAINED_VERIFIER_FILE).is_file():
        _require_none(of_predictor, f"{checkpoint} is a trained verifier")
        from optscale_predictor.backends.verifiers.training.publish_verifier import publish_verifier

        lines = publish_verifier(folder, hub, private, license, base_model, message, revision)
    elif (folder / GENERATOR_FILE).is_file():
        _require_none(of_predictor, f"{checkpoint} is a generator: see `optscale merge-generator`")
        from optscale_predictor.backends.generators.training.publish_generator import publish_generator

        lines = publish_generator(folder, hub, private, license, base_model, message, revision)
    else:
        from optscale_predictor.predictor.checkpoint.publish_predictor import Publication, publish_predictor

        publication = Publication(license, assessment, base_model, hub, private, message, revision)
        lines = publish_predictor(checkpoint, merged, publication)
    for line in lines:
        print(line)


def _require_none(flags: Mapping[str, str | None], why: str) -> None:
    for name, value in flags.items():
        if value is not None:
            raise InputError(f"--{name} goes with a predictor, and {why}")
