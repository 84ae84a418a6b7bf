"""A generator and a verifier whose work is done by actors on a Ray cluster; callers use them as any other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.backends.generators import Generator, Request, Sample, SamplingParams, Usage
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.backends.verifiers import Answered, LogisticMap, RewardVerifier, Scores, Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.pools.preparation.ray.cluster import RayOptions
from optscale_predictor.pools.preparation.ray.pipeline import Stage, run_stages
from optscale_predictor.pools.preparation.ray.stages import (
    READS,
    REQUESTS,
    SAMPLES,
    GenerationStage,
    ScoringEngine,
    ScoringStage,
    fit_score_map,
    probe_verifier,
    read_samples,
)
from optscale_predictor.questions.question import Question


class RayGenerator(Generator):
    """Draws samples with actors; Ray must be connected (``ray_session``).

    The actors' engines start when :meth:`generate` is called and stop when it ends: for pools, not for the few samples
    at a time of live inference. Seeds are the engine's; which requests share a batch depends on how they are cut and
    not on the cluster, so most engines repeat their samples unless an actor dies.

    Args:
        generator: What each actor builds.
        options: The stages' resources.
        questions: What a verifier reads beside the sample; needed where there is one.
        verifier: Scores samples in a second stage; none by default.
        scored_by: What makes those scores, by the one column that they go to, as a manifest records it.
    """

    def __init__(
        self,
        generator: GeneratorOptions,
        options: RayOptions,
        questions: Sequence[Question] = (),
        verifier: ScoringEngine | None = None,
        scored_by: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.sampling, self.usage, self.scored_by = generator.sampling, Usage(), scored_by or {}
        self._engine, self._options, self._verifier = generator, options, verifier
        self._described = generator.describe()
        self._questions = {question.id: question for question in questions} if verifier else {}

    def with_sampling(self, sampling: SamplingParams) -> "RayGenerator":
        """Not possible: the actors' engines are built with their sampling.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("a RayGenerator draws as its options say; make another")

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and sampling; JSON types, no secrets.

        That of the actors' generators, so a pool may be filled with Ray and without.
        """
        return self._described

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        """Draws independent samples for each request; yields each request once, as it finishes.

        Leaving the iterator stops the actors.

        Raises:
            InputError: What an actor's engine raised.
            EngineError: Actors died too often, or some requests never came back.
        """
        if not requests:
            return
        asked = {(request.question_id, request.first_index): request for request in requests}
        column = next(iter(self.scored_by), None)
        for row in run_stages([self._row(one) for one in requests], REQUESTS, self._stages(requests), self._options):
            for name in vars(self.usage):
                setattr(self.usage, name, getattr(self.usage, name) + row[name])
            yield asked[row["question_id"], row["first_index"]], read_samples(row, column)

    def _row(self, request: Request) -> dict[str, Any]:
        question = self._questions.get(request.question_id)
        plain = {one.name: getattr(request, one.name) for one in fields(request) if one.name != "messages"}
        return plain | ({"question": question.text, "gold": question.gold} if question else {})

    def _stages(self, requests: Sequence[Request]) -> list[Stage]:
        most = max(request.num_samples for request in requests)
        generation, scoring = self._options.generation, self._options.scoring
        stages = [Stage(GenerationStage, self._engine, generation, max(1, generation.batch_samples // most))]
        if self._verifier is not None:
            stages.append(Stage(ScoringStage, self._verifier, scoring, max(1, scoring.batch_samples // most)))
        return stages


class RayVerifier(Verifier):
    """Scores with actors; Ray must be connected (``ray_session``). Made by :func:`make_ray_verifier`.

    The actors' engines start and stop with every call of :meth:`stream`, so it wants very many samples at once.
    """

    samples_at_once = 2**18

    def __init__(
        self, engine: ScoringEngine, options: RayOptions, described: Mapping[str, Any], reads: Mapping[str, bool]
    ) -> None:
        self._engine, self._options, self._described = engine, options, described
        self.reads_tokens, self.reads_logprobs, self.reads_self_certainty = (reads[name] for name in READS)

    @property
    def engine(self) -> ScoringEngine:
        """What the actors build."""
        return self._engine

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets.

        That of the actors' verifiers, so a pool may be scored with Ray and without.
        """
        return self._described

    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples, in their order; where there is none, the reason."""
        return Scores.joined(self.stream(items), len(items))

    def blank_score(self, item: Answered) -> None:
        """The score, in [0, 1], of a sample whose text is blank: the actors' verifiers decide."""

    def stream(self, items: Sequence[Answered]) -> Iterator[tuple[Sequence[int], Scores]]:
        """The scores in parts as they come, each with the indices of its items.

        Leaving the iterator stops the actors.
        """
        rows = [
            {"question_id": one.question.id, "first_index": index, "question": one.question.text}
            | {"gold": one.question.gold, "text": [one.written], "finish_reason": ["stop" if one.ended else "length"]}
            | {"logprobs": [None if one.logprobs is None else one.logprobs.as_row()]}
            for index, one in enumerate(items)
        ]
        scoring = self._options.scoring
        stage = Stage(ScoringStage, self.engine, scoring, scoring.batch_samples)
        for row in run_stages(rows, SAMPLES, [stage], self._options):
            refusal = {0: row["refusal"][0]} if row["refusal"][0] is not None else {}
            value = np.array(row["score"], np.float64)  # None becomes NaN
            yield [row["first_index"]], Scores(value, np.array(row["verifier_tokens"], np.int64), refusal)


class RayRewardVerifier(RayVerifier, RewardVerifier):
    """The same for a verifier of unbounded rewards: actors are told the map to [0, 1]."""

    @property
    def engine(self) -> ScoringEngine:
        """What the actors build."""
        return replace(self._engine, score_map=asdict(self.score_map or LogisticMap()))

    def describe_model(self) -> Mapping[str, object]:
        """What a pool's manifest records, without the map."""
        return self._described

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets."""
        return RewardVerifier.describe(self)

    def rewards(self, items: Sequence[Answered]) -> tuple[NDArray[np.float64], NDArray[np.int64], dict[int, str]]:
        """Not possible: raw rewards stay with the actors, and their scores come back.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("rewards stay with the actors; their scores come back")

    def fit_map(self, items: Sequence[Answered], correct: Sequence[bool | None]) -> None:
        """Fits the map to [0, 1] on samples of a pool, which one worker reads.

        Args:
            items: The samples with their questions.
            correct: Whether each is right; None where it is not known.
        """
        self.score_map = LogisticMap(
            **_remotely(fit_score_map, self._options, self._engine, list(items), list(correct))
        )


def make_ray_verifier(verifier: VerifierOptions, options: RayOptions) -> RayVerifier:
    """The verifier, once a worker has built it and said what it is.

    Args:
        verifier: What each actor builds.
        options: The stages' resources.

    Raises:
        InputError: It cannot be built there.
    """
    engine = ScoringEngine(verifier)
    found = _remotely(probe_verifier, options, engine)
    kind = RayRewardVerifier if found["unbounded"] else RayVerifier
    made = kind(engine, options, found["described"], found["reads"])
    if isinstance(made, RayRewardVerifier) and found["score_map"] is not None:
        made.score_map = LogisticMap(**found["score_map"])
    return made


def _remotely(work: Callable[..., dict[str, Any]], options: RayOptions, *arguments: Any) -> dict[str, Any]:
    """Runs a function on a worker that has what a scoring actor has."""
    import ray

    scoring = options.scoring
    found = ray.get(ray.remote(work).options(num_cpus=scoring.cpus, num_gpus=scoring.gpus).remote(*arguments))
    if "error" in found:
        raise InputError(found["error"])
    return dict(found)
