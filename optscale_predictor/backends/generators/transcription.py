"""Between text and tokens, for engines that run in this process: prompts in, samples out.

Requests that cannot be drawn for (an empty prompt, one that fills the model's context) fail no other: the others are
drawn first, then :class:`Refusals` names these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optscale_predictor.backends.generators.generator import Generator, Request, Sample
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.token_logprobs import LogprobSummary
from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.questions.answers import opened_thinking, reopen_thinking

_SHORT = 2**17  # characters that any tokenizer reads at once


class Refusals:
    """Requests that were refused, of several.

    Args:
        asked: How many there are in all.
    """

    def __init__(self, asked: int) -> None:
        self._asked, self._said = asked, list[str]()

    def add(self, request: Request, error: RequestRefusedError) -> None:
        """One more refusal.

        Args:
            request: What was refused.
            error: Why.
        """
        name, said = f"question {request.question_id!r}", str(error)
        self._said.append(said if said.startswith(name) else f"{name}: {said}")

    def tell(self) -> None:
        """Names the first of them, once all others are done.

        Raises:
            RequestRefusedError: There are any.
        """
        if self._said:
            raise RequestRefusedError(f"{len(self._said)} of {self._asked} requests were refused; {self._said[0]}")


@dataclass(frozen=True)
class Prompt:
    """A request as the model reads it.

    Attributes:
        request: The request.
        tokens: Its prompt's, and those of what there is of the sample: at least one, fewer than the model's context.
        opened: The ``<think>`` that the prompt ends with: where a template puts it there, the model does not write it.
    """

    request: Request
    tokens: list[int]
    opened: str = ""


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

    def prompts(self, requests: Sequence[Request]) -> tuple[list[Prompt], Refusals]:
        """The requests that can be drawn for, in their order, and those that cannot."""
        prompts, refusals = [], Refusals(len(requests))
        for request in requests:
            try:
                prompts.append(self.prompt(request))
            except RequestRefusedError as error:
                refusals.add(request, error)
        return prompts, refusals

    def prompt(self, request: Request) -> Prompt:
        """A request's prompt.

        Raises:
            RequestRefusedError: It is empty, no Unicode, leaves no room for a sample, or the chat template refuses it;
                names its question.
            InputError: It is a conversation, and there is no chat template.
        """
        self._require_short(request)
        text, tokens = self.rendered(request)
        if not tokens:
            raise RequestRefusedError(f"question {request.question_id!r}: its prompt is empty")
        tokens += () if request.prefix is None else request.prefix.tokens
        if len(tokens) >= self.context:
            raise RequestRefusedError(
                f"question {request.question_id!r}: its prompt has {len(tokens)} tokens, "
                f"the model's context {self.context}"
            )
        return Prompt(request, tokens, opened_thinking(text))

    def _require_short(self, request: Request) -> None:
        """Refuses a prompt by its length where no tokens can hold it: tokenising 20 MB takes a minute and 3 GB."""
        length = sum(len(turn["content"]) for turn in request.turns())
        if length <= _SHORT or length <= (most := self.context * self._longest_token):
            return
        raise RequestRefusedError(
            f"question {request.question_id!r}: its prompt has {length:,} characters; "
            f"the model's context {self.context} holds {most:,} at most"
        )

    @cached_property
    def _longest_token(self) -> int:
        """Characters of the longest token; byte-level tokens have one for each byte."""
        return max(map(len, self.tokenizer.get_vocab()), default=1)

    def room(self, prompt: Prompt, sampling: SamplingParams) -> int:
        """Most tokens that a sample may have, >= 1: its limit, or what the context has left.

        Args:
            prompt: What it goes on from.
            sampling: Its limit.
        """
        return min(sampling.max_tokens, self.context - len(prompt.tokens))

    def has_stop(self, tokens: Sequence[int], sampling: SamplingParams) -> bool:
        """Whether the last token completed a stop string.

        Args:
            tokens: Of a sample, so far.
            sampling: The stop strings.
        """
        if not sampling.stop:
            return False
        # A stop string has at most as many tokens as bytes; only the tail can have completed one just now.
        tail = self.text(tokens[-max(len(stop.encode()) for stop in sampling.stop) - 1 :])
        return any(stop in tail for stop in sampling.stop)

    def sample(
        self,
        tokens: Sequence[int],
        ended: bool,
        seed: int,
        sampling: SamplingParams,
        prompt: Prompt,
        logprobs: LogprobSummary | None = None,
    ) -> Sample:
        """A finished sample of a prompt: its text without the stop string, every token counted.

        Of a sample that went on, the text is the whole of it, and the tokens counted are the new ones.

        Args:
            tokens: What the model generated.
            ended: Whether it ended by itself or with a stop string.
            seed: What it was drawn with.
            sampling: How it was drawn.
            prompt: What it goes on from.
            logprobs: Of all its tokens, where they were asked for.
        """
        prefix = prompt.request.prefix
        ids = () if prefix is None else (*prefix.tokens, *tokens)
        text = self.text(ids or tokens)
        cut = min((index for stop in sampling.stop if (index := text.find(stop)) >= 0), default=len(text))
        shown = sampling.shown(reopen_thinking(prompt.opened, text[:cut]))
        # A stop string may begin in the part before, where nobody could see it come.
        reason, read = "stop" if ended or cut < len(text) else "length", len(prompt.tokens)
        return Sample(shown, len(tokens), reason, seed, prompt_tokens=read, logprobs=logprobs, token_ids=ids)

    def text(self, tokens: Sequence[int]) -> str:
        """What these tokens say, special ones left out."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def rendered(self, request: Request) -> tuple[str, list[int]]:
        """A request's prompt as text and tokens, of any length.

        Raises:
            RequestRefusedError: The chat template refuses it, or it is no Unicode.
            InputError: It is a conversation, and there is no chat template.
        """
        if not self.chat and not request.messages:
            return request.prompt, self._read(request, request.prompt)
        from jinja2 import TemplateError

        if not self.has_template:
            raise InputError(f"model {self.model!r}: its tokenizer has no chat template for a conversation")
        ending = {"continue_final_message": True} if request.continues else {"add_generation_prompt": True}
        try:
            text = str(self.tokenizer.apply_chat_template(request.turns(), tokenize=False, **ending))
        except TemplateError as error:
            name = f"question {request.question_id!r}: model {self.model!r}"
            raise RequestRefusedError(f"{name}: its chat template fails: {error}") from error
        # Templates write the special tokens themselves.
        return text, self._read(request, text, add_special_tokens=False)

    def _read(self, request: Request, text: str, **how: bool) -> list[int]:
        try:
            text.encode()
        except UnicodeEncodeError as error:  # as JSON and Python may spell it, and no tokenizer takes it
            problem = "its prompt holds half of a surrogate pair, which is no text"
            raise RequestRefusedError(f"question {request.question_id!r}: {problem}") from error
        return list(self.tokenizer(text, **how)["input_ids"])


class TokenGenerator(Generator):
    """A generator whose model runs in this process: what it can take is known before it draws."""

    continues_from = "tokens"
    _transcriber: Transcriber

    def takes_conversations(self) -> bool:
        """Whether the model has a chat template for a request's ``messages``."""
        return self._transcriber.has_template

    def check(self, request: Request) -> None:
        """Sees, before anything is drawn, whether this request can be drawn for.

        Raises:
            InputError: Its prompt is empty or too long, or it holds a conversation and there is no chat template.
        """
        self._transcriber.prompt(request)
