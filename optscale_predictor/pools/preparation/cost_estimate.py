"""What a run will cost, said before it starts: questions x samples x mean tokens, and the time that takes.

The mean comes from the pool itself where it holds samples. Else it is what the user expects, or, as an upper bound,
the most tokens that a sample may have; then the first samples of the run give a better one. The time comes from the
rate of the pool's last run of the same kind.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow.compute as pc

from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, ScoreColumns
from optscale_predictor.pools.manifest import read_runs

OWN = "mean of this pool's samples"
BOUND = "max_tokens, an upper bound"

#: Samples after which an estimate is made anew.
ENOUGH = 256


@dataclass(frozen=True)
class CostEstimate:
    """Work that is about to be done.

    Attributes:
        questions: Whose samples, >= 0.
        samples: To draw or to score, >= 0.
        tokens_each: Mean tokens of one; None where they are not known, or the work takes none.
        source: Where that mean comes from.
        rate: Samples a second; None where that is not known.
        rate_source: Where that comes from.
    """

    questions: int
    samples: int
    tokens_each: float | None
    source: str
    rate: float | None = None
    rate_source: str = "as in this pool's last run"

    @property
    def tokens(self) -> float | None:
        """Of all samples together."""
        return None if self.tokens_each is None else self.samples * self.tokens_each

    @property
    def seconds(self) -> float | None:
        """Until the last sample."""
        return None if self.rate is None else self.samples / self.rate

    def __str__(self) -> str:
        """One line."""
        said = f"{self.samples:,} samples of {self.questions:,} questions"
        if self.tokens is not None:
            said += f" x {self.tokens_each:,.1f} tokens ({self.source}) = {self.tokens:,.0f} tokens"
        if self.seconds is None or self.rate is None:
            return f"{said}; how long that takes, the first samples will tell"
        return f"{said}; {_duration(self.seconds)} at {self.rate:,.1f} samples/s ({self.rate_source})"


def estimate_generation(
    pool: Pool, questions: int, missing: int, max_tokens: int, expected_tokens: float | None = None
) -> CostEstimate:
    """What it costs to draw ``missing`` samples.

    Args:
        pool: Where they go.
        questions: How many questions the run is about.
        missing: Samples to draw.
        max_tokens: Most tokens that a sample may have.
        expected_tokens: Mean tokens that the user expects, > 0; what the pool's samples have goes before it.

    Raises:
        InputError: ``expected_tokens`` is out of its range.
    """
    if expected_tokens is not None and not 0 < expected_tokens < math.inf:
        raise InputError(f"expected_tokens must be > 0, got {expected_tokens}")
    mean = _mean(pool, "num_tokens")
    if mean is not None:
        each, source = mean, OWN
    elif expected_tokens is not None:
        each, source = expected_tokens, "as expected_tokens says"
    else:
        each, source = float(max_tokens), BOUND
    return CostEstimate(questions, missing, each, source, _rate(pool, {"stage": "generate"}))


def estimate_scoring(pool: Pool, column: str, unscored: int, reads_tokens: bool = True) -> CostEstimate:
    """What it costs to score ``unscored`` samples of a pool.

    Args:
        pool: Theirs.
        column: Of the score.
        unscored: Samples to score.
        reads_tokens: Whether the verifier is a model.
    """
    each, source = _mean(pool, ScoreColumns(column).tokens), "mean of what this verifier read before"
    if each is None:
        each, source = _mean(pool, "num_tokens"), f"{OWN}; the verifier reads the questions too"
    rate = _rate(pool, {"stage": "score", "column": column})
    return CostEstimate(len(pool.questions), unscored, each if reads_tokens else None, source, rate)


class RefinedEstimate:
    """Makes an estimate anew from a run's first samples.

    Args:
        estimate: As it was before the run.
        say: Called once, with a line, where no earlier run told how fast this goes.
        enough: Samples that a mean needs, >= 1; a tenth of all where that is more, since long prompts may come first.
    """

    def __init__(self, estimate: CostEstimate, say: Callable[[str], object], enough: int = ENOUGH) -> None:
        self._estimate, self._say, self._enough = estimate, say, max(enough, estimate.samples // 10)
        self._samples = self._tokens = 0
        # A short run is over before it could be told.
        self._said = estimate.rate is not None or estimate.samples < 2 * self._enough

    def add(self, samples: int, tokens: int, seconds: float) -> None:
        """Takes in what came.

        Args:
            samples: That came, >= 1.
            tokens: Theirs, >= 0.
            seconds: Since the run started, >= 0.
        """
        self._samples += samples
        self._tokens += tokens
        if self._said or self._samples < self._enough or seconds <= 0:
            return
        self._said = True
        each = None if self._estimate.tokens_each is None else self._tokens / self._samples
        source, rate = f"mean of the first {self._samples:,}; long prompts may come first", self._samples / seconds
        refined = replace(self._estimate, tokens_each=each, source=source, rate=rate, rate_source="so far")
        self._say(f"estimate, made anew: {refined}")


def _mean(pool: Pool, column: str) -> float | None:
    """The mean of a column's values above 0; None where there are none, or the pool does not have it yet."""
    total = number = 0
    if column not in pool.schema.names:
        return None
    for table in pool.tables([column]):
        values = table[column].filter(pc.greater(table[column], 0))
        total, number = total + (pc.sum(values).as_py() or 0), number + len(values)
    return total / number if number else None


def _rate(pool: Pool, kind: Mapping[str, str]) -> float | None:
    """Samples a second of the last run of a kind."""
    for run in reversed(read_runs(pool.folder)):
        samples, seconds = _number(run.get("samples")), _number(run.get("seconds"))
        if samples > 0 and seconds > 0 and all(run.get(key) == value for key, value in kind.items()):
            return samples / seconds
    return None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _duration(seconds: float) -> str:
    """Two units, the larger first."""
    whole = max(1, round(seconds))
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole} s"
