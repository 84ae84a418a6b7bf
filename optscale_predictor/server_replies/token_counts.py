"""How many tokens a server generated: what its ``usage`` says, what its lists of tokens say, and what the text says.

Servers differ in whether ``completion_tokens`` holds the thinking. ``total_tokens`` tells where it is larger than
prompt and completion together; so does a count of thinking tokens that is larger than the whole completion.

No honest count is below :func:`least_tokens`. A token is one word or less in most vocabularies, and a few words in
some; the longest ones that are no repetition have some sixty bytes. Repetitions (spaces, dashes, ``AAAA``) may be one
long token, so white space and punctuation do not count, nor does a letter or digit that repeats the one before.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any

from optscale_predictor.wire import UnreadableReplyError

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
