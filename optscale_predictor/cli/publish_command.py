"""The verb that publishes predictors."""


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
    """Check a predictor checkpoint, write its model card, and put it on the hub or merge it into its base.

    Args:
        checkpoint: Predictor checkpoint: a folder; with --merged also a hub id.
        hub: Repository to upload to, for example `name/predictor`; made where it does not exist.
        private: Whether a repository that is made is private.
        merged: Folder for a copy whose updates are merged into the base model, which others load without a base; with
            --hub this copy is uploaded.
        license: For the card, as the hub names it: `mit`, `apache-2.0`.
        assessment: What `optscale assess` wrote, for the card's numbers; by default the checkpoint's own
            `assessment.json`, where it has one.
        base_model: Name that others find the base model by, where the checkpoint names a folder of this machine; it is
            loaded and must be the same weights.
        message: Of the upload's commit.
        revision: Branch to upload to, made where it does not exist.
    """
    from optscale_predictor.predictor.checkpoint.publish_predictor import Publication, publish_predictor

    publication = Publication(license, assessment, base_model, hub, private, message, revision)
    for line in publish_predictor(checkpoint, merged, publication):
        print(line)
