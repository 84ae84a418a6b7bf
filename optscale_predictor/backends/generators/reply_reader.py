"""Reads a server's reply as samples, every part of it checked.

A reply was paid for, so what is merely unusual about it is read, with a warning, and not asked for again. What one
reply tells of its server (which way of counting tokens it has, which field limits them) holds for all that follow: they
share one :class:`ServerFacts`.
"""

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from optscale_predictor.backends.generators.chat_fields import ChatFields, ChatReply, read_tool_calls
from optscale_predictor.backends.generators.generator import Sample, Usage
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.server_replies import (
    UnreadableReplyError,
    estimated_tokens,
    least_tokens,
    prompt_tokens,
    read_finish_reason,
    read_message,
    token_logprobs,
    told_tokens,
)
from optscale_predictor.backends.token_logprobs import LogprobSummary
from optscale_predictor.errors import ServiceError
from optscale_predictor.questions.answers import has_ended, reopen_thinking

_LOG = logging.getLogger(__name__)


#: Ways to learn how many tokens each of a reply's samples took; the first that a server offers is kept.
TOKEN_IDS, LOGPROBS, ONE_BY_ONE = "token ids", "logprobs", "one by one"
#: The way of a request for one sample: ``usage`` tells.
USAGE = ""

#: What a user can do about a server that does not tell log-probabilities.
NO_LOGPROBS = "samples of it cannot be scored by logprobs:..., nor drawn with --logprobs true"
#: By who owns a server's models. llama.cpp refuses an ``n`` above its number of slots, and its ``usage`` counts one of
#: ``n`` samples. Its slots keep a prompt that they have read, so that asking one by one costs little.
_WAYS = {"vllm": TOKEN_IDS, "llamacpp": ONE_BY_ONE}
_TELLING_TOKENS = 8  # of equal samples: fewer are equal by chance

MAX_TOKENS, MAX_COMPLETION_TOKENS = "max_tokens", "max_completion_tokens"


@dataclass
class ServerFacts:
    """What is known of a server; shared by a generator's copies, whatever their sampling.

    Attributes:
        way: How the tokens of several samples in one reply are counted.
        limit: The field that limits a sample's tokens.
        settled: Whether the server is known to offer ``way``. Until it is, one request of several samples asks at a
            time: in a way that is not offered they are paid for, thrown away and drawn again.
    """

    way: str
    limit: str = MAX_TOKENS
    settled: bool = False
    _doubted: bool = False
    _varied: bool = False
    _checks: int = 4
    _unasked: list[str] = field(init=False)
    _strange: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """What to ask a server for whose ``usage`` is not believed."""
        self._unasked = [TOKEN_IDS, LOGPROBS] if self.way == TOKEN_IDS else [LOGPROBS]

    @classmethod
    def of(cls, owners: Set[str]) -> Self:
        """Of servers by who owns their models: a kind that is known offers what it is known for."""
        known = _WAYS.get(next(iter(owners))) if len(owners) == 1 else None
        return cls(known or LOGPROBS, settled=known is not None)

    @property
    def way_of_one(self) -> str:
        """How the tokens of a reply with one sample are counted."""
        return self._unasked[0] if self._doubted and self._unasked else USAGE

    def doubt(self, way: str) -> None:
        """A reply told no number of tokens, or one that cannot be, though it was asked for in this way."""
        self._doubted = True
        if way in self._unasked:
            self._unasked.remove(way)

    def may_repeat(self, samples: Sequence[Sample]) -> bool:
        """Whether a reply looks as if its server had drawn one sample and listed it several times.

        So it looks where all are one text of some length; short answers are often equal. It is worth asking a few times
        until a reply with different samples has come; vLLM, which tells tokens' ids, is known to draw each.

        Args:
            samples: Of one reply, at least one.
        """
        alike = len({sample.written for sample in samples}) == 1
        self._varied |= not alike
        if self._varied or self.way == TOKEN_IDS or samples[0].num_tokens < _TELLING_TOKENS or self._checks == 0:
            return False
        self._checks -= 1
        return True

    def stop_asking_together(self) -> None:
        """A server lists one sample several times: from now on each is asked for by itself; warns once."""
        if self.way != ONE_BY_ONE:
            _LOG.warning("the server gives one sample n times where it is asked for n; they are asked for one by one")
        self.way = ONE_BY_ONE

    def warn_of_reason(self, reason: str) -> None:
        """Warns, once for each, that a finish reason is not known."""
        if reason not in self._strange:
            self._strange.add(reason)
            _LOG.warning(f"finish_reason {reason!r} of the server is not known; taken as ended before max_tokens")


@dataclass(slots=True)  # not frozen: that triples what making one costs
class SentRequest:
    """The request that a reply answers.

    Attributes:
        count: Samples asked for, >= 1.
        seed: The request's; None where none was sent.
        way: How their tokens are counted: ``TOKEN_IDS``, ``LOGPROBS`` or ``USAGE``.
        chat: Whether it was asked of the chat endpoint.
        opened: The ``<think>`` that our own part of the prompt ends with; empty where it ends with none.
        fields: What it said beside text; None for nothing.
    """

    count: int
    seed: int | None
    way: str
    chat: bool
    opened: str = ""
    fields: ChatFields | None = None


class ReplyReader(NamedTuple):
    """Reads replies.

    Attributes:
        sampling: How the samples were drawn.
        usage: Gets what the replies cost.
        facts: Gets what they tell of the server.
    """

    sampling: SamplingParams
    usage: Usage
    facts: ServerFacts

    def read(self, reply: Any, sent: SentRequest) -> list[Sample] | None:
        """A reply's samples; None where it does not tell each one's tokens.

        Args:
            reply: As it was parsed from JSON.
            sent: What it answers.

        Raises:
            UnreadableReplyError: It is not what was asked for.
            ServiceError: It is, and cannot be used all the same.
        """
        told, beyond = told_tokens(reply.get("usage"))
        try:
            samples = self._samples(reply, sent, told, beyond)
        except Exception:
            # Its tokens were generated and will be paid for, whatever is wrong with it.
            self.usage.discarded_tokens += told or 0
            raise
        if samples is None:
            self.usage.discarded_tokens += told or 0
            return None
        self.usage.prompt_tokens += samples[0].prompt_tokens
        self.usage.note(samples)
        return samples

    def _samples(self, reply: Any, sent: SentRequest, told: int | None, beyond: int) -> list[Sample] | None:
        choices = reply["choices"]
        if len(choices) != sent.count:
            if sent.count > 1 and len(choices) == 1:  # a server that does not know `n`
                return None
            raise UnreadableReplyError(f"asked for {sent.count} samples, got {len(choices)}")
        if sent.count == 1 and sent.fields is None and not self.sampling.logprobs:
            return [self._one(choices[0], reply.get("usage"), sent, told, beyond)]
        endings = [self._ending(choice.get("finish_reason")) for choice in choices]
        texts = [_text(choice, sent.chat, not has_ended(end)) for choice, end in zip(choices, endings, strict=True)]
        replies = [_reply(choice, text, sent.fields) for choice, text in zip(choices, texts, strict=True)]
        # Before the tokens are counted: a server without log-probabilities is not asked again in another way.
        told_of = [self._logprobs(choice, text) for choice, text in zip(choices, texts, strict=True)]
        written = [text if one is None else one.written(text) for text, one in zip(texts, replies, strict=True)]
        tokens = self._counted(choices, written, sent, told)
        if tokens is None:
            return None
        if max(tokens) - beyond > self.sampling.max_tokens:
            raise _too_many(max(tokens))
        read = prompt_tokens(reply.get("usage"))
        shown = [self.sampling.shown(reopen_thinking(sent.opened, text)) for text in texts]
        used_up = ["length" if count >= self.sampling.max_tokens else "stop" for count in tokens]
        return [
            Sample(text, count, end or guess, sent.seed, prompt_tokens=read, logprobs=logprobs, reply=one)
            for text, count, end, guess, logprobs, one in zip(
                shown, tokens, endings, used_up, told_of, replies, strict=True
            )
        ]

    def _one(self, choice: Any, usage: Any, sent: SentRequest, told: int | None, beyond: int) -> Sample:
        """As :meth:`_samples`, of a reply with a text and nothing else: by far the most frequent one."""
        end = self._ending(choice.get("finish_reason"))
        text = _text(choice, sent.chat, not has_ended(end))
        count = self._counted_of_one(choice, text, sent, told)
        most = self.sampling.max_tokens
        if count - beyond > most:
            raise _too_many(count)
        shown = self.sampling.shown(reopen_thinking(sent.opened, text))
        end = end or ("length" if count >= most else "stop")
        return Sample(shown, count, end, sent.seed, prompt_tokens=prompt_tokens(usage))

    def _logprobs(self, choice: Any, text: str) -> LogprobSummary | None:
        """Of a choice's tokens, where they were asked for; None where it has none."""
        if not self.sampling.logprobs:
            return None
        summary = LogprobSummary.of_tokens(token_logprobs(choice))
        if summary is None and text:
            raise ServiceError(f"the server returns no log-probabilities, which it was asked for; {NO_LOGPROBS}")
        return summary

    def _ending(self, reason: object) -> str | None:
        known = read_finish_reason(reason)
        if known is None:
            self.facts.warn_of_reason(str(reason)[:40])
        return known

    def _counted(
        self, choices: Sequence[Any], texts: Sequence[str], sent: SentRequest, told: int | None
    ) -> list[int] | None:
        """Each sample's tokens; None where they cannot be told from the whole's."""
        if len(choices) == 1:
            return [self._counted_of_one(choices[0], texts[0], sent, told)]
        listed = [_listed(choice, sent.way, sent.chat) for choice in choices]
        credible = sum(listed) > 0 and all(map(_can_be, listed, texts))
        return listed if credible and sum(listed) >= (told or 0) else None

    def _counted_of_one(self, choice: Any, text: str, sent: SentRequest, told: int | None) -> int:
        """The tokens of a reply's only sample; estimated where nothing that it tells can be."""
        listed = _listed(choice, sent.way, sent.chat)
        most = max(told or 0, listed)
        if (listed > 0 and _can_be(listed, text)) or (told is not None and _can_be(told, text)):
            return most
        self.facts.doubt(sent.way)
        self.usage.estimated_samples += 1
        return min(max(most, estimated_tokens(text)), self.sampling.max_tokens)


def _too_many(tokens: int) -> ServiceError:
    return ServiceError(f"the server's sample has {tokens} tokens, more than were asked for")


def _reply(choice: Any, text: str, fields: ChatFields | None) -> ChatReply | None:
    """What a choice of a chat holds beside its text; None where nothing was said beside text."""
    if fields is None:
        return None
    calls, told = read_tool_calls(choice["message"]), choice.get("logprobs")
    if fields.wants_logprobs and not isinstance(told, Mapping) and text and not calls:
        raise ServiceError("the server returns no log-probabilities, which it was asked for")
    logprobs = told if fields.wants_logprobs and isinstance(told, Mapping) else None
    return ChatReply(calls, logprobs, fields.wants_json)


def _can_be(tokens: int, text: str) -> bool:
    """Whether a text can have so few tokens.

    A character has four bytes at most, and a word one character and a space at least: no text has a higher bound than
    the first one here, which is found without reading it.
    """
    return tokens > len(text) // 16 or tokens >= max(least_tokens(text), int(text != ""))


def _listed(choice: Any, way: str, chat: bool) -> int:
    """Tokens that a choice lists; 0 where it lists none."""
    if way == USAGE:
        return 0
    if way == TOKEN_IDS:
        return len(choice.get("token_ids") or ())
    listed = choice.get("logprobs") or {}
    return len(listed.get("content" if chat else "tokens") or ())


def _text(choice: Any, chat: bool, cut_off: bool) -> str:
    text = read_message(choice["message"], cut_off) if chat else choice["text"]
    if not isinstance(text, str | None):
        raise UnreadableReplyError("a sample's text is not text")
    return text or ""
