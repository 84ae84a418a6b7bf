"""What is doubtful about the samples of a run, said when it ends, however it does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from optscale_predictor.generators._generator import Generator
from optscale_predictor.progress import say


@contextmanager
def warning_at_end(generator: Generator) -> Iterator[None]:
    """Says, when what it is around has ended, what a user should know of the samples drawn meanwhile."""
    before = replace(generator.usage)
    try:
        yield
    finally:
        for line in generator.usage.since(before).warnings():
            say(line)
