"""The verbs of data preparation: generate, score, targets."""

from typing import Any

from optscale_predictor.backends.generators import ServerOptions, VLLMOptions
from optscale_predictor.errors import InputError
from optscale_predictor.pools.preparation.ray.cluster import RayOptions


def generate(
    pool: str,
    questions: str = "embedded:train",
    dataset: str | None = None,
    question_column: str | None = None,
    answer_column: str | None = None,
    num_samples: int = 64,
    generator: str | None = None,
    engine: str = "auto",
    base_url: str | None = None,
    chat: bool = False,
    prompt_file: str | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 256,
    stop: tuple[str, ...] = (),
    thinking: str = "keep",
    seed: int = 0,
    limit: int | None = None,
    expected_tokens: float | None = None,
    samples_per_request: int = 16,
    shard_samples: int = 512,
    batch_size: int = 512,
    concurrency: int = 32,
    server: ServerOptions | None = None,
    vllm: VLLMOptions | None = None,
    ray: RayOptions | None = None,
    verifier: str | None = None,
    verifier_url: str | None = None,
    verifier_layout: str = "auto",
    verifier_aggregate: str = "mean",
    verifier_separator: str | None = None,
    column: str = "score",
    trust_remote_code: bool = False,
) -> None:
    """Sample answers into a pool; a rerun continues where it stopped.

    Args:
        pool: Folder of the pool; made where it does not exist.
        questions: JSON lines with `question` and, optionally, `id` and `answer`; `embedded:train` or `embedded:test`
            (`embedded:test:200` for another number of questions); `gsm8k:train`, `gsm8k:test`, `math:train`,
            `math:test`, `math500`, `aime24`, `aime25` or `amc23`; or `hub:DATASET`, `hub:DATASET:SPLIT` or
            `hub:DATASET:CONFIG:SPLIT` for what `datasets` can load (a hub id or a folder).
        dataset: Hub id or folder to read in place of a named data set's own, laid out as that is.
        question_column: Column of a data set's questions; guessed by default.
        answer_column: Column of its answers or worked solutions; guessed by default.
        num_samples: Samples a question, >= 1.
        generator: Model folder, hub id or `embedded:generator`; with base_url the served model's name.
        engine: `transformers` (batches of like lengths), `continuous` (transformers with continuous batching), `vllm`
            (in this process), `server` (at base_url); `auto` is the server where base_url is given, else transformers,
            continuously batched on a GPU with flash attention.
        base_url: OpenAI-compatible server, for example http://127.0.0.1:8000/v1, or several of one model, separated by
            spaces.
        chat: Whether to put prompts into the model's chat template.
        prompt_file: Text file with {question} in it; the bare question by default.
        temperature: Softmax temperature, >= 0.
        top_p: Nucleus mass, in (0, 1].
        max_tokens: Most tokens a sample may have, >= 1.
        stop: Strings that end a sample.
        thinking: `keep` or `strip` what a reasoning model writes up to `</think>`; its tokens are counted either way.
        seed: Base seed, >= 0.
        limit: Use only the first questions.
        expected_tokens: Mean tokens of a sample, > 0, for the estimate of what an empty pool will cost; max_tokens,
            an upper bound, by default.
        samples_per_request: Most samples of a question that are asked for at once, >= 1; their prompt is read once.
        shard_samples: Samples after which a shard is committed, >= 1: what a kill can cost.
        batch_size: Most samples at once of a transformers model, >= 1.
        concurrency: Requests under way at once at a server, >= 1.
        server: How a server is asked.
        vllm: Options of an in-process vLLM.
        ray: Run on a Ray cluster (the one at RAY_ADDRESS, else this machine alone), with these actors.
        verifier: With ray, score samples as they are drawn: a verifier as `optscale score` takes it.
        verifier_url: Server of the verifier; in its actors by default.
        verifier_layout: How a process reward model reads steps, as in `optscale score`.
        verifier_aggregate: What its steps' scores become: their `mean`, `min` or `product`, or the `last` one.
        verifier_separator: What stands between two steps, as in `optscale score`.
        column: Where its scores go: `score`, or `score_NAME`.
        trust_remote_code: Whether to run code that a model's repository brings.
    """
    from optscale_predictor.backends.engine_specs import GeneratorSpec, VerifierSpec
    from optscale_predictor.backends.generators import SamplingParams
    from optscale_predictor.pools.preparation import generate_pool
    from optscale_predictor.questions.prompts import PromptTemplate
    from optscale_predictor.questions.question_sets import load_question_set

    asked = load_question_set(questions, limit, dataset, question_column, answer_column)
    prompt = PromptTemplate.from_file(prompt_file)
    sampling = SamplingParams(temperature, top_p, max_tokens, tuple(stop), seed, thinking)
    name = generator or (None if base_url else "embedded:generator")
    spec = GeneratorSpec(
        name, sampling, base_url, chat, batch_size, concurrency, trust_remote_code, engine, server, vllm
    )
    amounts = {"samples_per_request": samples_per_request, "shard_samples": shard_samples}
    settings: dict[str, Any] = {"prompt": prompt, "expected_tokens": expected_tokens, **amounts}
    if ray is not None:
        from optscale_predictor.pools.preparation.ray.run_over_ray import generate_pool_over_ray

        scoring = {"trust_remote_code": trust_remote_code, "base_url": verifier_url, "layout": verifier_layout}
        scoring |= {"aggregate": verifier_aggregate, "separator": verifier_separator}
        judge = VerifierSpec(verifier, scoring) if verifier else None
        made = generate_pool_over_ray(pool, asked, spec, num_samples, ray, judge, column, **settings)
    elif verifier is not None:
        raise InputError("verifier: samples are scored as they are drawn over ray alone; else run: optscale score")
    else:
        made = generate_pool(pool, asked, spec.build(), num_samples, **settings)
    print(f"{pool}: {sum(made.counts().values())} samples of {len(made.questions)} questions")


def score(
    pool: str,
    verifier: str = "embedded:verifier",
    column: str = "score",
    retry_refused: bool = False,
    layout: str = "auto",
    aggregate: str = "mean",
    separator: str | None = None,
    base_url: str | None = None,
    rubric: str | None = None,
    concurrency: int = 32,
    batch_size: int = 256,
    ray: RayOptions | None = None,
    trust_remote_code: bool = False,
) -> None:
    """Score a pool's samples that have no score yet; generates nothing.

    Args:
        pool: Folder of the pool.
        verifier: Reward model or process reward model (folder, hub id or `embedded:verifier`); your own as
            `python:module:function`; a chat model as `judge:MODEL`; `math_verify` for right or wrong against the gold
            answers.
        column: Where the scores go: `score`, or `score_NAME` beside it.
        retry_refused: Whether to score again what the verifier refused before.
        layout: How a process reward model reads steps: `qwen`, `math_shepherd`, `rlhflow` or `skywork`; its config
            tells, unless it is a plain language model.
        aggregate: What the steps' scores become: their `mean`, `min` or `product`, or the `last` one.
        separator: What stands between two steps (a backslash and an n for a line break); by default what the layout
            has, which is blank lines, or lines for `skywork`.
        base_url: Server of a judge (any OpenAI-compatible one) or of a reward model (vLLM; the verifier's name is then
            for its tokenizer), for example http://127.0.0.1:8000/v1, or several, separated by spaces.
        rubric: Text file with a judge's instructions; one for maths answers by default.
        concurrency: Requests under way at once at a server, >= 1.
        batch_size: Samples in one batch, >= 1.
        ray: Run on a Ray cluster (the one at RAY_ADDRESS, else this machine alone), with these actors.
        trust_remote_code: Whether to run code that a model's repository brings.
    """
    from optscale_predictor.backends.engine_specs import VerifierSpec
    from optscale_predictor.pools import Pool, ScoreColumns, lock_pool
    from optscale_predictor.pools.info import pool_info
    from optscale_predictor.pools.preparation import first_refusal, score_pool

    Pool(pool)  # say that the pool is missing, or somebody else's, before a large verifier is loaded
    lock_pool(pool).close()
    ScoreColumns(column)
    options = {"batch_size": batch_size, "trust_remote_code": trust_remote_code, "base_url": base_url}
    options |= {"concurrency": concurrency, "rubric": rubric}
    spec = VerifierSpec(verifier, options | {"layout": layout, "aggregate": aggregate, "separator": separator})
    if ray is not None:
        from optscale_predictor.pools.preparation.ray.run_over_ray import score_pool_over_ray

        scored = score_pool_over_ray(pool, spec, ray, column=column, retry_refused=retry_refused)
    else:
        scored = score_pool(pool, spec.build(), column, retry_refused)
    info = pool_info(scored).scores[column]
    refused = f", {info.refused} refused, the first because {first_refusal(scored, column)}" if info.refused else ""
    print(f"{pool}: {info.scored} samples scored{refused}")


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
        seed: Which ones.
        column: The score, where a pool has several.
        near_duplicates: Similarity from which questions stay on one side of the split, in (0, 1]; 1 is for equal ones.
        same_numbers: Whether questions that differ in their numbers alone may be split.
        card: Whether to write README.md and histograms.html.
        license: The targets' licence as the hub names it, for the card; left open by default.
    """
    from optscale_predictor.pools import Pool
    from optscale_predictor.targets import SplitRule, write_dataset

    rule = SplitRule(validation_share, seed, near_duplicates, same_numbers)
    written = write_dataset(Pool(pool), output, rule, column, card, license)
    summary = written.summary
    sides = ", ".join(f"{count} {side.replace('_', ' ')}" for side, count in sorted(summary.sides.items()))
    print(f"{output}: targets of {summary.questions} questions ({sides})")
    if summary.unscored_questions:
        print(f"note: {summary.unscored_questions} questions have no row: the verifier refused all of their samples")
    if written.note:
        print(f"note: {written.note}")
