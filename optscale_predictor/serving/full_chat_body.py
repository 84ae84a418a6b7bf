"""The body of a request for a chat where the generator takes all that a chat says: tools, JSON, log-probabilities.

These fields are checked for their form and passed through (``ChatFields``): what they mean is for the server behind
this one to say, and what it cannot do it refuses.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from optscale_predictor.backends.generators import ChatFields
from optscale_predictor.serving.api_errors import field_error
from optscale_predictor.serving.body_fields import ASSISTANT, TEXT, TOOL, TURN, WHOLE, Nothing
from optscale_predictor.serving.request_bodies import Body, ChatBody, Content, ConversationBody, Turns, role_of, text_of
from optscale_predictor.serving.serve_settings import ServeSettings

_MOST_LOGPROBS = 20  # alternatives of a token, as in OpenAI's API


class CalledFunction(Body):
    """What a tool call calls."""

    name: Annotated[str, Field(min_length=1)]
    arguments: str


class ToolCall(Body):
    """A call that the assistant made, as its reply had it."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class Said(Body):
    """A message of the system or the user."""

    role: Literal["system", "developer", "user"]
    content: Content
    name: str | None = None


class AssistantSaid(Body):
    """A message of the assistant: an earlier answer, sent back."""

    role: Literal["assistant"]
    content: Content | None = None
    tool_calls: Annotated[list[ToolCall], Field(fail_fast=True)] | None = None
    name: str | None = None
    refusal: Nothing = None
    function_call: Nothing = None
    audio: Nothing = None
    annotations: Nothing = None


class ToolSaid(Body):
    """What a tool returned."""

    role: Literal["tool"]
    content: Content
    tool_call_id: str


def _form(value: object) -> str | None:
    role = value.get("role") if isinstance(value, dict) else None
    forms = {"system": TURN, "developer": TURN, "user": TURN, "assistant": ASSISTANT, "tool": TOOL}
    return forms.get(role) if isinstance(role, str) else None


FullMessage = Annotated[
    Annotated[Said, Tag(TURN)] | Annotated[AssistantSaid, Tag(ASSISTANT)] | Annotated[ToolSaid, Tag(TOOL)],
    Discriminator(
        _form,
        custom_error_type="form",
        custom_error_message="must be an object whose role is system, developer, user, assistant or tool",
    ),
]


class FunctionDefinition(Body):
    """What a tool is, for the model."""

    name: Annotated[str, Field(min_length=1)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Body):
    """A tool that the model may call."""

    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(Body):
    """The name of a function."""

    name: Annotated[str, Field(min_length=1)]


class NamedTool(Body):
    """The tool that the model must call."""

    type: Literal["function"]
    function: NamedFunction


def _choice_form(value: object) -> str | None:
    return TEXT if isinstance(value, str) else TOOL if isinstance(value, dict) else None


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(TEXT)] | Annotated[NamedTool, Tag(TOOL)],
    Discriminator(_choice_form, custom_error_type="form", custom_error_message="must be a word or name a function"),
]


class ResponseFormat(Body):
    """The form of the reply's text."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None


class FullChatBody(ConversationBody):
    """As ``ChatBody``, with all that goes through to the server behind this one."""

    messages: Annotated[list[FullMessage], Field(min_length=1, fail_fast=True)]
    tools: Annotated[list[Tool], Field(fail_fast=True)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=_MOST_LOGPROBS), WHOLE] | None = None

    @property
    def turns(self) -> Turns:
        """Pairs of role and text."""
        return tuple((role_of(one.role), text_of(one.content)) for one in self.messages)

    def beside_text(self, turns: Turns) -> ChatFields | None:
        """What goes through to the server; None where the conversation is text alone.

        Args:
            turns: Pairs of role and text of its messages, as the generator is to read them.

        Raises:
            ApiError: Two fields do not go together.
        """
        body = {**self._tool_fields(), **self._form_fields(), **self._logprob_fields()}
        more = [message.model_dump(exclude_none=True, exclude={"role", "content"}) for message in self.messages]
        if not body and not any(more):
            return None
        messages = []
        for message, (role, text), rest in zip(self.messages, turns, more, strict=True):
            content = None if message.content is None else text
            messages.append({"role": role, "content": content, **rest})
        return ChatFields(tuple(messages), body)

    def _tool_fields(self) -> dict[str, Any]:
        if not self.tools:
            if self.tool_choice not in (None, "none", "auto"):
                raise field_error("tool_choice", "there are no tools to choose from")
            return {}
        choice = self.tool_choice.model_dump() if isinstance(self.tool_choice, NamedTool) else self.tool_choice
        given = {"tool_choice": choice, "parallel_tool_calls": self.parallel_tool_calls}
        tools = [tool.model_dump(exclude_none=True) for tool in self.tools]
        return {"tools": tools, **{name: value for name, value in given.items() if value is not None}}

    def _form_fields(self) -> dict[str, Any]:
        form = self.response_format
        if form is None or form.type == "text":
            return {}
        if (form.type == "json_schema") != (form.json_schema is not None):
            raise field_error("response_format.json_schema", "goes with the type json_schema, which needs it")
        return {"response_format": form.model_dump(exclude_none=True)}

    def _logprob_fields(self) -> dict[str, Any]:
        if not self.logprobs:
            if self.top_logprobs:
                raise field_error("top_logprobs", "only goes with logprobs")
            return {}
        top = {} if self.top_logprobs is None else {"top_logprobs": self.top_logprobs}
        return {"logprobs": True, **top}


def chat_body(settings: ServeSettings) -> type[ConversationBody]:
    """The model of a chat request's body: with all that a chat may say, where the generator takes it."""
    return FullChatBody if settings.takes_chat_fields else ChatBody
