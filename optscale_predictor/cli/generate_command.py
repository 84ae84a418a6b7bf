"""The verb that draws samples into a pool."""

from typing import Any

from optscale_predictor.backends.default_verifier import verifier_for
from optscale_predictor.backends.options import NO_VERIFIER, GeneratorOptions, VerifierOptions
from optscale_predictor.errors import InputError
from optscale_predictor.pools.preparation.ray.cluster import RayOptions

_GENERATOR, _VERIFIER = GeneratorOptions(), VerifierOptions(NO_VERIFIER)


def generate(
    pool: str,
    questions: str = "embedded:train",
    dataset: str | None = None,
    question_column: str | None = None,
    answer_column: str | None = None,
    limit: int | None = None,
    num_samples: int = 64,
    prompt_file: str | None = None,
    expected_tokens: float | None = None,
    samples_per_request: int = 16,
    shard_samples: int = 512,
    generator: GeneratorOptions = _GENERATOR,
    verifier: VerifierOptions = _VERIFIER,
    column: str = "score",
    ray: RayOptions | None = None,
) -> None:
    """Sample answers into a pool; a rerun continues where it stopped.

    Args:
        pool: Folder of the pool; made where it does not exist.
        questions: JSON lines or CSV with `question` and, optionally, `id` and `answer`; `embedded:train` or
            `embedded:test` (`embedded:test:200` for another number of questions); `gsm8k:train`, `gsm8k:test`,
            `math:train`, `math:test`, `math500`, `aime24`, `aime25`, `amc23`, `svamp:train`, `svamp:test`, `asdiv`; or
            `hub:DATASET`, `hub:DATASET:SPLIT` or `hub:DATASET:CONFIG:SPLIT` for what `datasets` can load (a hub id or
            a folder).
        dataset: Hub id or folder to read in place of a named data set's own, laid out as that is.
        question_column: Column of a data set's questions; guessed by default.
        answer_column: Column of its answers or worked solutions; guessed by default.
        limit: Use only the first questions.
        num_samples: Samples a question, >= 1.
        prompt_file: Text file with {question} in it; by default the bare question, or a fine-tuned generator's own.
        expected_tokens: Mean tokens of a sample, > 0, for the estimate of what an empty pool will cost; max_tokens,
            an upper bound, by default.
        samples_per_request: Most samples of a question that are asked for at once, >= 1; their prompt is read once.
        shard_samples: Samples after which a shard is committed, >= 1, if a minute is not over before: what a kill can
            cost.
        generator: What draws the samples.
        verifier: What scores the samples as they are drawn, over Ray alone; none by default.
        column: Column of the pool that the verifier's scores are written to: `score`, or `score_NAME`.
        ray: Run on a Ray cluster (the one at RAY_ADDRESS, else this machine alone), with these actors.
    """
    from optscale_predictor.questions.question_sets import load_question_set

    if ray is None and verifier.wanted:
        raise InputError("verifier: samples are scored as they are drawn over ray alone; else run: optscale score")
    asked = load_question_set(questions, limit, dataset, question_column, answer_column)
    from optscale_predictor.backends.learnt_prompts import prompt_template
    from optscale_predictor.pools.preparation import generate_pool

    settings: dict[str, Any] = {
        "prompt": prompt_template(prompt_file, generator),
        "expected_tokens": expected_tokens,
        "samples_per_request": samples_per_request,
        "shard_samples": shard_samples,
    }
    if ray is None:
        made = generate_pool(pool, asked, generator.build(), num_samples, **settings)
    else:
        from optscale_predictor.pools.preparation.ray.ray_preparation import generate_pool_with_ray

        judge = verifier_for(generator, verifier) if verifier.wanted else None
        made = generate_pool_with_ray(pool, asked, generator, num_samples, ray, judge, column, **settings)
    print(f"{pool}: {sum(made.counts().values())} samples of {len(made.questions)} questions")
