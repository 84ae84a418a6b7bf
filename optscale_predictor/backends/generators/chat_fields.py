"""What a chat says beside text: tools and their calls, the form of a reply, log-probabilities.

A server behind ours takes these fields and answers in them, so they are passed through as they come. OptScale itself
looks at one thing: which answer a sample is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from optscale_predictor._support.json_reader import MISSHAPEN
from optscale_predictor.backends.server_replies import UnreadableReplyError
from optscale_predictor.questions.answers import calls_answer, content_answer, extract_answer


@dataclass(frozen=True)
class ChatFields:
    """What a request for a chat says beside text.

    Attributes:
        messages: The whole conversation, in the form of OpenAI's API.
        body: Further fields of the request's body: ``tools``, ``tool_choice``, ``parallel_tool_calls``,
            ``response_format``, ``logprobs``, ``top_logprobs``.
    """

    messages: tuple[Mapping[str, Any], ...]
    body: Mapping[str, Any]

    @property
    def wants_logprobs(self) -> bool:
        """Whether the tokens' log-probabilities were asked for."""
        return bool(self.body.get("logprobs"))

    @property
    def wants_json(self) -> bool:
        """Whether the reply's text is to be JSON."""
        return "response_format" in self.body


@dataclass(frozen=True)
class ChatReply:
    """What a sample of a chat holds beside its text.

    Attributes:
        tool_calls: In the form of OpenAI's API; empty where the model calls no tool.
        logprobs: Of its tokens, as the server gives them; None where they were not asked for.
        is_json: Whether its text was to be JSON.
    """

    tool_calls: tuple[Mapping[str, Any], ...] = ()
    logprobs: Mapping[str, Any] | None = None
    is_json: bool = False

    def answer(self, text: str, ended: bool) -> str | None:
        """What the sample answers; None where it has no answer.

        Args:
            text: The sample's.
            ended: Whether it ended by itself.
        """
        if self.tool_calls:
            return calls_answer(self.tool_calls)
        return content_answer(text) if self.is_json else extract_answer(text, ended)

    def written(self, text: str) -> str:
        """The whole sample as a text for those who read texts: a call is written as models write it.

        Args:
            text: The sample's.
        """
        calls = [
            json.dumps({name: call["function"][name] for name in ("name", "arguments")}, ensure_ascii=False)
            for call in self.tool_calls
        ]
        return "\n".join([*filter(None, [text]), *(f"<tool_call>{call}</tool_call>" for call in calls)])


def read_tool_calls(message: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The tool calls in a message of a reply, in the form of OpenAI's API; empty where there are none.

    Some servers give arguments as an object in place of its text, and leave out the calls' ids.

    Args:
        message: Of the reply.

    Raises:
        UnreadableReplyError: They are none.
    """
    listed = message.get("tool_calls")
    if not listed:
        return ()
    try:
        return tuple(_tool_call(call["id"] if call.get("id") else None, call["function"]) for call in _list(listed))
    except MISSHAPEN as error:
        raise UnreadableReplyError("a sample's tool calls are none") from error


def _list(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _tool_call(name: str | None, function: Mapping[str, Any]) -> Mapping[str, Any]:
    arguments = function.get("arguments") or "{}"
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    called = {"name": str(function["name"]), "arguments": text}
    return {"id": name or f"call_{uuid4().hex}", "type": "function", "function": called}
