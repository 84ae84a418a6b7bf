"""Pools filled and scored by actors on a Ray cluster; this process alone writes to the pool."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.backends.verifiers import RewardVerifier
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.pools.preparation.ray.cluster import RayOptions, ray_session
from optscale_predictor.pools.preparation.ray.ray_backends import RayGenerator, RayVerifier, make_ray_verifier
from optscale_predictor.questions.question import Question

_MAP_SAMPLES = 1024  # samples that are drawn before a map is fitted on them


def generate_pool_with_ray(
    folder: str | Path,
    questions: Sequence[Question],
    generator: GeneratorOptions,
    num_samples: int,
    options: RayOptions | None = None,
    verifier: VerifierOptions | None = None,
    column: str = "score",
    **settings: Any,
) -> Pool:
    """As :func:`~optscale_predictor.pools.preparation.generate_pool`; where a verifier is named, samples come scored.

    What the pool holds unscored is scored first. A verifier of unbounded rewards needs its map to [0, 1] before it can
    score: it is the one in the pool's manifest, or is fitted on samples of the pool, of which the first thousand are
    drawn without it if there are none.

    Args:
        folder: The pool; made where it does not exist. Only this process writes to it.
        questions: Whose samples.
        generator: What each actor builds.
        num_samples: Samples a question, >= 1.
        options: The stages' resources.
        verifier: What each actor of a second stage builds; None to draw alone.
        column: Column of the pool that its scores are written to.
        **settings: Further arguments of ``generate_pool``.

    Raises:
        InputError: As ``generate_pool``, or Ray cannot be had.
        EngineError: Actors died too often.
    """
    options = options or RayOptions()
    if verifier is None:
        with ray_session([options.generation]):
            return generate_pool(folder, questions, RayGenerator(generator, options), num_samples, **settings)
    with ray_session([options.generation, options.scoring]):
        judge = make_ray_verifier(verifier, options)
        if judge.reads_logprobs:
            generator = replace(generator, sampling=replace(generator.sampling, logprobs=True))
        progress = bool(settings.get("progress", True))
        if not _has_samples(folder) and isinstance(judge, RewardVerifier) and judge.score_map is None:
            first = min(num_samples, ceil(_MAP_SAMPLES / len(questions)))
            generate_pool(folder, questions, RayGenerator(generator, options), first, **settings)
        if _has_samples(folder):
            score_pool(folder, judge, column, progress=progress)
        drawing = RayGenerator(generator, options, questions, judge.engine, {column: judge.describe()})
        return generate_pool(folder, questions, drawing, num_samples, **settings)


def score_pool_with_ray(
    folder: str | Path, verifier: VerifierOptions, options: RayOptions | None = None, **settings: Any
) -> Pool:
    """As :func:`~optscale_predictor.pools.preparation.score_pool`, by actors; this process reads and writes the pool.

    Args:
        folder: The pool.
        verifier: What each actor builds.
        options: Its ``scoring`` is used.
        **settings: Further arguments of ``score_pool``.

    Raises:
        InputError: As ``score_pool``, or Ray cannot be had.
        EngineError: Actors died too often.
    """
    options = options or RayOptions()
    Pool(folder)  # say that the pool is missing before a cluster is started
    with ray_session([options.scoring]):
        judge: RayVerifier = make_ray_verifier(verifier, options)
        return score_pool(folder, judge, **settings)


def _has_samples(folder: str | Path) -> bool:
    return (Path(folder) / "manifest.json").exists() and any(Pool(folder).counts().values())
