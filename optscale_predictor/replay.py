"""Replay: what policies would have done on a recorded pool, over many orders of its samples.

A pool's samples are exchangeable, so every order of them is a run that could have been; averaging over orders takes
the luck of the draw out of a comparison, and what is left, between questions, is the interval that is reported.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.estimators import Prior
from optscale_predictor.loop import run_policy
from optscale_predictor.policies import Policy
from optscale_predictor.sources import RecordedSamples

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReplayRow:
    """One policy over one pool: means over questions, each with its standard error over questions.

    Attributes:
        policy: The policy, in the form ``policies.parse_policy`` reads.
        label: What to call it in a table.
        accuracy: Share of questions answered rightly, in [0, 1]; NaN where gold answers are not known.
        score: Score of the returned sample, in [0, 1].
        samples: Samples a question.
        tokens: Generated tokens a question.
        *_error: Standard errors of these.
    """

    policy: str
    label: str
    accuracy: float
    accuracy_error: float
    score: float
    score_error: float
    samples: float
    samples_error: float
    tokens: float
    tokens_error: float

    def as_dict(self) -> dict[str, object]:
        """The row as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Entry:
    """A policy to replay.

    Attributes:
        policy: The stopping rule.
        label: What to call it; policies that share a label are points of one curve.
        prior: Given to the policy; one for all questions, or one each.
        selection: How the answer is chosen; the policy's own rule by default.
    """

    policy: Policy
    label: str
    prior: Prior | None = None
    selection: str | None = None


def replay(
    entries: Iterable[Entry], recorded: RecordedSamples, num_orders: int = 20, seed: int = 0
) -> Iterator[ReplayRow]:
    """Replays each policy over the same ``num_orders`` random orders of the recorded samples.

    Yields:
        One row an entry, as it is done.
    """
    # All orders at once, as so many more questions: policies are vectorised over questions.
    tiled = np.tile(np.arange(recorded.num_questions), num_orders)
    orders = recorded.take(tiled).reorder(np.random.default_rng(seed))
    for entry in entries:
        prior = None if entry.prior is None else entry.prior.broadcast_to(recorded.num_questions).take(tiled)
        measured = _measure(entry, orders, prior)
        yield _row(entry, measured.reshape(len(measured), num_orders, recorded.num_questions).mean(1))


def _measure(entry: Entry, recorded: RecordedSamples, prior: Prior | None) -> Floats:
    """Accuracy, score, samples and tokens of every question, [4, questions]."""
    outcomes = run_policy(entry.policy, recorded, prior, entry.selection)
    row = np.arange(recorded.num_questions)
    return np.stack(
        [
            recorded.correct[row, outcomes.chosen],
            recorded.scores[row, outcomes.chosen],
            outcomes.count.astype(np.float64),
            outcomes.tokens,
        ]
    )


def _row(entry: Entry, by_question: Floats) -> ReplayRow:
    means = by_question.mean(-1)
    spread = by_question.std(-1, ddof=1) if by_question.shape[1] > 1 else np.full(len(means), np.nan)
    errors = spread / np.sqrt(by_question.shape[1])
    (accuracy, score, samples, tokens), (accuracy_e, score_e, samples_e, tokens_e) = means.tolist(), errors.tolist()
    return ReplayRow(
        policy=str(entry.policy),
        label=entry.label,
        accuracy=accuracy,
        accuracy_error=accuracy_e,
        score=score,
        score_error=score_e,
        samples=samples,
        samples_error=samples_e,
        tokens=tokens,
        tokens_error=tokens_e,
    )
