"""How a trained verifier lays out a question and a sample as tokens: as the generator wrote them.

A decoder reads the prompt that the generator read and then the sample, tokenised apart, so that every token of the
sample is predicted from what stood before it when it was drawn. An encoder reads the two as a pair of texts.
"""

from typing import Any, NamedTuple

from optscale_predictor.backends.verifiers.trained_config import TrainedVerifierConfig
from optscale_predictor.backends.verifiers.verifier import Answered
from optscale_predictor.errors import InputError
from optscale_predictor.questions.prompts import PromptTemplate


class SampleTokens(NamedTuple):
    """A question with a sample.

    Attributes:
        tokens: Of both.
        start: Where the sample begins, >= 1; an encoder does not ask for it.
    """

    tokens: list[int]
    start: int


class SampleReader:
    """Tokenises questions with their samples.

    Args:
        tokenizer: The base's.
        config: Says what is read, and how.

    Raises:
        InputError: Prompts are to be a user's turn, and the tokenizer has no chat template; or it has no token that
            ends a text.
    """

    def __init__(self, tokenizer: Any, config: TrainedVerifierConfig) -> None:
        self._tokenizer, self._config = tokenizer, config
        self._prompt = PromptTemplate(config.prompt)
        self._last: tuple[str | None, list[int]] = (None, [])
        if config.chat and not tokenizer.chat_template:
            raise InputError(f"base model {config.base_model!r}: it has no chat template; say --chat false")
        known = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        self.padding = next(one for one in known if one is not None)  # masked, so that any token will do
        if config.kind == "decoder" and tokenizer.eos_token_id is None:
            raise InputError(f"base model {config.base_model!r}: its tokenizer has no token that ends a text")

    def __call__(self, item: Answered) -> SampleTokens:
        """The tokens of a question and its sample; the end of the text is among them where the sample ended."""
        prompt = self._prompt(item.question.text)
        if self._config.kind == "encoder":
            return SampleTokens(list(self._tokenizer(prompt, item.text)["input_ids"]), 1)
        asked = self._prompt_tokens(prompt)
        written = list(self._tokenizer(item.text, add_special_tokens=False)["input_ids"])
        # A sample that was cut off has no end, and a verifier may hold that against it.
        end = [self._tokenizer.eos_token_id] if item.ended else []
        return SampleTokens([*asked, *written, *end], len(asked))

    def _prompt_tokens(self, prompt: str) -> list[int]:
        if self._last[0] != prompt:  # samples of one question come together
            self._last = prompt, self._tokenize_prompt(prompt)
        return self._last[1]

    def _tokenize_prompt(self, prompt: str) -> list[int]:
        if not self._config.chat:
            # The first token of a sample is predicted from something, if only from the token that ends texts.
            return list(self._tokenizer(prompt)["input_ids"]) or [self._tokenizer.eos_token_id]
        turns = [{"role": "user", "content": prompt}]
        text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        # Templates write the special tokens themselves.
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
