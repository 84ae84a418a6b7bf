"""The verifier interface: something that gives a sampled answer a score in [0, 1], or says why it cannot.

A sample of which nothing is left without its thinking answers nothing: it scores 0 and nobody reads it. (A reward model
would give it some score, and a process reward model, which finds no step in it, would refuse it, so that a live run
would draw it again and again.) One adapter a kind lives beside this file; its heavy imports happen when it is built.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.backends.token_logprobs import LogprobSummary
from optscale_predictor.errors import InputError
from optscale_predictor.questions.answers import strip_thinking
from optscale_predictor.questions.question import Question


@dataclass(slots=True, unsafe_hash=True)  # not frozen: that triples what making one costs
class Answered:
    """A question together with one sample: what a verifier reads.

    Attributes:
        question: The question.
        written: The sample as it was drawn, thinking and all.
        ended: Whether it ended by itself; False where it was cut off.
        logprobs: Of its tokens; None where they are not known.
    """

    question: Question
    written: str
    ended: bool = True
    logprobs: LogprobSummary | None = None

    @property
    def text(self) -> str:
        """The sample without its thinking, which is no part of the answer; empty where it never got to one."""
        return strip_thinking(self.written)


@dataclass(frozen=True)
class Scores:
    """What a verifier says of some samples.

    Attributes:
        values: In [0, 1]; NaN where the sample was refused.
        tokens: Tokens that the verifier read and wrote for each; 0 where it has no tokens.
        refusals: Why there is no score, by the item's index.
    """

    values: Float[Floats, "items"]
    tokens: Int[Ints, "items"]
    refusals: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, values: ArrayLike, tokens: ArrayLike = 0, refusals: Mapping[int, str] | None = None) -> "Scores":
        """Scores with every number checked: what is not finite or not in [0, 1] becomes a refusal that says so.

        Args:
            values: [items]; NaN where refused.
            tokens: [items], or one number for all.
            refusals: Why there is no score, by the item's index.
        """
        given = np.array(values, np.float64)
        refused = dict(refusals or {})
        with np.errstate(invalid="ignore"):
            bad = ~((given >= 0) & (given <= 1))
        for index in np.flatnonzero(bad).tolist():
            refused.setdefault(index, f"its score is {given[index]}, not in [0, 1]")
        given[list(refused)] = np.nan
        return cls(given, np.broadcast_to(np.asarray(tokens, np.int64), given.shape), dict(sorted(refused.items())))

    def take(self, items: Int[Ints, "chosen"]) -> "Scores":
        """Those of some of the items, by their distinct indices."""
        refusals = {index: self.refusals[item] for index, item in enumerate(items.tolist()) if item in self.refusals}
        return Scores(self.values[items], self.tokens[items], refusals)

    @classmethod
    def joined(cls, parts: "Iterable[tuple[Sequence[int], Scores]]", number: int) -> "Scores":
        """One whole of the parts that :meth:`Verifier.stream` yields.

        Args:
            parts: Each with the indices of its items.
            number: Items in all; those in no part are refused.
        """
        values, tokens, refusals = np.full(number, np.nan), np.zeros(number, np.int64), dict[int, str]()
        for where, part in parts:
            values[where], tokens[where] = part.values, part.tokens
            refusals |= {where[index]: reason for index, reason in part.refusals.items()}
        return cls.of(values, tokens, refusals)


class Verifier(ABC):
    """Scores samples.

    A new adapter implements :meth:`score` and :meth:`describe`.

    Attributes:
        reads_tokens: Whether it is a model, whose work is counted in tokens.
        samples_at_once: How many samples it is best asked to score at once, >= 0; 0 where that does not matter.
        served: Whether servers do its work, so that it may be asked again while it answers.
        reads_logprobs: Whether it reads the log-probabilities of the samples' tokens, which must come with them.
        reads_self_certainty: Whether it reads the self-certainty among them, which few generators tell.
        scores_prefixes: Whether its score of a part of a sample means something: early rejection asks for it.
    """

    reads_tokens: bool = True
    samples_at_once: int = 0
    served: bool = False
    reads_logprobs: bool = False
    reads_self_certainty: bool = False
    scores_prefixes: bool = False

    @abstractmethod
    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of ``items`` in their order; batches are the adapter's affair, so callers hand over many at once."""

    def stream(self, items: Sequence[Answered]) -> Iterator[tuple[Sequence[int], Scores]]:
        """As :meth:`score`, in parts as they come, each with the indices of its items.

        A part that was yielded is kept, whatever happens after it, so adapters whose scores take long or cost money
        yield early. By default there is one part.
        """
        yield range(len(items)), self.score(items)

    def score_prefixes(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples that are still being drawn, by what there is of them, in their order.

        What such a score says of the final one is the caller's to find out; the two need not have one scale.
        """
        return self.score(items)

    def blank_score(self, item: Answered) -> float | None:
        """The score, in [0, 1], of a sample whose text is blank; None where the verifier is to be asked anyway."""
        return 0.0

    @abstractmethod
    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets."""


class FailuresInARow:
    """Counts failures in a row, to tell a broken verifier from samples that cannot be scored.

    A sample that cannot be scored is refused, and the run goes on. Where nothing but failures is seen for long, the
    cause is not the samples: the run should stop before it refuses a whole pool. At the start few are enough, as a
    verifier that has never worked is most likely set up wrongly.

    Args:
        name: What errors call the verifier.
        most: Failures in a row from the start that are too many, >= 1.
        most_later: Failures in a row that are too many once it has worked, >= 1.

    Attributes:
        count: Failures since the last success.
        worked: Whether there was one.
    """

    def __init__(self, name: str, most: int = 32, most_later: int = 256) -> None:
        self._name, self._most, self._most_later = name, most, most_later
        self.count, self.worked = 0, False
        self._first = ""

    def succeeded(self) -> None:
        """The verifier works."""
        self.worked, self.count, self._first = True, 0, ""

    def failed(self, sample: str, reason: str) -> None:
        """One more failure.

        Args:
            sample: Which one, as errors name it.
            reason: Why.

        Raises:
            InputError: There are too many; names the first.
        """
        self._first = self._first or f"{sample}: {reason}"
        self.count += 1
        if not self.worked and self.count >= self._most:
            self.stop_if_all_failed()
        if self.worked and self.count >= self._most_later:
            retry = "once it works again, --retry_refused true scores what was refused"
            raise InputError(f"{self._name} failed {self.count} times in a row; {self._first}; {retry}")

    def stop_if_all_failed(self) -> None:
        """Raises ``InputError`` where there were failures and nothing else."""
        if self.count and not self.worked:
            raise InputError(f"{self._name} failed {self.count} times and never worked; {self._first}")


def require_scores(scores: Scores, items: Sequence[Answered]) -> Float[Floats, "items"]:
    """The values [items], where none was refused.

    Args:
        scores: Of the items.
        items: What was scored.

    Raises:
        InputError: The first refusal, with its question's id; or there is not one score an item.
    """
    if scores.values.shape != (len(items),):
        raise InputError(f"the verifier returned shape {scores.values.shape} for {len(items)} samples")
    for index, reason in scores.refusals.items():
        raise InputError(f"question {items[index].question.id!r}: the verifier refuses a sample: {reason}")
    return scores.values


def score_samples(verifier: Verifier, items: Sequence[Answered]) -> Scores:
    """A verifier's scores of samples, in their order; blank samples are scored without it, equal ones once.

    The tokens are what was spent: those of equal samples count for the first of them.

    Args:
        verifier: Scores them.
        items: Questions with their samples.

    Raises:
        InputError: It returned not one score a sample.
    """
    blank, rest = _parted(verifier, items)
    parts = [(list(blank), Scores.of(list(blank.values())))]
    if alike := _alike(verifier, items, rest):
        where, scores = _spread(alike, verifier.score([items[group[0]] for group in alike]))
        first = np.isin(where, [group[0] for group in alike])
        parts.append((where, replace(scores, tokens=scores.tokens * first)))
    return Scores.joined(parts, len(items))


def stream_samples(verifier: Verifier, items: Sequence[Answered]) -> Iterator[tuple[Sequence[int], Scores]]:
    """A verifier's scores of samples in parts as they come, each with the indices of its items.

    Blank samples are scored without the verifier, and come first. Equal samples of a question are read once; each
    is said to take what it takes alone, for whoever draws it without the others in a replay.

    Args:
        verifier: Scores them.
        items: Questions with their samples.

    Raises:
        InputError: It returned not one score a sample.
    """
    blank, rest = _parted(verifier, items)
    if blank:
        yield list(blank), Scores.of(list(blank.values()))
    seen, alike = 0, _alike(verifier, items, rest)
    for where, scores in verifier.stream([items[group[0]] for group in alike]) if alike else ():
        yield _spread([alike[index] for index in where], scores)
        seen += len(where)
    if seen != len(alike):
        raise InputError(f"the verifier returned {seen} scores for {len(alike)} samples")


def _parted(verifier: Verifier, items: Sequence[Answered]) -> tuple[dict[int, float], list[int]]:
    """The scores of blank samples by index, and the indices of what the verifier is to read."""
    given = {
        index: score
        for index, item in enumerate(items)
        if not item.text.strip() and (score := verifier.blank_score(item)) is not None
    }
    return given, [index for index in range(len(items)) if index not in given]


def _alike(verifier: Verifier, items: Sequence[Answered], indices: Sequence[int]) -> list[list[int]]:
    """The indices, those of equal samples together: the verifier could not tell them apart."""
    if verifier.reads_logprobs:
        return [[index] for index in indices]
    groups: dict[tuple[str, str, str, bool], list[int]] = {}
    for index in indices:
        item = items[index]
        groups.setdefault((item.question.id, item.question.text, item.written, item.ended), []).append(index)
    return list(groups.values())


def _spread(groups: Sequence[Sequence[int]], scores: Scores) -> tuple[list[int], Scores]:
    """What was said of one of each group, of all samples in it, with their indices."""
    if scores.values.shape != (len(groups),):
        raise InputError(f"the verifier returned shape {scores.values.shape} for {len(groups)} samples")
    whose = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    refusals = {place: scores.refusals[group] for place, group in enumerate(whose.tolist()) if group in scores.refusals}
    return [index for group in groups for index in group], Scores(scores.values[whose], scores.tokens[whose], refusals)
