"""The verb that scores a pool's samples."""

from optscale_predictor.backends.default_verifier import verifier_of_samples
from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.errors import InputError
from optscale_predictor.pools.preparation.ray.cluster import RayOptions

_VERIFIER = VerifierOptions()


def score(
    pool: str,
    verifier: VerifierOptions = _VERIFIER,
    column: str = "score",
    retry_refused: bool = False,
    ray: RayOptions | None = None,
) -> None:
    """Score a pool's samples that have no score yet; generates nothing.

    Args:
        pool: Folder of the pool.
        verifier: What scores them.
        column: Where the scores go: `score`, or `score_NAME` beside it.
        retry_refused: Whether to score again what the verifier refused before.
        ray: Run on a Ray cluster (the one at RAY_ADDRESS, else this machine alone), with these actors.
    """
    from optscale_predictor.pools import Pool, ScoreColumns, lock_pool
    from optscale_predictor.pools.info import pool_info
    from optscale_predictor.pools.preparation import first_refusal, score_pool

    # That the pool is missing, or somebody else's, is said before a large verifier is loaded.
    found = Pool(pool)
    lock_pool(pool).close()
    ScoreColumns(column)
    verifier = verifier_of_samples(found.generator.get("model"), verifier)
    if ray is None:
        scored = score_pool(pool, verifier.build(), column, retry_refused)
    else:
        from optscale_predictor.pools.preparation.ray.ray_preparation import score_pool_with_ray

        scored = score_pool_with_ray(pool, verifier, ray, column=column, retry_refused=retry_refused)
    info = pool_info(scored).scores[column]
    refused = f", {info.refused} refused, the first because {first_refusal(scored, column)}" if info.refused else ""
    if info.refused and not retry_refused:
        refused += "; --retry_refused true scores these again"
    if info.refused and not info.scored:
        raise InputError(f"{pool}: no sample is scored{refused}")
    print(f"{pool}: {info.scored} samples scored{refused}")
