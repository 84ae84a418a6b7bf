"""What a user should know of the samples that a command drew, said once when it has ended."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from optscale_predictor.backends.generators.generator import Generator

_LOG = logging.getLogger(__name__)


@contextmanager
def warning_at_end(generator: Generator) -> Iterator[None]:
    """Says, when what it is around has ended, what a user should know of the samples drawn meanwhile."""
    before = replace(generator.usage)
    try:
        yield
    finally:
        for line in generator.usage.since(before).warnings():
            _LOG.warning(line)
