"""Samples scored by actors all over a Ray cluster; for the caller a verifier like any other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.engine_specs import VerifierSpec
from optscale_predictor.errors import InputError
from optscale_predictor.over_ray.options import RayOptions
from optscale_predictor.over_ray.pipeline import Stage, run_stages
from optscale_predictor.over_ray.stages import SAMPLES, ScoringStage, fit_map, probe_verifier
from optscale_predictor.verifiers import Answered, LogisticMap, RewardVerifier, Scores, Verifier


class RayVerifier(Verifier):
    """Scores with actors; Ray must be connected (``over_ray.session``). Made by :func:`make_ray_verifier`.

    The actors' engines start and stop with every call of :meth:`stream`, so it wants very many samples at once.
    """

    samples_at_once = 2**18

    def __init__(
        self, spec: VerifierSpec, options: RayOptions, described: Mapping[str, Any], reads_tokens: bool
    ) -> None:
        self._spec, self._options, self._described, self.reads_tokens = spec, options, described, reads_tokens

    @property
    def spec(self) -> VerifierSpec:
        """What the actors build."""
        return self._spec

    def describe(self) -> Mapping[str, object]:
        """See :class:`Verifier`: that of the actors' verifiers, so a pool may be scored with Ray and without."""
        return self._described

    def score(self, items: Sequence[Answered]) -> Scores:
        """See :class:`Verifier`."""
        return Scores.joined(self.stream(items), len(items))

    def blank_score(self, item: Answered) -> None:
        """See :class:`Verifier`: the actors' verifiers decide."""

    def stream(self, items: Sequence[Answered]) -> Iterator[tuple[Sequence[int], Scores]]:
        """See :class:`Verifier`. Leaving the iterator stops the actors."""
        rows = [
            {"question_id": one.question.id, "first_index": index, "question": one.question.text}
            | {"gold": one.question.gold, "text": [one.written], "finish_reason": ["stop" if one.ended else "length"]}
            for index, one in enumerate(items)
        ]
        scoring = self._options.scoring
        stage = Stage(ScoringStage, self.spec, scoring, scoring.batch_samples)
        for row in run_stages(rows, SAMPLES, [stage], self._options):
            refusal = {0: row["refusal"][0]} if row["refusal"][0] is not None else {}
            value = np.array(row["score"], np.float64)  # None becomes NaN
            yield [row["first_index"]], Scores(value, np.array(row["verifier_tokens"], np.int64), refusal)


class RayRewardVerifier(RayVerifier, RewardVerifier):
    """The same for a verifier of unbounded rewards: actors are told the map to [0, 1]."""

    @property
    def spec(self) -> VerifierSpec:
        """What the actors build."""
        return replace(self._spec, score_map=asdict(self.score_map or LogisticMap()))

    def describe_model(self) -> Mapping[str, object]:
        """See :class:`RewardVerifier`."""
        return self._described

    def describe(self) -> Mapping[str, object]:
        """See :class:`Verifier`."""
        return RewardVerifier.describe(self)

    def rewards(self, items: Sequence[Answered]) -> tuple[NDArray[np.float64], NDArray[np.int64], dict[int, str]]:
        """See :class:`RewardVerifier`."""
        raise NotImplementedError("rewards stay with the actors; their scores come back")

    def fit_map(self, items: Sequence[Answered], correct: Sequence[bool | None]) -> None:
        """See :class:`RewardVerifier`; one worker reads the samples."""
        self.score_map = LogisticMap(**_remotely(fit_map, self._options, self._spec, list(items), list(correct)))


def make_ray_verifier(spec: VerifierSpec, options: RayOptions) -> RayVerifier:
    """The verifier, once a worker has built it and said what it is.

    Raises:
        InputError: It cannot be built there.
    """
    found = _remotely(probe_verifier, options, spec)
    kind = RayRewardVerifier if found["unbounded"] else RayVerifier
    made = kind(spec, options, found["described"], found["reads_tokens"])
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
