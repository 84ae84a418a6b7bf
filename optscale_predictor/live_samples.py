"""Samples of a live run: drawn from a generator and scored by a verifier when the loop asks for them.

A sample that the verifier refuses has no score, and none is made up: it is drawn again, as if it had not come, and its
tokens are paid for by the sample that takes its place. A recorded pool leaves refused samples out likewise, so policies
see the same in both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from optscale_predictor.answers import extract_answer
from optscale_predictor.errors import InputError
from optscale_predictor.generators import Generator, Request, Sample
from optscale_predictor.loop import Drawn, Ints
from optscale_predictor.questions import Question
from optscale_predictor.sources import answer_code
from optscale_predictor.verifiers import Answered, Scores, Verifier

_ROUNDS = 8  # rounds in a row in which every new sample of a question is refused, until it is given up


@dataclass
class _Scored:
    """A sample with its score; ``tokens`` are its own and those of refused samples before it."""

    sample: Sample
    score: float
    tokens: int


@dataclass
class LiveSamples:
    """See the module.

    Attributes:
        questions: The questions.
        generator: Draws samples.
        verifier: Scores them; may be None for policies that look at answers alone (every score is then 0).
        prompts: What the generator reads, one a question.
        on_samples: Called with each question's id, first sample index and new samples, refused ones too.
        samples: All scored samples, for each question, in order.
    """

    questions: Sequence[Question]
    generator: Generator
    verifier: Verifier | None
    prompts: Sequence[str]
    on_samples: Callable[[str, int, Sequence[Sample]], None] | None = None
    depth: int | None = None
    hindsight: None = None

    def __post_init__(self) -> None:
        """Starts with nothing drawn."""
        self.num_questions = len(self.questions)
        self.samples: list[list[Sample]] = [[] for _ in self.questions]
        self._codes: list[dict[str, int]] = [{} for _ in self.questions]
        self._asked = [0] * self.num_questions  # samples asked for so far, refused ones included
        self._unpaid = [0] * self.num_questions  # tokens of refused samples that none has taken the place of yet

    def draw(self, questions: Ints, drawn: Ints, totals: Ints) -> Drawn:
        """See ``loop.SampleSource``.

        Raises:
            InputError: The verifier refuses all samples of a question, round after round.
        """
        wanted = dict(zip(questions.tolist(), (totals - drawn).tolist(), strict=True))
        found: dict[int, list[_Scored]] = {index: [] for index in wanted}
        in_vain = dict.fromkeys(wanted, 0)
        while missing := {
            index: count - len(found[index]) for index, count in wanted.items() if count > len(found[index])
        }:
            for index, reason in self._draw_round(missing, found).items():
                in_vain[index] = in_vain[index] + 1 if reason else 0
                if in_vain[index] == _ROUNDS:
                    name = self.questions[index].id
                    raise InputError(f"question {name!r}: the verifier refuses sample after sample: {reason}")
        return self._arrays(found)

    def _draw_round(self, missing: dict[int, int], found: dict[int, list[_Scored]]) -> dict[int, str]:
        """Draws what is missing; for each question why all of its new samples were refused, empty where one was not."""
        new = self._generate(missing)
        items = [Answered(self.questions[index], sample.text) for index, samples in new.items() for sample in samples]
        scores = Scores.of(np.zeros(len(items))) if self.verifier is None else self.verifier.score(items)
        if scores.values.shape != (len(items),):
            raise InputError(f"the verifier returned shape {scores.values.shape} for {len(items)} samples")
        said, place = dict.fromkeys(missing, ""), 0
        for index, samples in new.items():
            before = len(found[index])
            for sample in samples:
                self._take(index, sample, float(scores.values[place]), place in scores.refusals, found[index])
                said[index] = scores.refusals.get(place, said[index])
                place += 1
            if len(found[index]) > before:
                said[index] = ""
        return said

    def _generate(self, missing: dict[int, int]) -> dict[int, list[Sample]]:
        requests = [
            Request(self.questions[index].id, self.prompts[index], count, self._asked[index])
            for index, count in missing.items()
        ]
        index_of = {self.questions[index].id: index for index in missing}
        new: dict[int, list[Sample]] = {index: [] for index in missing}
        for request, samples in self.generator.generate(requests):
            new[index_of[request.question_id]] = list(samples)
            self._asked[index_of[request.question_id]] += len(samples)
            if self.on_samples is not None:
                self.on_samples(request.question_id, request.first_index, samples)
        return new

    def _take(self, index: int, sample: Sample, score: float, refused: bool, into: list[_Scored]) -> None:
        self._unpaid[index] += sample.num_tokens
        if not refused:
            into.append(_Scored(sample, score, self._unpaid[index]))
            self.samples[index].append(sample)
            self._unpaid[index] = 0

    def _arrays(self, found: dict[int, list[_Scored]]) -> Drawn:
        shape = (len(found), max(map(len, found.values())))
        scores, answers, tokens = np.full(shape, np.nan), np.full(shape, -1, np.int64), np.full(shape, np.nan)
        for row, (index, taken) in enumerate(found.items()):
            for column, one in enumerate(taken):
                scores[row, column], tokens[row, column] = one.score, one.tokens
                answers[row, column] = answer_code(extract_answer(one.sample.text), self._codes[index])
        return Drawn(scores, answers, tokens)
