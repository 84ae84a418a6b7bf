"""The text of a chat completion's message: content as text or in parts, and thinking wherever a server puts it."""

from collections.abc import Mapping
from typing import Any

from optscale_predictor.answers.thinking import join_thinking, unfinished_thinking
from optscale_predictor.errors import ServiceError

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
