"""Filling a pool with samples."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from optscale_predictor.errors import InputError
from optscale_predictor.generators import Generator, Request, Sample, Usage
from optscale_predictor.generators.warning import warning_at_end
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.runs import record_run
from optscale_predictor.preparation.estimate import Refinement, estimate_generation
from optscale_predictor.preparation.repeats import RepeatWatch
from optscale_predictor.preparation.requests import missing_requests
from optscale_predictor.progress import progress_bar, say
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
    expected_tokens: float | None = None,
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
        progress: Whether to show what it will cost, samples, rate and time left.
        expected_tokens: Mean tokens that samples will have, > 0, for the estimate of an empty pool's cost.

    Raises:
        InputError: The pool was made with other settings, or is being written by another process.
    """
    _require_counts(num_samples=num_samples, shard_samples=shard_samples, samples_per_request=samples_per_request)
    prompt = prompt or PromptTemplate()
    settings = {"generator": dict(generator.describe()), "prompt": prompt.text}
    with PoolWriter(folder, questions, settings, shard_samples, generator.scored_by) as writer:
        requests = missing_requests(questions, writer.drawn, num_samples, prompt, samples_per_request)
        missing = sum(request.num_samples for request in requests)
        most = generator.sampling.max_tokens
        estimate = estimate_generation(writer.pool, len(questions), missing, most, expected_tokens)
        if progress and missing:
            say(f"estimate: {estimate}")
        run = _Run(writer, generator, Refinement(estimate, say if progress else _keep_quiet))
        run.draw(requests, len(questions) * num_samples - missing, progress)
    return Pool(folder)


@dataclass
class _Run:
    """One run's samples on their way into the pool."""

    writer: PoolWriter
    generator: Generator
    refinement: Refinement
    samples: int = 0
    tokens: int = 0
    spent_before: Usage = field(init=False)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Remembers what the engine had spent when the run began: it may serve several runs."""
        self.spent_before = replace(self.generator.usage)

    def draw(self, requests: Sequence[Request], already: int, progress: bool) -> None:
        """Draws all requests; what was drawn or thrown away is written down as a run, however it ends."""
        total = already + sum(request.num_samples for request in requests)
        watch = RepeatWatch(self.generator.sampling.temperature)
        try:
            with warning_at_end(self.generator), progress_bar("generate", total, already, progress) as bar:
                for request, samples in self.generator.generate(requests):
                    self._take(request, samples)
                    bar.update(len(samples))
                    doubt = watch.add(samples)
                    if doubt is not None:
                        say(doubt)
        finally:
            self._record()

    def _take(self, request: Request, samples: Sequence[Sample]) -> None:
        self.writer.append(request.question_id, request.first_index, samples)
        spent = sum(sample.num_tokens for sample in samples)
        self.samples, self.tokens = self.samples + len(samples), self.tokens + spent
        self.refinement.add(len(samples), spent, time.monotonic() - self.clock)

    def _record(self) -> None:
        facts = {"stage": "generate", "started": self.started.isoformat(timespec="seconds")}
        spent = {"seconds": round(time.monotonic() - self.clock, 3), "samples": self.samples, "tokens": self.tokens}
        usage = self.generator.usage.since(self.spent_before)
        if self.samples or usage.discarded_tokens:
            record_run(self.writer.pool.folder, {**facts, **spent, **vars(usage)})


def _require_counts(**counts: int) -> None:
    for name, number in counts.items():
        if number < 1:
            raise InputError(f"{name} must be >= 1, got {number}")


def _keep_quiet(_: str) -> None:
    """Says nothing."""
