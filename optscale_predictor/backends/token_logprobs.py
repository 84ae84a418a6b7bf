"""A sample's token log-probabilities, in the few numbers that scores without a verifier are made of.

A log-probability is the model's own: the natural logarithm of its softmax at temperature 1 over the whole vocabulary,
whatever temperature and nucleus the sample is drawn with. It says what the model thinks of a token and not how it was
chosen, it is what engines and servers return (vLLM's ``raw_logprobs``, llama.cpp's before its samplers), and scores of
two temperatures can be compared. At temperature 1 without a nucleus both are the same.

The numbers run over every token that the model generated for the sample: its thinking, its end-of-sequence token and
those of a stop string, whatever of its text is kept; of a sample that was cut off, over the tokens that it has. Of a
server they run over the tokens that it lists (llama.cpp's leaves those of a stop string out).

Three numbers of a sample with tokens 1, ..., T:

- ``mean``: the mean log-probability of its tokens.
- ``lowest``: the lowest mean of any G tokens in a row, and of all of them where it has no more than G: the group of
  DeepConf (Fu et al., 2025, arXiv 2508.15260), where the least confident passage decides. There a token's
  confidence is the mean of its most likely alternatives' log-probabilities; here it is the log-probability of the
  token that was drawn, which every engine returns.
- ``self_certainty``: the mean over its tokens of KL(uniform || p), which is -log V - mean_j log p_j over a vocabulary
  of V (Kang et al., 2025, arXiv 2502.18581). It needs each token's whole distribution.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats

#: Tokens of a group, for each of which the lowest mean is kept. DeepConf's are the long ones; answers may be short.
GROUP_SIZES = (8, 32, 128, 512, 2048)

#: Before the names of the columns in which a pool keeps the numbers.
COLUMN_PREFIX = "logprob_"
MEAN, SELF_CERTAINTY = f"{COLUMN_PREFIX}mean", f"{COLUMN_PREFIX}self_certainty"

#: Servers write -9999, or the least number there is, where a probability is 0: a sum must survive it.
LEAST_LOGPROB = -1e4


def lowest_column(group: int) -> str:
    """The column of the lowest mean over groups of so many tokens."""
    return f"{COLUMN_PREFIX}lowest_{group}"


#: The columns in which a pool keeps the numbers, with what they mean.
COLUMNS: Mapping[str, str] = {
    MEAN: "mean log-probability of the sample's tokens, under the model itself (temperature 1), in nats",
    **{
        lowest_column(group): f"the lowest mean log-probability of {group} tokens in a row (of all, where it has fewer)"
        for group in GROUP_SIZES
    },
    SELF_CERTAINTY: "mean over its tokens of KL(uniform || model), in nats; null where the engine does not tell it",
}


@dataclass(frozen=True)
class LogprobSummary:
    """What is kept of a sample's token log-probabilities, in single precision, as a pool keeps it.

    Attributes:
        mean: Of its tokens' log-probabilities, <= 0, in nats.
        lowest: The lowest mean over groups, for each of ``GROUP_SIZES``, <= 0, in nats.
        self_certainty: Mean over its tokens of KL(uniform || p), >= 0, in nats; None where that is not known.
    """

    mean: float
    lowest: tuple[float, ...]
    self_certainty: float | None = None

    @classmethod
    def of_tokens(cls, logprobs: Sequence[float], certainties: Sequence[float] = ()) -> "LogprobSummary | None":
        """The summary of a sample; None where it has no tokens.

        Args:
            logprobs: Of its tokens, in their order, in nats.
            certainties: KL(uniform || p) of the distribution that each was drawn from; empty where it is not known.
        """
        if not logprobs:
            return None
        clipped = np.clip(np.asarray(logprobs, np.float64), LEAST_LOGPROB, 0.0)
        lowest = tuple(_single(lowest_group(clipped, size)) for size in GROUP_SIZES)
        certainty = float(np.mean(certainties)) if certainties else np.nan
        # Infinite where the model rules a token out for certain: no number that a score can be made of.
        return cls(_single(clipped.mean()), lowest, _single(max(certainty, 0.0)) if np.isfinite(certainty) else None)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "LogprobSummary | None":
        """The summary in a row of a pool; None where the row has none."""
        if row.get(MEAN) is None:
            return None
        return cls(row[MEAN], tuple(row[lowest_column(size)] for size in GROUP_SIZES), row[SELF_CERTAINTY])

    def as_row(self) -> dict[str, float | None]:
        """The columns of a pool."""
        lowest = dict(zip(map(lowest_column, GROUP_SIZES), self.lowest, strict=True))
        return {MEAN: self.mean, **lowest, SELF_CERTAINTY: self.self_certainty}


def lowest_group(logprobs: Float[Floats, " tokens"], size: int) -> float:
    """The lowest mean of any ``size`` tokens in a row; the mean of all where there are no more.

    Args:
        logprobs: Of the tokens, at least one, in nats.
        size: Tokens of a group, >= 1.
    """
    if len(logprobs) <= size:
        return float(logprobs.mean())
    sums = np.concatenate([[0.0], logprobs.cumsum()])
    return float((sums[size:] - sums[:-size]).min() / size)


def _single(value: float) -> float:
    return float(np.float32(value))
