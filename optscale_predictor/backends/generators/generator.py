"""The generator interface: something that draws independent samples (answers) to a prompt.

Beside the interface stand the plain data that pass through it (what is asked for, what comes back, what it cost). One
adapter a provider lives beside this file; its heavy imports happen when it is built, not when it is imported.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from types import MappingProxyType, TracebackType
from typing import Any, Self

from optscale_predictor.backends.generators.chat_fields import ChatFields, ChatReply
from optscale_predictor.backends.generators.sample_parts import Looks, Prefix
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.reachability import Reachability
from optscale_predictor.backends.token_logprobs import LogprobSummary


@dataclass(slots=True, unsafe_hash=True)  # not frozen: that triples what making one costs
class Request:
    """Ask for ``num_samples`` further samples of one question.

    Attributes:
        question_id: Whose samples these are.
        prompt: The whole prompt, ready for the model.
        num_samples: How many to draw, >= 1.
        first_index: The pool index of the first of them: samples already drawn, >= 0.
        messages: A whole conversation, pairs of role and content, for a chat model; in place of ``prompt`` where there
            are any. Where the last is the ``assistant``'s, the samples go on from it.
        chat: What the conversation says beside text, for generators that take it (``Generator.takes_chat_fields``).
        prefix: What there is of the one sample that goes on; None where samples are drawn at once.
    """

    question_id: str
    prompt: str
    num_samples: int
    first_index: int = 0
    messages: tuple[tuple[str, str], ...] = ()
    chat: ChatFields | None = field(default=None, compare=False)
    prefix: Prefix | None = None

    def turns(self) -> list[Mapping[str, Any]]:
        """The conversation in the form that chat models take; the prompt is a user's turn."""
        if self.chat is not None:
            return list(self.chat.messages)
        return [{"role": role, "content": content} for role, content in self.messages or (("user", self.prompt),)]

    @property
    def own_end(self) -> str:
        """What the model's prompt ends with, as far as no chat template is put around it: else it is empty."""
        return self.messages[-1][1] if self.continues else ""

    @property
    def continues(self) -> bool:
        """Whether the samples go on from an assistant's turn."""
        return bool(self.messages) and self.messages[-1][0] == "assistant"


@dataclass(slots=True, unsafe_hash=True)  # as a request
class Sample:
    """One generated answer.

    Attributes:
        text: The completion alone, stop string removed; a ``<think>`` that the prompt ends with is put back in front.
        num_tokens: Tokens the model generated for it (the end-of-sequence token counts); 0 for a copy of a greedy
            sample that was drawn once for all.
        finish_reason: ``stop``, ``length`` where it was cut off, or ``rejected`` where early rejection stopped it.
        seed: Seed of the request it was drawn by; None where none was sent.
        columns: Further columns of the pool, by name: its scores, where what drew it scored it as well.
        prompt_tokens: Tokens of its prompt, as the engine reads it; 0 where that is not known.
        discarded_tokens: Tokens of replies that came before it in the same draw and could not be used.
        logprobs: Of its tokens; None where they were not asked for, or it has no tokens.
        reply: What it holds beside its text; None where the request said nothing beside text.
        token_ids: Where a prefix is given, all its tokens, as far as the engine tells them; else empty.
        looks: What early rejection saw of it; None where nobody looked.
    """

    text: str
    num_tokens: int
    finish_reason: str
    seed: int | None
    columns: tuple[tuple[str, object], ...] = ()
    prompt_tokens: int = field(default=0, compare=False)
    discarded_tokens: int = field(default=0, compare=False)
    logprobs: LogprobSummary | None = field(default=None, compare=False)
    reply: ChatReply | None = field(default=None, compare=False)
    token_ids: tuple[int, ...] = field(default=(), compare=False, repr=False)
    looks: Looks | None = field(default=None, compare=False)

    @property
    def written(self) -> str:
        """The whole sample as a text, its tool calls too."""
        return self.text if self.reply is None else self.reply.written(self.text)


class Arrived(dict[int, Sample]):
    """Samples of a request that have come while others of it are awaited, by their place in the request, from 0.

    Attributes:
        discarded_tokens: Tokens of replies that could not be used, of a request that is cut short or fails; of one that
            is answered, its first sample has them.
        estimated_tokens: Those of them that nobody has told: what samples under way are likely to have had.
        begun: Samples of the request that the engine was given, those that have come included.
    """

    discarded_tokens: int = 0
    estimated_tokens: int = 0
    begun: int = 0

    @property
    def cancelled(self) -> int:
        """Samples that the engine was at work on when the request was cancelled."""
        return max(self.begun - len(self), 0)


def copies(drawn: Sample, count: int) -> list[Sample]:
    """A greedy sample that was drawn once and stands for several; only the first of them has cost its tokens.

    Args:
        drawn: The sample.
        count: How many it stands for, >= 1.
    """
    return [drawn, *[replace(drawn, num_tokens=0)] * (count - 1)] if count > 1 else [drawn]


@dataclass
class Usage:
    """What an engine spent so far, beside its samples' own tokens.

    Attributes:
        prompt_tokens: Tokens of the prompts, one count a request, as the engine reads them.
        discarded_tokens: Tokens of samples that came and could not be used, as far as their replies tell.
        retries: Requests that were sent again; what the lost tries cost, their server knows.
        cancelled: Requests that the engine was at work on when the caller left.
        estimated_samples: Samples whose tokens are estimated from their text: their server did not tell the number, or
            told one that cannot be.
        empty_samples: Samples without any text.
    """

    prompt_tokens: int = 0
    discarded_tokens: int = 0
    retries: int = 0
    cancelled: int = 0
    estimated_samples: int = 0
    empty_samples: int = 0

    def add(self, other: "Usage") -> None:
        """Adds what was counted elsewhere."""
        for name in self.__dataclass_fields__:  # not `vars`, which makes a dict of its own for each
            if count := getattr(other, name):
                setattr(self, name, getattr(self, name) + count)

    def since(self, before: "Usage") -> "Usage":
        """What was spent after ``before`` was copied from it."""
        return Usage(**{name: count - getattr(before, name) for name, count in vars(self).items()})

    def note(self, samples: "Iterable[Sample]") -> None:
        """Counts those of new samples that have no text."""
        self.empty_samples += sum([not sample.written.strip() for sample in samples])

    def warnings(self) -> list[str]:
        """What a user should know of these samples, a line each; nothing where all is well."""
        lines = []
        if self.estimated_samples:
            lines.append(
                f"the tokens of {self.estimated_samples} samples are estimated from their text: the server "
                "told no number of them, or one too small for the text"
            )
        if self.empty_samples:
            why = "the model wrote none, or nothing is left of a thought that was cut off (max_tokens)"
            lines.append(f"{self.empty_samples} samples have no text: {why}")
        return lines


class DrawSession(ABC):
    """A generator held open, for questions that come one by one; an asynchronous context manager, one an event loop.

    Attributes:
        in_rounds: Whether it works through a batch before it takes the next request.
        at_once: Requests that it is worth having under way at once, >= 1; more of them wait.
        places: Samples that it draws at once, >= 0; 0 where that is not known. While some of them are free, samples may
            be drawn ahead.
        joins: Whether a request for several samples brings those that requests for one each would bring.
        reachability: Which of its servers can be reached; None where it has none.
    """

    in_rounds: bool = False
    at_once: int = 1 << 20
    places: int = 0
    joins: bool = False
    reachability: Reachability | None = None

    async def __aenter__(self) -> Self:
        """Opens what it needs."""
        return self

    async def __aexit__(  # noqa: B027 - some have nothing to let go of
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets go of it; what is under way ends."""

    @abstractmethod
    async def draw(self, request: Request, sampling: SamplingParams) -> list[Sample]:
        """``num_samples`` samples of one request; cancelling it cancels them, where the engine can.

        Args:
            request: What to draw.
            sampling: How to draw it, in place of the generator's own.

        Raises:
            RequestRefusedError: Of this request alone.
            ServiceError: The server or engine failed for good.
        """

    async def draw_into(self, arrived: Arrived, request: Request, sampling: SamplingParams) -> list[Sample]:
        """As :meth:`draw`; where it is cancelled or fails, ``arrived`` has those samples that had come.

        Args:
            arrived: Filled with the samples that come one by one, and then with the tokens of what could not be used.
            request: What to draw.
            sampling: How to draw it, in place of the generator's own.
        """
        return await self.draw(request, sampling)


class Generator(ABC):
    """Draws samples.

    A new adapter implements :meth:`generate` and :meth:`describe`, and sets ``sampling`` and ``usage``.

    Attributes:
        sampling: How samples are drawn.
        usage: What was spent so far.
        scored_by: What makes the scores that come with the samples, by their columns; most bring none.
        tells_self_certainty: Whether it sees each token's whole distribution, and not only how likely the token was.
        continues_from: What a sample goes on from (``Request.prefix``): ``tokens``, ``text``, or empty: it cannot.
        on_tokens: Called with the number of tokens that were just drawn, as they are, by engines that decode in this
            process: long before the first sample of a large batch is done.
    """

    sampling: SamplingParams
    usage: Usage
    on_tokens: Callable[[int], object] = staticmethod(lambda tokens: None)
    scored_by: Mapping[str, Mapping[str, object]] = MappingProxyType({})
    tells_self_certainty: bool = False
    continues_from: str = ""

    def with_sampling(self, sampling: SamplingParams) -> Self:
        """The same engine, drawing otherwise; nothing is loaded anew."""
        other = copy(self)
        other.sampling = sampling
        return other

    @abstractmethod
    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        """Draws ``num_samples`` independent samples for each request.

        Yields:
            Each request once, with all its samples, in whatever order they finish. The adapter batches as it
            sees fit, so callers hand over many requests at once.

        Raises:
            RequestRefusedError: Some requests cannot be drawn for; raised when all others are done.
            ServiceError: A server or engine failed for good.
        """

    def session(self) -> DrawSession | None:
        """This generator held open on an event loop; None where it works through a batch before it takes the next."""
        return None

    def takes_conversations(self) -> bool:
        """Whether there is a chat template for a request's ``messages``; of a server, its endpoint will tell."""
        return True

    def takes_chat_fields(self) -> bool:
        """Whether it takes what a chat says beside text (``Request.chat``); most read texts alone."""
        return False

    def check_sampling(self) -> None:  # noqa: B027 - most engines sample in every way
        """Sees, before anything is drawn, whether it can sample as ``sampling`` says.

        Raises:
            InputError: It cannot.
        """

    def check(self, request: Request) -> None:  # noqa: B027 - a server judges for itself
        """Sees, before anything is drawn, whether this request can be drawn for.

        Raises:
            InputError: Its prompt is empty or too long, or it holds a conversation and there is no chat template.
        """

    def interrupt(self) -> None:  # noqa: B027 - most engines have nothing to do
        """Asks a :meth:`generate` under way on another thread to end soon, with whatever error; by default nothing."""

    @abstractmethod
    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and sampling parameters; JSON types, no secrets."""
