"""Samples drawn, and if wanted scored, by actors all over a Ray cluster; for the caller a generator like any other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optscale_predictor.engine_specs import GeneratorSpec, VerifierSpec
from optscale_predictor.generators import Generator, Request, Sample, SamplingParams, Usage
from optscale_predictor.over_ray.options import RayOptions
from optscale_predictor.over_ray.pipeline import Stage, run_stages
from optscale_predictor.over_ray.stages import REQUESTS, GenerationStage, ScoringStage, read_samples
from optscale_predictor.questions import Question


class RayGenerator(Generator):
    """Draws samples with actors; Ray must be connected (``over_ray.session``).

    The actors' engines start when :meth:`generate` is called and stop when it ends: for pools, not for the few samples
    at a time of live inference. Seeds are the engine's; which requests share a batch depends on how they are cut and
    not on the cluster, so most engines repeat their samples unless an actor dies.

    Args:
        spec: The generator that each actor builds.
        options: The stages' resources.
        questions: What a verifier reads beside the sample; needed where there is one.
        verifier: Scores samples in a second stage; none by default.
        scored_by: What makes those scores, by the one column that they go to, as a manifest records it.
    """

    def __init__(
        self,
        spec: GeneratorSpec,
        options: RayOptions,
        questions: Sequence[Question] = (),
        verifier: VerifierSpec | None = None,
        scored_by: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.sampling, self.usage, self.scored_by = spec.sampling, Usage(), scored_by or {}
        self._spec, self._options, self._verifier = spec, options, verifier
        self._described = spec.describe()
        self._questions = {question.id: question for question in questions} if verifier else {}

    def with_sampling(self, sampling: SamplingParams) -> "RayGenerator":
        """See :class:`Generator`."""
        raise NotImplementedError("a RayGenerator draws as its specification says; make another")

    def describe(self) -> Mapping[str, object]:
        """See :class:`Generator`: that of the actors' generators, so a pool may be filled with Ray and without."""
        return self._described

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        """See :class:`Generator`. Leaving the iterator stops the actors.

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
        plain = {name: value for name, value in vars(request).items() if name != "messages"}
        return plain | ({"question": question.text, "gold": question.gold} if question else {})

    def _stages(self, requests: Sequence[Request]) -> list[Stage]:
        most = max(request.num_samples for request in requests)
        generation, scoring = self._options.generation, self._options.scoring
        stages = [Stage(GenerationStage, self._spec, generation, max(1, generation.batch_samples // most))]
        if self._verifier is not None:
            stages.append(Stage(ScoringStage, self._verifier, scoring, max(1, scoring.batch_samples // most)))
        return stages
