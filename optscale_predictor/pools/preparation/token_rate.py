"""Tokens a second while samples are drawn, shown before the first of them is done.

A batch of hundreds of long samples ends minutes after it began, and a bar that counts samples stands still until then.
Tokens come all the time: the first figure appears seconds after the first token.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from optscale_predictor.backends.generators import Generator

FIRST_SECONDS = 3.0  # until the first figure: a mean of less would be of the prompts' reading
_TERMINAL_SECONDS = 0.5
_LOG_SECONDS = 30.0


class TokenRate:
    """Shows, at the end of a progress bar, how many tokens a second were drawn since it was made.

    Args:
        bar: Of tqdm.
        clock: Tells the time in seconds.
    """

    def __init__(self, bar: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar, self._clock, self._tokens = bar, clock, 0
        self._began = clock()
        self._due = self._began + FIRST_SECONDS
        self._seconds_between = _TERMINAL_SECONDS if sys.stderr.isatty() else _LOG_SECONDS

    @contextmanager
    def watching(self, generator: Generator) -> Iterator[None]:
        """Takes in a generator's tokens as it draws them, where its engine tells of them, as long as this is open."""
        before, generator.on_tokens = generator.on_tokens, self.add
        try:
            yield
        finally:
            generator.on_tokens = before

    def add(self, tokens: int) -> None:
        """Takes in tokens that were just drawn, >= 0, and shows the rate where it is due."""
        self.at_least(self._tokens + tokens)

    def at_least(self, tokens: int) -> None:
        """Takes in how many tokens the finished samples have: all that is known of an engine elsewhere."""
        self._tokens = max(self._tokens, tokens)
        now = self._clock()
        if now >= self._due and self._tokens:
            self._due = now + self._seconds_between
            self._bar.set_postfix_str(f"{self._tokens / (now - self._began):,.0f} tokens/s")
