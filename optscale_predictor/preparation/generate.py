"""Filling a pool with samples."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from optscale_predictor.errors import InputError
from optscale_predictor.generators import Generator
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.runs import record_run
from optscale_predictor.preparation.requests import missing_requests
from optscale_predictor.prompts import PromptTemplate
from optscale_predictor.questions import Question


def generate_pool(
    folder: str | Path,
    questions: Sequence[Question],
    generator: Generator,
    num_samples: int,
    prompt: PromptTemplate | None = None,
    shard_samples: int = 512,
    samples_per_request: int = 16,
    progress: bool = True,
) -> Pool:
    """Draws samples until every question has ``num_samples``; what the pool already holds is not drawn again.

    Args:
        folder: The pool; made where it does not exist.
        questions: Whose samples; questions that the pool does not have yet join it.
        generator: Draws samples.
        num_samples: Samples a question, >= 1.
        prompt: The prompt around a question; the bare question by default.
        shard_samples: Samples after which a shard is committed, >= 1: what a kill can cost.
        samples_per_request: Most samples that are asked for at once, >= 1.
        progress: Whether to show samples, rate and time left.

    Raises:
        InputError: The pool was made with other settings, or is being written by another process.
    """
    for name, number in (
        ("num_samples", num_samples),
        ("shard_samples", shard_samples),
        ("samples_per_request", samples_per_request),
    ):
        if number < 1:
            raise InputError(f"{name} must be >= 1, got {number}")
    prompt = prompt or PromptTemplate()
    settings = {"generator": dict(generator.describe()), "prompt": prompt.text}
    with PoolWriter(folder, questions, settings, shard_samples) as writer:
        requests = missing_requests(questions, writer.drawn, num_samples, prompt, samples_per_request)
        total = len(questions) * num_samples
        missing = sum(request.num_samples for request in requests)
        started, clock, tokens, drawn = datetime.now(UTC), time.monotonic(), 0, 0
        with tqdm(total=total, initial=total - missing, unit=" samples", desc="generate", disable=not progress) as bar:
            try:
                for request, samples in generator.generate(requests):
                    writer.append(request.question_id, request.first_index, samples)
                    bar.update(len(samples))
                    drawn += len(samples)
                    tokens += sum(sample.num_tokens for sample in samples)
            finally:
                if drawn:
                    facts = {"stage": "generate", "started": started.isoformat(timespec="seconds")}
                    usage = vars(generator.usage)
                    record = {"seconds": round(time.monotonic() - clock, 3), "samples": drawn, "tokens": tokens}
                    record_run(Path(folder), {**facts, **record, **usage})
    return Pool(folder)
