"""What an OpenAI-compatible server replies, read in every form that is in use.

How a sample ended, in the words of the servers in use, read as one of the two that a pool knows.

``stop``: the sample came to its end. ``length``: it was cut off, by its limit of tokens or by the server.

The text of a chat completion's message: content as text or in parts, and thinking wherever a server puts it.

How many tokens a server generated: what its ``usage`` says, what its lists of tokens say, and what the text says.

Servers differ in whether ``completion_tokens`` holds the thinking. ``total_tokens`` tells where it is larger than
prompt and completion together; so does a count of thinking tokens that is larger than the whole completion.

No honest count is below :func:`least_tokens`. A token is one word or less in most vocabularies, and a few words in
some; the longest ones that are no repetition have some sixty bytes. Repetitions (spaces, dashes, ``AAAA``) may be one
long token, so white space and punctuation do not count, nor does a letter or digit that repeats the one before.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any

from optscale_predictor.backends.http_client import UnreadableReplyError
from optscale_predictor.errors import ServiceError
from optscale_predictor.questions.answers import join_thinking, unfinished_thinking

_ENDED = {"stop", "stopped", "stop_sequence", "stop_token", "stop_str", "eos", "eos_token", "end", "end_turn"}
_ENDED |= {"end_of_text", "end_of_sequence", "complete", "completed", "finished", "done", "refusal", "pause_turn"}
_ENDED |= {"tool_calls", "tool_call", "tool_use", "function_call"}
_CUT_OFF = {"length", "max_length", "max_tokens", "max_new_tokens", "max_output_tokens", "model_length", "token_limit"}
_CUT_OFF |= {"time_limit", "incomplete", "model_context_window_exceeded", "content_filter", "safety", "recitation"}
_CUT_OFF |= {"repetition"}
_FAILED = {"abort", "aborted", "cancel", "cancelled", "canceled", "error", "failed", "insufficient_system_resource"}


def read_finish_reason(reason: object) -> str | None:
    """``stop`` or ``length``; None where the word is not known.

    Raises:
        UnreadableReplyError: The server gave up on the sample: worth asking again.
    """
    word = str(reason or "").lower().replace("-", "_")
    if word in _FAILED:
        raise UnreadableReplyError(f"a sample was not finished: {word!r}")
    if word in _ENDED:
        return "stop"
    return "length" if word in _CUT_OFF else None


_THOUGHTS = ("thinking", "reasoning", "reasoning_content", "reasoning_text")


def read_message(message: Mapping[str, Any], cut_off: bool) -> str:
    """A sample's whole text, thinking in front of the answer.

    A message that has thinking alone is a thought that was cut off, where the sample was; else the server's reasoning
    parser took all of the text for thinking, and it is kept as the answer.

    Args:
        message: Of the reply.
        cut_off: Whether the sample was.

    Raises:
        ServiceError: A part of it is not text.
    """
    thoughts, answer = _split(message.get("content"))
    thinking = _text(message.get("reasoning_content")) or _text(message.get("reasoning")) or thoughts
    answer = answer or _text(message.get("refusal"))
    if answer.strip() or not thinking.strip():
        return join_thinking(thinking, answer)
    return unfinished_thinking(thinking) if cut_off else thinking


def _split(content: object) -> tuple[str, str]:
    """Thinking and answer in a message's content."""
    if not isinstance(content, list):
        return "", _text(content)
    thoughts = "".join(_text(part) for part in content if _kind(part) in _THOUGHTS)
    return thoughts, "".join(_text(part) for part in content if _kind(part) not in _THOUGHTS)


def _kind(part: object) -> str:
    return str(part.get("type", "")) if isinstance(part, Mapping) else ""


def _text(part: object) -> str:
    """The text of a part, which may be in parts itself."""
    if part is None or isinstance(part, str):
        return part or ""
    if isinstance(part, list):
        return "".join(map(_text, part))
    if isinstance(part, Mapping):
        for name in ("text", *_THOUGHTS, "refusal", "content"):
            if part.get(name) is not None:
                return _text(part[name])
    raise ServiceError(f"the server's reply has a part that is no text ({_kind(part) or type(part).__name__})")


_MOST_BYTES, _MOST_WORDS = 64, 8  # that one token stands for, in the mean over a sample
_USUAL_BYTES = 4  # of a token, for an estimate


def told_tokens(usage: Any) -> tuple[int | None, int]:
    """The tokens generated, thinking included, and how many of them only the total tells; None where nothing does.

    Raises:
        UnreadableReplyError: A number is none.
    """
    if not isinstance(usage, Mapping):
        return None, 0
    completion, prompt, total = (_number(usage, f"{name}_tokens") for name in ("completion", "prompt", "total"))
    details = usage.get("completion_tokens_details")
    thinking = _number(details, "reasoning_tokens") if isinstance(details, Mapping) else None
    if completion is None and (total is None or prompt is None):
        return None, 0
    said = completion or 0
    whole = max(said, total - prompt) if total is not None and prompt is not None else said
    if whole == said and (thinking or 0) > said:  # counted beside the completion, and in no total
        whole = said + (thinking or 0)
    return whole, whole - said


def prompt_tokens(usage: Any) -> int:
    """The tokens of the prompt; 0 where the server does not tell them."""
    return (_number(usage, "prompt_tokens") or 0) if isinstance(usage, Mapping) else 0


def least_tokens(text: str) -> int:
    """Tokens that a text has at least, in any vocabulary in use."""
    telling = "".join(one for one, before in zip(text, " " + text, strict=False) if one.isalnum() and one != before)
    words = sum(any(map(str.isalnum, word)) for word in text.split())
    return max(ceil(len(telling.encode("utf-8", "replace")) / _MOST_BYTES), words // _MOST_WORDS)


def estimated_tokens(text: str) -> int:
    """Tokens that a text and its end may have."""
    return max(least_tokens(text), len(text.encode("utf-8", "replace")) // _USUAL_BYTES) + 1


def _number(holder: Mapping[str, Any], name: str) -> int | None:
    number = holder.get(name)
    if number is None:
        return None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise UnreadableReplyError(f"a count of tokens is {str(number)[:40]!r}")
    return number
