"""OptScale inference: questions in, answers out, no more samples than each question needs.

scaler = OptScale(generator, verifier, predictor, score_min=0.95, alpha=0.95)
for answer in scaler.answer(questions):
    print(answer.answer, answer.samples, answer.stop_reason)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optscale_predictor.answers import extract_answer
from optscale_predictor.errors import InputError
from optscale_predictor.estimators import Prior
from optscale_predictor.generators import Generator, Sample
from optscale_predictor.live_samples import LiveSamples
from optscale_predictor.loop import Outcomes, run_policy
from optscale_predictor.policies import OptScalePolicy, Policy
from optscale_predictor.prompts import PromptTemplate
from optscale_predictor.questions import Question
from optscale_predictor.verifiers import Verifier

if TYPE_CHECKING:
    from optscale_predictor.predictor import OptScalePredictor


@dataclass(frozen=True)
class Answer:
    """The answer to one question, and what it cost.

    Attributes:
        question_id: Whose answer this is.
        text: The chosen sample.
        answer: The final answer in it; None where none was found.
        score: The verifier's score of it, in [0, 1].
        samples: Samples drawn for the question.
        tokens: Tokens generated for them.
        stop_reason: ``reached``, ``confident``, ``unreachable`` or ``budget``.
        scores: The scores of all of them, in order.
        trace: Pairs (samples drawn, samples needed) at every decision.
    """

    question_id: str
    text: str
    answer: str | None
    score: float
    samples: int
    tokens: int
    stop_reason: str
    scores: tuple[float, ...]
    trace: tuple[tuple[int, float], ...]


class OptScale:
    """Answers questions with a generator, a verifier and a stopping policy.

    Args:
        generator: Draws samples.
        verifier: Scores them; may be None only for policies that look at answers alone.
        predictor: Gives each question its prior; without one ``prior`` serves all.
        policy: The stopping rule; :class:`OptScalePolicy` with the three numbers that follow where it is None.
        score_min: Target score, in [0, 1].
        alpha: Target probability of reaching it, in (0, 1).
        max_samples: Cap on a question's samples, >= 1.
        prompt: The prompt around a question.
        prior: A constant prior, used where there is no predictor.
        selection: How the answer is chosen among the samples; the policy's own rule by default.
        source: Which of the sources that the predictor has learnt; by default the one that generator and verifier are.
        unpaired: Whether the predictor may have learnt the scores of another generator, verifier or setting.

    Raises:
        InputError: A number is out of its range, or the policy lacks what it needs.
    """

    def __init__(
        self,
        generator: Generator,
        verifier: Verifier | None,
        predictor: "OptScalePredictor | None" = None,
        policy: Policy | None = None,
        score_min: float = 0.95,
        alpha: float = 0.95,
        max_samples: int = 32,
        prompt: PromptTemplate | None = None,
        prior: Prior | None = None,
        selection: str | None = None,
        source: str | None = None,
        unpaired: bool = False,
    ) -> None:
        self.policy = policy or OptScalePolicy(score_min=score_min, alpha=alpha, max_samples=max_samples)
        if self.policy.needs_prior and predictor is None and prior is None:
            raise InputError(f"policy {self.policy.name!r} needs a prior: give a predictor, or a constant prior")
        if verifier is None and (selection or self.policy.selection) != "majority":
            raise InputError(f"policy {self.policy.name!r} needs a verifier")
        self.generator, self.verifier, self.predictor = generator, verifier, predictor
        self.prompt, self.prior, self.selection = prompt or PromptTemplate(), prior, selection
        self.source, self.unpaired = source, unpaired

    def answer(
        self,
        questions: Sequence[Question],
        prompts: Sequence[str] | None = None,
        on_samples: Callable[[str, int, Sequence[Sample]], None] | None = None,
    ) -> list[Answer]:
        """Answers all questions, in their order; their ids must be distinct.

        Args:
            questions: The questions.
            prompts: What the generator reads, one a question; by default the prompt template around each.
            on_samples: Called with a question's id, first sample index and new samples, as they are drawn.

        Raises:
            InputError: The predictor has learnt other scores than these; see ``predictor.pairing``.
        """
        if not questions:
            return []
        prior = self._prior(questions, self.prompt if prompts is None else None)
        texts = [self.prompt(question.text) for question in questions] if prompts is None else prompts
        source = LiveSamples(questions, self.generator, self.verifier, texts, on_samples)
        outcomes = run_policy(self.policy, source, prior, self.selection)
        return [_answer(question.id, index, source, outcomes) for index, question in enumerate(questions)]

    def _prior(self, questions: Sequence[Question], prompt: PromptTemplate | None) -> Prior | None:
        """The prior of each question: the predictor's, else the constant one, else none."""
        if self.predictor is None:
            return self.prior
        from optscale_predictor.predictor.pairing import lend_score_map, require_pairing
        from optscale_predictor.predictor.source_records import source_of_engines

        config, live = self.predictor.config, source_of_engines(self.generator, self.verifier, prompt)
        source = require_pairing(config, live, self.source, self.unpaired)
        lend_score_map(config, source, self.verifier)
        return self.predictor.predict_questions(questions, source)


def _answer(question_id: str, index: int, source: LiveSamples, outcomes: Outcomes) -> Answer:
    samples, chosen = source.samples[index], int(outcomes.chosen[index])
    scores = outcomes.scores[index]
    return Answer(
        question_id=question_id,
        text=samples[chosen].text,
        answer=extract_answer(samples[chosen].text),
        score=float(scores[chosen]),
        samples=int(outcomes.count[index]),
        tokens=int(outcomes.tokens[index]),
        stop_reason=str(outcomes.reason[index]),
        scores=tuple(scores[~np.isnan(scores)].tolist()),
        trace=tuple(outcomes.trace[index]),
    )
