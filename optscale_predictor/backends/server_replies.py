"""What an OpenAI-compatible server replies, read in every form that is in use.

A reply is a sample, and then its end, its text and its tokens are read here; or an error, and then the server's words,
how bad it is and which field of the request the server does not take. OpenAI's shape of an error is ``{"error":
{"message", "type", "param", "code"}}``; vLLM, FastAPI and gateways have others, and some send theirs with status 200.
"""

import json
import re
from collections.abc import Collection, Mapping
from math import ceil
from typing import Any

from optscale_predictor._support.json_reader import parse_json
from optscale_predictor.errors import InputError, ServiceError
from optscale_predictor.questions.answers import join_thinking, unfinished_thinking


class UnreadableReplyError(ValueError):
    """A reply that came, and is not what was asked for: worth asking again."""


# How a sample ended, in the words of the servers in use.
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


#: Fields and kinds of parts that hold thinking.
_THOUGHTS = ("thinking", "reasoning", "reasoning_content", "reasoning_text")


def read_message(message: Mapping[str, Any], cut_off: bool) -> str:
    """The whole text of a chat completion's message, thinking in front of the answer.

    Content may be a text or in parts, and thinking wherever a server puts it.

    A message that has thinking alone is a thought that was cut off, where the sample was, or one before a call of a
    tool; else the server's reasoning parser took all of the text for thinking, and it is kept as the answer.

    Args:
        message: Of the reply.
        cut_off: Whether the sample was.

    Raises:
        ServiceError: A part of it is not text.
    """
    thoughts, answer = _split(message.get("content"))
    thinking = _text(message.get("reasoning_content")) or _text(message.get("reasoning")) or thoughts
    answer = answer or _text(message.get("refusal"))
    if answer.strip() or not thinking.strip() or message.get("tool_calls"):
        return join_thinking(thinking, answer)
    return unfinished_thinking(thinking) if cut_off else thinking


_HUGE = 1 << 63


def token_logprobs(choice: Mapping[str, Any]) -> list[float]:
    """The log-probabilities of a choice's tokens, in nats; empty where it lists none.

    Completions have a list of numbers, chats a list of objects; llama.cpp gives completions in the form of chats.

    Args:
        choice: Of the reply.

    Raises:
        UnreadableReplyError: One is no number.
    """
    listed = choice.get("logprobs")
    if not isinstance(listed, Mapping):
        return []
    given = listed.get("token_logprobs") or [one.get("logprob") for one in listed.get("content") or ()]
    if not all(map(_is_number, given)):
        raise UnreadableReplyError("a token's log-probability is not a number")
    return [float(one) for one in given]


def _is_number(value: object) -> bool:
    """Whether JSON's number is one for a float too; its whole numbers know no bounds."""
    return (isinstance(value, float) and value == value) or (isinstance(value, int) and -_HUGE < value < _HUGE)


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


_MOST_TOKENS = (1 << 31) - 1  # of one reply, as pools count them
_MOST_BYTES, _MOST_WORDS = 64, 8  # that one token stands for, in the mean over a sample
_USUAL_BYTES = 4  # of a token, for an estimate


def told_tokens(usage: Any) -> tuple[int | None, int]:
    """The tokens generated, thinking included, and how many of them only the total tells; None where nothing does.

    Servers differ in whether ``completion_tokens`` holds the thinking. ``total_tokens`` tells where it is larger than
    prompt and completion together; so does a count of thinking tokens that is larger than the whole completion.

    Raises:
        UnreadableReplyError: A number is none.
    """
    if not isinstance(usage, dict):
        return None, 0
    completion, prompt = _number(usage, "completion_tokens"), _number(usage, "prompt_tokens")
    total = _number(usage, "total_tokens")
    details = usage.get("completion_tokens_details")
    thinking = _number(details, "reasoning_tokens") if isinstance(details, dict) else None
    if completion is None and (total is None or prompt is None):
        return None, 0
    said = completion or 0
    whole = max(said, total - prompt) if total is not None and prompt is not None else said
    if whole == said and (thinking or 0) > said:  # counted beside the completion, and in no total
        whole = said + (thinking or 0)
    return whole, whole - said


def prompt_tokens(usage: Any) -> int:
    """The tokens of the prompt; 0 where the server does not tell them."""
    return (_number(usage, "prompt_tokens") or 0) if isinstance(usage, dict) else 0


def least_tokens(text: str) -> int:
    """Tokens that a text has at least, in any vocabulary in use; no honest count is below.

    A token is one word or less in most vocabularies, and a few words in some; the longest ones that are no repetition
    have some sixty bytes. Repetitions (spaces, dashes, ``AAAA``) may be one long token, so white space and punctuation
    do not count, nor does a letter or digit that repeats the one before.
    """
    telling = "".join(one for one, before in zip(text, " " + text, strict=False) if one.isalnum() and one != before)
    words = sum(any(map(str.isalnum, word)) for word in text.split())
    return max(ceil(len(telling.encode("utf-8", "replace")) / _MOST_BYTES), words // _MOST_WORDS)


def estimated_tokens(text: str) -> int:
    """Tokens that a text and its end may have."""
    return max(least_tokens(text), len(text.encode("utf-8", "replace")) // _USUAL_BYTES) + 1


def _number(holder: Mapping[str, Any], name: str) -> int | None:
    number = holder.get(name)
    if number is None or (type(number) is int and 0 <= number <= _MOST_TOKENS):
        return number
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MOST_TOKENS:
        raise UnreadableReplyError(f"a count of tokens is {str(number)[:40]!r}")
    return number


_LONGEST = 200  # characters of a server's words
_TRANSIENT, _REFUSED, _NO_KEY = 500, 400, 401

#: In a code or type, of an error that has no number; looked for in this order.
_KINDS = (
    (_NO_KEY, ("authentication", "api_key", "apikey", "unauthorized", "permission", "forbidden")),
    (_TRANSIENT, ("rate_limit", "ratelimit", "overloaded", "timeout", "unavailable", "internal", "server_error")),
    (
        _REFUSED,
        ("invalid", "badrequest", "bad_request", "not_found", "notfound", "too_long", "exceeded", "unsupported"),
    ),
    (_REFUSED, ("content_policy", "content_filter", "validation", "unprocessable")),
)

#: Fields whose names are plain words too: an error that has one need not be about the field.
_WORDS = {"model", "prompt", "messages", "n", "stop", "stream", "temperature"}

_NOT = r"(?:not|n't|cannot|never|no)\b[^.]{0,20}"
_BEFORE = r"(?:unsupported|unknown|unrecogni[sz]ed|unexpected|unpermitted|extra|forbidden|disable)"
_AFTER = (
    rf"(?:unsupported|unknown|unrecogni[sz]ed|unexpected|{_NOT}(?:support|permit|allow|accept|implement|available))"
)


def said(body: bytes, key: str) -> str:
    """What an error's body says, as the end of one line; empty where it says nothing.

    Args:
        body: Of the reply.
        key: The API key, which some servers repeat there: it is shown as ``***``.
    """
    message = _message(_error_of(_parsed(body)))
    text = " ".join(message.split())[:_LONGEST]
    text = text.replace(key, "***") if key else text
    return f": {text}" if text and text != "{}" else ""


def status_within(reply: Any) -> int:
    """The HTTP status that an error in a reply of status 200 amounts to; 200 where there is none."""
    if not isinstance(reply, dict) or reply.get("choices") or reply.get("data"):
        return 200
    if not reply.get("error") and reply.get("object") != "error":
        return 200
    error = _error_of(reply)
    told = [error.get(name) for name in ("code", "status", "type")] if isinstance(error, Mapping) else []
    for one in told:
        if re.fullmatch("[0-9]{3}", str(one)) and 400 <= int(str(one)) < 600:
            return int(str(one))
    words = " ".join(str(one) for one in told).lower().replace("-", "_").replace(" ", "_")
    return next((status for status, parts in _KINDS if any(part in words for part in parts)), _TRANSIENT)


def refused_field(body: bytes, fields: Collection[str]) -> str:
    """Which of a request's fields an error says the server does not take; empty where it says so of none.

    Args:
        body: Of the reply.
        fields: Of the request; those whose names are plain words are not looked for.
    """
    content = _parsed(body)
    message = _message(_error_of(content)) if isinstance(content, Mapping) else ""
    for name in fields:
        if name in _WORDS:
            continue
        word = rf"\b{re.escape(name)}s?\b"
        patterns = (f"{_BEFORE}[^.]{{0,60}}{word}", f"{word}[^.]{{0,60}}{_AFTER}", f"{_NOT}[^.]{{0,60}}{word}")
        if any(re.search(pattern, message, re.IGNORECASE) for pattern in patterns):
            return name
    return ""


def _parsed(body: bytes) -> Any:
    try:
        return parse_json(body, "reply", half_pairs=True)
    except InputError:
        return {}


def _error_of(content: Any) -> Any:
    return (content.get("error") or content) if isinstance(content, Mapping) else content


def _message(error: Any) -> str:
    """The words in an error of whatever shape."""
    if not isinstance(error, Mapping):
        return str(error or "")
    found = error.get("message") or error.get("detail") or error.get("msg") or ""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
