"""A recorded pool in place of a generator and its verifier: the same path as a live run, with no model loaded.

Questions are known by their text, so a pool serves any task that asks the same questions.
"""

from collections.abc import Iterator, Mapping, Sequence

from optscale_predictor.backends.generators import (
    DrawSession,
    Generator,
    ImmediateSession,
    Request,
    Sample,
    SamplingParams,
    Usage,
)
from optscale_predictor.backends.verifiers import Answered, Scores, Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.pools.scored_pool import open_pool
from optscale_predictor.replays.recorded_samples import scored_rows


class RecordedGenerator(Generator):
    """Serves a pool's samples in their order.

    Args:
        folder: The pool; every sample scored.
        scores: Which of its scores are served: a column, or ``combined:FOLDER``.

    Raises:
        InputError: It is no pool, has no such scores, or has unscored samples.
    """

    def __init__(self, folder: str, scores: str = "score") -> None:
        self.sampling, self.usage = SamplingParams(), Usage()
        self._pool = open_pool(folder, scores)
        self.made_by: Mapping[str, object] = self._pool.scores.get("score", {})
        rows = scored_rows(self._pool, ["text", "num_tokens", "finish_reason", "seed"])
        texts = {question.id: question.text for question in self._pool.questions}
        self._samples: dict[str, list[Sample]] = {text: [] for text in texts.values()}
        self.scores: dict[tuple[str, str], float] = {}
        for row in rows.to_pylist():
            text = texts[row["question_id"]]
            self._samples[text].append(Sample(row["text"], row["num_tokens"], row["finish_reason"], row["seed"]))
            self.scores[text, row["text"]] = row["score"]

    def describe(self) -> Mapping[str, object]:
        """What drew the samples, as the pool's manifest says it."""
        return {"adapter": "pool", "settings": self._pool.manifest["settings"]}

    def session(self) -> DrawSession:
        """A session that answers each request at once: everything is at hand."""
        return ImmediateSession(self)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        """The recorded samples of each request; a request's prompt is its question's bare text.

        Raises:
            InputError: The pool has not the question, or fewer samples of it than are asked for.
        """
        for request in requests:
            end = request.first_index + request.num_samples
            samples = self._of(request)[request.first_index : end]
            if len(samples) < request.num_samples:
                raise InputError(
                    f"{self._pool.folder}: question {request.question_id!r} needs {end} samples, "
                    f"the pool holds {request.first_index + len(samples)}; lower max_samples"
                )
            yield request, samples

    def _of(self, request: Request) -> list[Sample]:
        found = self._samples.get(request.prompt)
        if found is None:
            raise InputError(f"{self._pool.folder}: question {request.question_id!r} is not in this pool")
        return found


class RecordedVerifier(Verifier):
    """Gives every recorded sample its recorded score."""

    def __init__(self, generator: RecordedGenerator) -> None:
        self._generator = generator

    def describe(self) -> Mapping[str, object]:
        """What made the scores, as the pool's manifest says it."""
        return {"adapter": "pool", "made_by": dict(self._generator.made_by)}

    def score(self, items: Sequence[Answered]) -> Scores:
        """The samples' recorded scores."""
        return Scores.of([self._generator.scores[item.question.text, item.written] for item in items])

    def blank_score(self, item: Answered) -> None:
        """None: also of a blank sample what is recorded holds."""
