"""Filling a pool with samples: which requests it still lacks, and one run that draws them.

A run also watches for an engine that does not sample. Some servers decode greedily whatever temperature they are asked
for, or draw the same random numbers for every request; a pool of such samples is worthless and looks like any other.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from optscale_predictor._support.progress import progress_bar
from optscale_predictor._support.stop_signals import signals_end_run, signals_held
from optscale_predictor.backends.generators import Generator, Request, Sample, Usage, warning_at_end
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.manifest import run_recorded
from optscale_predictor.pools.preparation.cost_estimate import RefinedEstimate, estimate_generation
from optscale_predictor.pools.preparation.token_rate import TokenRate
from optscale_predictor.pools.schema import MOST_SAMPLES
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question import Question

_LOG = logging.getLogger(__name__)
_REQUESTS_AT_ONCE = 2**18  # handed to an engine; over Ray each time starts its processes anew
_EQUAL_REQUESTS = 32  # requests of several samples, all of them equal, before the user is warned


@dataclass
class RepeatWatch:
    """Watches the samples of one run for requests whose samples are all the same text.

    Attributes:
        temperature: As asked for, >= 0; nothing is said of greedy samples (0).
    """

    temperature: float
    _requests: int = 0
    _varied: bool = False

    def add(self, samples: Sequence[Sample]) -> str | None:
        """Looks at the samples of one request; the warning, once, or None."""
        if len(samples) < 2 or self._varied or self.temperature == 0:
            return None
        self._varied = len({sample.text for sample in samples}) > 1
        self._requests += not self._varied
        if self._varied or self._requests != _EQUAL_REQUESTS:
            return None
        return (
            f"in each of the first {_EQUAL_REQUESTS} requests all samples are the same text, at temperature "
            f"{self.temperature:g}: does this engine sample? Some servers need to be told (extra_body)"
        )


def missing_requests(
    questions: Sequence[Question],
    drawn: Mapping[str, int],
    num_samples: int,
    prompt: Callable[[str], str],
    samples_per_request: int,
) -> Iterator[Request]:
    """Requests for every sample below ``num_samples`` that is not drawn yet, question after question.

    Requests are cut at multiples of ``samples_per_request``, so that what a kill lost is asked for by the same requests
    (and the same seeds) as before.

    Args:
        questions: Whose samples.
        drawn: As :meth:`Pool.drawn` gives it.
        num_samples: Samples that each question should have, >= 1.
        prompt: Makes a question's text what the generator reads.
        samples_per_request: Most samples a request, >= 1.
    """
    for question in questions:
        text = prompt(question.text)
        for first, end in _gaps(drawn[question.id], num_samples, samples_per_request):
            yield Request(question.id, text, end - first, first)


def count_missing(questions: Sequence[Question], drawn: Mapping[str, int], num_samples: int) -> int:
    """How many samples :func:`missing_requests` asks for.

    Args:
        questions: Whose samples.
        drawn: As :meth:`Pool.drawn` gives it.
        num_samples: Samples that each question should have, >= 1.
    """
    wanted = (1 << num_samples) - 1
    return sum(num_samples - (drawn[question.id] & wanted).bit_count() for question in questions)


def _gaps(drawn: int, num_samples: int, step: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges of indices that are not drawn; none crosses a multiple of ``step``."""
    for start in range(0, num_samples, step):
        end = min(start + step, num_samples)
        held = drawn >> start & (1 << end - start) - 1 if start < drawn.bit_length() else 0
        first = start
        while held:  # the lowest sample that is there, and what is missing before it
            there = start + (held & -held).bit_length() - 1
            if first < there:
                yield first, there
            first = there + 1
            held &= held - 1
        if first < end:
            yield first, end


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
        num_samples: Samples a question, in [1, 2^24].
        prompt: The prompt around a question; the bare question by default.
        shard_samples: Samples after which a shard is committed, >= 1, if a minute is not over before: what a kill can
            cost.
        samples_per_request: Most samples that are asked for at once, >= 1.
        progress: Whether to show what it will cost, samples, rate and time left.
        expected_tokens: Mean tokens that samples will have, > 0, for the estimate of an empty pool's cost.

    Raises:
        InputError: The pool was made with other settings, or is being written by another process.
    """
    _require_counts(num_samples=num_samples, shard_samples=shard_samples, samples_per_request=samples_per_request)
    if num_samples > MOST_SAMPLES:
        raise InputError(f"num_samples must be <= {MOST_SAMPLES:,}, got {num_samples:,}")
    prompt = prompt or PromptTemplate()
    settings = {"generator": dict(generator.describe()), "prompt": prompt.text}
    drawn_by = generator.scored_by
    with signals_end_run(), PoolWriter(folder, questions, settings, shard_samples, drawn_by) as writer:
        requests = missing_requests(questions, writer.drawn, num_samples, prompt, samples_per_request)
        missing = count_missing(questions, writer.drawn, num_samples)
        most = generator.sampling.max_tokens
        estimate = estimate_generation(writer.pool, len(questions), missing, most, expected_tokens)
        if progress and missing:
            _LOG.info(f"estimate: {estimate}")
        run = _Run(writer, generator, RefinedEstimate(estimate, _LOG.info if progress else _keep_quiet))
        run.draw(requests, missing, len(questions) * num_samples - missing, progress)
    return Pool(folder)


@dataclass
class _Run:
    """One run's samples on their way into the pool."""

    writer: PoolWriter
    generator: Generator
    refinement: RefinedEstimate
    samples: int = 0
    tokens: int = 0
    spent_before: Usage = field(init=False)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Remembers what the engine had spent when the run began: it may serve several runs."""
        self.spent_before = replace(self.generator.usage)

    def draw(self, requests: Iterable[Request], missing: int, already: int, progress: bool) -> None:
        """Draws all requests; what was drawn or thrown away is written down as a run, however it ends."""
        total = already + missing
        watch = RepeatWatch(self.generator.sampling.temperature)
        # The run is logged last and in any case: its samples are committed by then, or lost and drawn by another run.
        with (
            run_recorded(self.writer.pool.folder, self._facts),
            warning_at_end(self.generator),
            progress_bar("generate", total, already, progress) as bar,
        ):
            rate = TokenRate(bar)
            with rate.watching(self.generator):
                for request, samples in self._drawn(requests):
                    self._take(request, samples)
                    rate.at_least(self.tokens)
                    bar.update(len(samples))
                    doubt = watch.add(samples)
                    if doubt is not None:
                        _LOG.warning(doubt)

    def _drawn(self, requests: Iterable[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        # Millions of requests are not listed before the first is drawn; an engine idles at the end of each list alone.
        left = iter(requests)
        while part := list(islice(left, _REQUESTS_AT_ONCE)):
            yield from self.generator.generate(part)

    def _take(self, request: Request, samples: Sequence[Sample]) -> None:
        with signals_held():  # from here on they count as drawn
            self.writer.append(request.question_id, request.first_index, samples)
            spent = sum(sample.num_tokens for sample in samples)
            self.samples, self.tokens = self.samples + len(samples), self.tokens + spent
        self.refinement.add(len(samples), spent, time.monotonic() - self.clock)

    def _facts(self) -> dict[str, object] | None:
        began = {"stage": "generate", "started": self.started.isoformat(timespec="seconds")}
        spent = {"seconds": round(time.monotonic() - self.clock, 3), "samples": self.samples, "tokens": self.tokens}
        usage = self.generator.usage.since(self.spent_before)
        return {**began, **spent, **vars(usage)} if self.samples or usage.discarded_tokens else None


def _require_counts(**counts: int) -> None:
    for name, number in counts.items():
        if number < 1:
            raise InputError(f"{name} must be >= 1, got {number}")


def _keep_quiet(_: str) -> None:
    """Says nothing."""
