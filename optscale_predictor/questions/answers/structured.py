"""Answers that are JSON: a model's tool calls, and replies of which a client asked for JSON.

Two such answers are the same where they say the same in JSON, whatever the order of an object's members or the spaces
between them; in JSON ``1.0`` is ``1``. They are written in one canonical form, so that comparing texts is enough: the
rules for values of mathematics would find in them what is not there.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optscale_predictor._support.json_reader import parse_json
from optscale_predictor.errors import InputError
from optscale_predictor.questions.answers.reading.sample_text import strip_thinking

_CALLS, _CONTENT = '{"tool_calls":', '{"content":'


def calls_answer(calls: Sequence[Mapping[str, Any]]) -> str | None:
    """The answer that a model's tool calls are: each one's name and arguments, in whatever order they were made.

    Args:
        calls: In the form of OpenAI's API: ``{"function": {"name": ..., "arguments": JSON as text}, ...}``, at least
            one. What else they hold, such as an id of each, is no part of the answer.

    Returns:
        Canonical JSON; None where the arguments of one are no JSON.
    """
    try:
        named = [(call["function"]["name"], _parsed(call["function"]["arguments"])) for call in calls]
    except InputError:
        return None
    written = sorted(_canonical({"arguments": arguments, "name": name}) for name, arguments in named)
    return f"{_CALLS}[{','.join(written)}]}}"


def content_answer(text: str) -> str | None:
    """The answer that a text in JSON is; None where it is no JSON.

    Args:
        text: A sample's; thinking in front of it is no part of it.
    """
    try:
        return f"{_CONTENT}{_canonical(_parsed(strip_thinking(text)))}}}"
    except InputError:
        return None


def is_structured(answer: str) -> bool:
    """Whether an answer has the form in which the functions above write one."""
    return answer.startswith((_CALLS, _CONTENT))


def _parsed(text: str) -> Any:
    return parse_json(text, "JSON")


def _canonical(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """The same value with whole numbers as such."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
