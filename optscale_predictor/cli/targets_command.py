"""The verb that derives targets from a pool."""


def targets(
    pool: str,
    output: str = "targets/targets.parquet",
    validation_share: float = 0.1,
    seed: int = 0,
    column: str = "score",
    near_duplicates: float = 0.8,
    same_numbers: bool = False,
    card: bool = True,
    license: str | None = None,
) -> None:
    """Derive each question's score statistics and targets from a scored pool, with a dataset card and histograms.

    Args:
        pool: Folder of the pool.
        output: Parquet file to write; README.md (the card) and histograms.html (the page) go beside it.
        validation_share: Share of questions kept for validation, in [0, 1).
        seed: Seed of the split, >= 0: which questions are kept for validation.
        column: The score, where a pool has several.
        near_duplicates: Similarity from which questions stay on one side of the split, in (0, 1]; 1 is for equal ones.
        same_numbers: Whether questions that differ in their numbers alone may be split.
        card: Whether to write README.md and histograms.html.
        license: The targets' licence as the hub names it, for the card; left open by default.
    """
    from optscale_predictor._support.number_checks import require_seed
    from optscale_predictor.pools import Pool
    from optscale_predictor.stats.distributions.family_choice import UNIFORM_LOG_LIKELIHOOD
    from optscale_predictor.targets import SplitRule, write_dataset

    require_seed(seed)
    rule = SplitRule(validation_share, seed, near_duplicates, same_numbers)
    written = write_dataset(Pool(pool), output, rule, column, card, license, progress=True)
    summary = written.summary
    sides = ", ".join(f"{count} {side.replace('_', ' ')}" for side, count in sorted(summary.sides.items()))
    print(f"{output}: targets of {summary.questions} questions ({sides})")
    if summary.family is not None:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in summary.family.log_likelihood.items())
        known = f"log-likelihood of a held-out one (uniform {UNIFORM_LOG_LIKELIHOOD:.3f})"
        print(f"scores follow {summary.family.name} best, by the {known}: {figures}")
    if summary.unscored_questions:
        print(f"note: {summary.unscored_questions} questions have no row: the verifier refused all of their samples")
    if written.note:
        print(f"note: {written.note}")
