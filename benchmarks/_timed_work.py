"""What an engine is asked while policies are timed: a world's generator, its questions, and what scores its samples."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.training.merged_model import write_merged
from optscale_predictor.cli.worlds.smollm2_world import SMOLLM2_WORLD
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question import Question, read_questions

WORLDS = ("embedded", "smollm2")


@dataclass(frozen=True)
class Work:
    """Samples to draw and score.

    Attributes:
        model: Folder of a whole model, or a name that ``resolve_model`` knows.
        questions: With gold answers.
        sampling: How samples are drawn, but for the seed.
        verifier: By name.
        prompt: Around a question.
    """

    model: str
    questions: Sequence[Question]
    sampling: SamplingParams
    verifier: str
    prompt: PromptTemplate


def work_of(world: str, questions: int, questions_from: str | None, folder: str) -> Work:
    """The work of a world.

    Args:
        world: One of ``WORLDS``. ``smollm2`` is a pretrained language model with word problems, whose worked
            calculations are checked; ``embedded`` generator and verifier of 0.3M parameters each.
        questions: How many.
        questions_from: A questions file with answers, for ``smollm2``.
        folder: Where a model is written that vLLM can load.
    """
    if world == "embedded":
        asked = make_questions(questions, 0, "test")
        sampling = SamplingParams(max_tokens=160)
        return Work("embedded:generator", asked, sampling, "embedded:verifier", PromptTemplate("{question}"))
    if questions_from is None:
        sys.exit("the smollm2 world needs word problems: --questions_from FILE")
    asked = read_questions(questions_from, questions)
    write_merged(SMOLLM2_WORLD.generator, model := f"{folder}/merged", "float32")
    sampling = SamplingParams(max_tokens=SMOLLM2_WORLD.sampling.max_tokens, stop=SMOLLM2_WORLD.sampling.stop)
    return Work(model, asked, sampling, "calculations", PromptTemplate(SMOLLM2_WORLD.prompt))
