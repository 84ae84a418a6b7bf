"""The two stages as Ray runs them: actors that build their engine once, and tables of requests that pass through.

A row is a request, its samples are lists in it, so that a request's samples stay together.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any, NoReturn

import pyarrow as pa

from optscale_predictor.backends.generators import Request, Sample, Usage
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.backends.token_logprobs import LogprobSummary
from optscale_predictor.backends.verifiers import (
    Answered,
    LogisticMap,
    RewardVerifier,
    Scores,
    Verifier,
    stream_samples,
)
from optscale_predictor.errors import EngineError, InputError
from optscale_predictor.pools.schema import LOGPROB_FIELDS, ScoreColumns
from optscale_predictor.questions.answers import has_ended
from optscale_predictor.questions.question import Question

REQUESTS = pa.schema(
    [
        ("question_id", pa.string()),
        ("prompt", pa.string()),
        ("num_samples", pa.int32()),
        ("first_index", pa.int32()),
        ("question", pa.string()),
        ("gold", pa.string()),
    ]
)
_LOG = logging.getLogger(__name__)
_SPENT = tuple(vars(Usage()))
SAMPLES = pa.schema(
    [
        *(REQUESTS.field(name) for name in ("question_id", "first_index", "question", "gold")),
        ("text", pa.list_(pa.string())),
        ("num_tokens", pa.list_(pa.int32())),
        ("finish_reason", pa.list_(pa.string())),
        ("seed", pa.list_(pa.int64())),
        ("logprobs", pa.list_(pa.struct(LOGPROB_FIELDS))),  # null where the engine was not asked for them
        *((name, pa.int64()) for name in _SPENT),
        ("error", pa.string()),  # the only thing in a row that says why a batch, or the whole stage, cannot be served
    ]
)
SCORES = pa.schema(
    [
        ("score", pa.list_(pa.float64())),
        ("verifier_tokens", pa.list_(pa.int32())),
        ("refusal", pa.list_(pa.string())),
    ]
)
#: What the driver must know of a verifier's reading.
READS = ("reads_tokens", "reads_logprobs", "reads_self_certainty")
_SCORED = pa.schema([*SAMPLES, *SCORES])


@dataclass(frozen=True)
class ScoringEngine:
    """What an actor builds to score with.

    Attributes:
        options: The verifier.
        score_map: How unbounded rewards become scores, as a manifest records it; None where it is not known yet, or
            the verifier needs none.
    """

    options: VerifierOptions
    score_map: Mapping[str, Any] | None = None

    def build(self) -> Verifier:
        """The verifier, its model loaded here."""
        verifier = self.options.build()
        if self.score_map is not None and isinstance(verifier, RewardVerifier):
            verifier.adopt_map({"score_map": self.score_map})
        return verifier


class _Stage:
    """An engine, or why there is none: said with the first batch, since what a constructor raises Ray tries again."""

    def __init__(self, options: GeneratorOptions | ScoringEngine) -> None:
        self.engine: Any = None
        self.error = ""
        try:
            self.engine = options.build()
        except InputError as error:
            self.error = str(error)

    def failed(self, schema: pa.Schema, error: str) -> pa.Table:
        """A row that says so."""
        return pa.Table.from_pylist([{"error": error}], schema=schema)

    def give_up(self, error: EngineError) -> NoReturn:
        """Ends the process: Ray restarts an actor that died, and would keep one whose engine did."""
        _LOG.error(error)
        os._exit(1)


class GenerationStage(_Stage):
    """Draws the samples of a batch of requests; hands them on as requests finish."""

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """One row a request, in the order in which they finish."""
        if self.error:
            yield self.failed(SAMPLES, self.error)
            return
        rows = {(row["question_id"], row["first_index"]): row for row in batch.to_pylist()}
        try:
            for request, samples, cost in self._drawn(rows.values()):
                row = rows[request.question_id, request.first_index]
                yield pa.Table.from_pylist([{**row, **_columns(samples), **cost}], schema=SAMPLES)
        except EngineError as error:
            self.give_up(error)
        except InputError as error:
            yield self.failed(SAMPLES, str(error))

    def _drawn(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Request, list[Sample], dict[str, int]]]:
        """Requests with their samples and what they cost beside them."""
        requests = [Request(row["question_id"], row["prompt"], row["num_samples"], row["first_index"]) for row in rows]
        before = dict(vars(self.engine.usage))
        for request, samples in self.engine.generate(requests):
            now = dict(vars(self.engine.usage))
            yield request, samples, {name: now[name] - before[name] for name in _SPENT}
            before = now


class ScoringStage(_Stage):
    """Scores the samples of a batch of requests."""

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The batch with its scores; questions, which nobody reads any more, are left out."""
        if batch["error"].null_count < batch.num_rows or self.error:
            return self.failed(_SCORED, next(iter(batch["error"].drop_null().to_pylist()), self.error))
        rows = batch.select(["question_id", "question", "gold", "text", "finish_reason", "logprobs"]).to_pylist()
        items = [
            Answered(Question(row["question_id"], row["question"], row["gold"]), text, has_ended(reason), summary(told))
            for row in rows
            for text, reason, told in zip(row["text"], row["finish_reason"], row["logprobs"], strict=True)
        ]
        try:
            scores = Scores.joined(stream_samples(self.engine, items), len(items))
        except EngineError as error:
            self.give_up(error)
        except InputError as error:
            return self.failed(_SCORED, str(error))
        lists = _lists(scores, [len(row["text"]) for row in rows])
        nothing = pa.nulls(batch.num_rows, pa.string())
        for name in ("question", "gold"):
            batch = batch.set_column(batch.column_names.index(name), name, nothing)
        for field in SCORES:
            batch = batch.append_column(field, pa.array(lists[field.name], field.type))
        return batch


def probe_verifier(scoring: ScoringEngine) -> dict[str, Any]:
    """On a worker: what the verifier is; ``error`` where it cannot be built."""
    try:
        verifier = scoring.build()
    except InputError as error:
        return {"error": str(error)}
    unbounded = isinstance(verifier, RewardVerifier)
    score_map = verifier.score_map if isinstance(verifier, RewardVerifier) else None
    return {
        "described": dict(verifier.describe_model() if isinstance(verifier, RewardVerifier) else verifier.describe()),
        "reads": {name: getattr(verifier, name) for name in READS},
        "unbounded": unbounded,
        "score_map": None if score_map is None else asdict(score_map),
    }


def fit_score_map(scoring: ScoringEngine, items: Sequence[Answered], correct: Sequence[bool | None]) -> dict[str, Any]:
    """On a worker: the map of an unbounded verifier, fitted on samples; ``error`` where it cannot be.

    Args:
        scoring: The verifier.
        items: The samples with their questions.
        correct: Whether each is right; None where it is not known.
    """
    verifier = scoring.build()
    if not isinstance(verifier, RewardVerifier):
        return {"error": f"verifier {scoring.options.model!r}: its scores need no map"}
    try:
        verifier.fit_map(items, correct)
    except InputError as error:
        return {"error": str(error)}
    return asdict(verifier.score_map or LogisticMap())


def read_samples(row: Mapping[str, Any], column: str | None) -> list[Sample]:
    """The samples in a row that came out of the pipeline.

    Args:
        row: Of the last stage.
        column: Where their scores go; None where they were not scored.
    """
    drawn = zip(row["text"], row["num_tokens"], row["finish_reason"], row["seed"], strict=True)
    told = map(summary, row["logprobs"])
    samples = [Sample(*one, logprobs=logprobs) for one, logprobs in zip(drawn, told, strict=True)]
    if column is None:
        return samples
    names = tuple(field.name for field in ScoreColumns(column).fields)
    scored = zip(*(row[field.name] for field in SCORES), strict=True)
    return [
        replace(one, columns=tuple(zip(names, scores, strict=True)))
        for one, scores in zip(samples, scored, strict=True)
    ]


def summary(told: Mapping[str, Any] | None) -> LogprobSummary | None:
    """A sample's log-probabilities, from its part of the column ``logprobs``."""
    return None if told is None else LogprobSummary.of_row(told)


def _columns(samples: Sequence[Sample]) -> dict[str, list[Any]]:
    told = [None if one.logprobs is None else one.logprobs.as_row() for one in samples]
    names = ("text", "num_tokens", "finish_reason", "seed")
    return {**{name: [getattr(one, name) for one in samples] for name in names}, "logprobs": told}


def _lists(scores: Scores, counts: Sequence[int]) -> dict[str, list[list[Any]]]:
    """Scores as lists a request; a refused sample has none."""
    values = [None if index in scores.refusals else value for index, value in enumerate(scores.values.tolist())]
    whole = {"score": values, "verifier_tokens": scores.tokens.tolist()}
    whole["refusal"] = [scores.refusals.get(index) for index in range(len(values))]
    ends = list(accumulate(counts))
    return {
        name: [column[end - count : end] for end, count in zip(ends, counts, strict=True)]
        for name, column in whole.items()
    }
