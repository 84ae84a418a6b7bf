"""Between text and tokens, for engines that run in this process: prompts in, samples out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.generators._generator import Request, Sample, SamplingParams


@dataclass(frozen=True)
class Transcriber:
    """Reads prompts and writes samples with a model's tokenizer.

    Attributes:
        model: The model's name, for errors.
        tokenizer: A transformers tokenizer.
        chat: Whether a prompt is a user's turn, put into the tokenizer's chat template.
        context: Tokens that the model can hold, prompt and sample together.
    """

    model: str
    tokenizer: Any
    chat: bool
    context: int

    def __post_init__(self) -> None:
        """Checks that there is a template where one is asked for."""
        if self.chat and not self.has_template:
            raise InputError(f"model {self.model!r}: its tokenizer has no chat template; leave chat off")

    @property
    def has_template(self) -> bool:
        """Whether the tokenizer knows how a conversation is written."""
        return bool(getattr(self.tokenizer, "chat_template", None))

    def prompts(self, requests: Sequence[Request]) -> list[list[int]]:
        """Tokens of each request's prompt.

        Raises:
            RequestRefusedError: A prompt is empty, or leaves no room for a sample; names its question.
        """
        prompts = [self._tokens(request) for request in requests]
        for request, prompt in zip(requests, prompts, strict=True):
            if not prompt:
                raise RequestRefusedError(f"question {request.question_id!r}: its prompt is empty")
            if len(prompt) >= self.context:
                raise RequestRefusedError(
                    f"question {request.question_id!r}: its prompt has {len(prompt)} tokens, "
                    f"the model's context {self.context}"
                )
        return prompts

    def room(self, prompt: Sequence[int], sampling: SamplingParams) -> int:
        """Most tokens that a sample of this prompt may have, >= 1."""
        return min(sampling.max_tokens, self.context - len(prompt))

    def has_stop(self, tokens: Sequence[int], sampling: SamplingParams) -> bool:
        """Whether the last token completed a stop string."""
        if not sampling.stop:
            return False
        # A stop string has at most as many tokens as bytes; only the tail can have completed one just now.
        tail = self.text(tokens[-max(len(stop.encode()) for stop in sampling.stop) - 1 :])
        return any(stop in tail for stop in sampling.stop)

    def sample(self, tokens: Sequence[int], ended: bool, seed: int, sampling: SamplingParams, prompt: int) -> Sample:
        """A finished sample of a prompt of so many tokens: its text without the stop string, every token counted."""
        text = self.text(tokens)
        cut = min((place for stop in sampling.stop if (place := text.find(stop)) >= 0), default=len(text))
        reason = "stop" if ended else "length"
        return Sample(sampling.shown(text[:cut]), len(tokens), reason, seed, prompt_tokens=prompt)

    def text(self, tokens: Sequence[int]) -> str:
        """What these tokens say, special ones left out."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _tokens(self, request: Request) -> list[int]:
        if not self.chat and not request.messages:
            return list(self.tokenizer(request.prompt)["input_ids"])
        from jinja2 import TemplateError

        if not self.has_template:
            raise InputError(f"model {self.model!r}: its tokenizer has no chat template for a conversation")
        goes_on = request.continues
        ending = {"continue_final_message": True} if goes_on else {"add_generation_prompt": True}
        try:
            text = self.tokenizer.apply_chat_template(request.turns(), tokenize=False, **ending)
        except TemplateError as error:
            raise InputError(f"model {self.model!r}: its chat template fails: {error}") from error
        # Templates write the special tokens themselves.
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
