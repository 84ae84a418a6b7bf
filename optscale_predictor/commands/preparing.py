"""The verbs of data preparation: generate, score, targets, pool."""

from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor.questions import Question


def generate(
    pool: str,
    questions: str = "embedded:train",
    num_samples: int = 64,
    generator: str | None = None,
    base_url: str | None = None,
    chat: bool = False,
    prompt_file: str | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 256,
    stop: tuple[str, ...] = (),
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 512,
    concurrency: int = 32,
    trust_remote_code: bool = False,
) -> None:
    """Sample answers into a pool; a rerun continues where it stopped.

    Args:
        pool: Folder of the pool; made where it does not exist.
        questions: JSON lines with `question` and, optionally, `id` and `answer`; or `embedded:train`,
            `embedded:test` (`embedded:test:200` for another number of questions).
        num_samples: Samples a question, >= 1.
        generator: Model folder, hub id or `embedded:generator`; with base_url the served model's name.
        base_url: An OpenAI-compatible server, for example http://127.0.0.1:8000/v1.
        chat: Whether to ask the server's chat endpoint (with its chat template).
        prompt_file: Text file with {question} in it; the bare question by default.
        temperature: Softmax temperature, >= 0.
        top_p: Nucleus mass, in (0, 1].
        max_tokens: Most tokens a sample may have, >= 1.
        stop: Strings that end a sample.
        seed: Base seed, >= 0.
        limit: Use only the first questions.
        batch_size: Samples in one batch of an in-process model, >= 1.
        concurrency: Requests under way at once at a server, >= 1.
        trust_remote_code: Whether to run code that a model's repository brings.
    """
    from optscale_predictor.engines import make_generator
    from optscale_predictor.generators import SamplingParams
    from optscale_predictor.preparation import generate_pool
    from optscale_predictor.prompts import PromptTemplate

    asked = load_questions(questions, limit)
    prompt = PromptTemplate.from_file(prompt_file)
    sampling = SamplingParams(temperature, top_p, max_tokens, tuple(stop), seed)
    engine = make_generator(
        generator or (None if base_url else "embedded:generator"),
        sampling,
        base_url,
        chat,
        batch_size,
        concurrency,
        trust_remote_code,
    )
    made = generate_pool(pool, asked, engine, num_samples, prompt)
    print(f"{pool}: {sum(made.counts().values())} samples of {len(made.questions)} questions")


def score(
    pool: str, verifier: str = "embedded:verifier", batch_size: int = 256, trust_remote_code: bool = False
) -> None:
    """Score a pool's samples that have no score yet; generates nothing.

    Args:
        pool: Folder of the pool.
        verifier: Reward model (folder, hub id or `embedded:verifier`), or your own as `python:module:function`.
        batch_size: Samples in one batch, >= 1.
        trust_remote_code: Whether to run code that a model's repository brings.
    """
    from optscale_predictor.engines import make_verifier
    from optscale_predictor.pools import Pool
    from optscale_predictor.preparation import score_pool

    Pool(pool)  # say that the pool is missing before a large verifier is loaded
    scored = score_pool(pool, make_verifier(verifier, batch_size, trust_remote_code))
    print(f"{pool}: {sum(scored.counts().values())} samples scored")


def targets(pool: str, output: str = "targets.parquet", validation_share: float = 0.1, seed: int = 0) -> None:
    """Derive each question's score statistics and targets from a scored pool.

    Args:
        pool: Folder of the pool.
        output: Parquet file to write.
        validation_share: Share of questions kept for validation, in [0, 1).
        seed: Which ones.
    """
    from optscale_predictor.pools import Pool
    from optscale_predictor.targets import make_targets, write_targets

    table = make_targets(Pool(pool), validation_share, seed)
    write_targets(table, output)
    print(f"{output}: targets of {table.num_rows} questions")


def pool(folder: str) -> None:
    """Show what a pool holds and how it was made.

    Args:
        folder: Folder of the pool.
    """
    import json

    from optscale_predictor.pools import Pool

    opened = Pool(folder)
    counts = opened.counts().values()
    rows = opened.read(["score", "correct", "num_tokens"])
    scored = rows.num_rows - rows["score"].null_count
    print(f"questions  {len(opened.questions)}")
    print(f"samples    {rows.num_rows} ({min(counts)} to {max(counts)} a question), {scored} scored")
    print(f"tokens     {sum(rows['num_tokens'].to_pylist())}")
    print(json.dumps(opened.manifest, indent=2))


def load_questions(name: str, limit: int | None = None) -> "list[Question]":
    """Questions of a file, or of the embedded world by ``embedded:SPLIT`` or ``embedded:SPLIT:NUMBER``."""
    from optscale_predictor.questions import read_questions

    if not name.startswith("embedded:"):
        return read_questions(Path(name), limit)
    from optscale_predictor.world.arithmetic import make_questions

    _, split, *number = name.split(":")
    if split not in ("train", "test") or len(number) > 1 or not all(part.isdigit() for part in number):
        raise InputError(f"questions {name!r}: expected embedded:train or embedded:test, then :NUMBER if you like")
    count = int(number[0]) if number else 200
    return make_questions(count if limit is None else min(count, limit), seed=0, split=split)
