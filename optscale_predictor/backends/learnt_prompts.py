"""The prompt around questions: a file's, or the one that a fine-tuned generator has learnt, or the bare question."""

import logging

from optscale_predictor.backends.adapters.generator_folder import learnt_prompt
from optscale_predictor.backends.options import GeneratorOptions
from optscale_predictor.questions.prompts import PromptTemplate

_LOG = logging.getLogger(__name__)


def prompt_template(prompt_file: str | None, generator: GeneratorOptions) -> PromptTemplate:
    """The prompt that a generator is to be asked with; says so where it is a learnt one.

    Args:
        prompt_file: The user's own, with ``{question}``; goes before any other.
        generator: What is asked; a server's model says nothing of how it was trained.

    Raises:
        InputError: The file cannot be read or has no ``{question}``, or the generator's folder is damaged.
    """
    if prompt_file is None and generator.base_url is None and generator.model is not None:
        learnt = learnt_prompt(generator.model)
        if learnt is not None:
            _LOG.info(f"{generator.model}: asked with the prompt that it was trained on: {learnt!r}")
            return PromptTemplate(learnt)
    return PromptTemplate.from_file(prompt_file)
