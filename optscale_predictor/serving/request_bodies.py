"""Bodies of chat and completion requests as pydantic models: which fields there are, of which type, in which bounds.

Types are strict (``body_fields``): ``"1"`` is no number and ``1`` no flag. A field that no model names is refused, and
a field that could only ask for what the server does not do may say that it asks for nothing, so that none is passed
over in silence. A field whose value is null counts as not given, as in OpenAI's API.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Tag, ValidationError, model_validator

from optscale_predictor._support.json_reader import parse_json
from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.backends.generators import ChatFields
from optscale_predictor.errors import InputError
from optscale_predictor.serving.api_errors import ApiError, field_error, shown
from optscale_predictor.serving.body_fields import (
    LIST,
    MAX_INT,
    MAX_POLICY,
    TAGS,
    TEXT,
    WHOLE,
    Nothing,
    Only,
    Seed,
    SingleText,
    Stop,
    Temperature,
    Tokens,
    TopP,
    text_or_list,
)

_TEXT_ALONE = "the generator behind this takes and gives text alone"
_MAX_NAME = 100  # characters of a client's field name in an error

#: What a failed check says, by pydantic's name of it; ``{...}`` is a value of the check's own.
_MESSAGES = {
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be > {gt:.12g}",
    "greater_than_equal": "must be >= {ge:.12g}",
    "int_type": "must be a whole number",
    "less_than": "must be < {lt:.12g}",
    "less_than_equal": "must be <= {le:.12g}",
    "list_type": "must be a list",
    "literal_error": "must be one of {expected}",
    "model_type": "must be an object",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": "must be a string",
    "string_unicode": "must be text; it holds half a character",
    "too_long": "must have at most {max_length} items",
    "too_short": "must not be empty",
}


#: Pairs of role and content.
Turns = tuple[tuple[str, str], ...]


class Body(BaseModel):
    """An object of a body: strict, without unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def drop_nulls(cls, given: object) -> object:
        """Leaves out fields whose value is null, and all unknown ones but the first."""
        if not isinstance(given, dict):
            return given
        left = {name: value for name, value in given.items() if value is not None}
        # The first unknown field is refused by its name. A body full of them must not become an error for each.
        for name in [name for name in left if name not in cls.model_fields][1:]:
            del left[name]
        return left


class TextPart(Body):
    """A part of a message's content."""

    type: Annotated[object, Only("this server reads text alone", "text")]
    text: str


_Parts = Annotated[list[TextPart], Field(min_length=1, fail_fast=True)]
Content = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[_Parts, Tag(LIST)],
    text_or_list("must be a string or a list of text parts"),
]


def text_of(content: str | Sequence[TextPart] | None) -> str:
    """A message's content as one text; parts are joined, and what is not there is empty."""
    return content if isinstance(content, str) else "".join(part.text for part in content or ())


def role_of(role: str) -> str:
    """A role as chat templates call it."""
    return "system" if role == "developer" else role


class Message(Body):
    """A message of a conversation. What an earlier answer held besides its text may be sent back where it is empty."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    refusal: Nothing = None
    tool_calls: Nothing = None
    function_call: Nothing = None
    audio: Nothing = None
    annotations: Nothing = None
    name: Nothing = None


class StreamOptions(Body):
    """The object ``stream_options``."""

    include_usage: bool = False
    include_obfuscation: Annotated[object, Only("streams are not obfuscated", False)] = None


class OptscaleOptions(Body):
    """The object ``optscale``: what a client may ask of OptScale itself.

    {"optscale": {"policy": "best_of_n:max_samples=8", "score_min": 0.9, "alpha": 0.9, "timeout": 30}}

    With ``include_samples`` the reply holds every sample beside the chosen one.
    """

    policy: Annotated[str, Field(max_length=MAX_POLICY)] | None = None
    score_min: Annotated[float, Field(ge=0, le=1)] | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    max_samples: Annotated[int, Field(ge=1, le=MAX_INT), WHOLE] | None = None
    timeout: Annotated[float, Field(gt=0)] | None = None
    include_samples: bool = False


class RequestBody(Body):
    """What chat and completion requests have in common."""

    model: str
    seed: Seed | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    stop: Stop | None = None
    optscale: OptscaleOptions = OptscaleOptions()

    # Who asks changes nothing about the answer.
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    n: Annotated[object, Only("one answer is chosen among many samples, so n can only be 1", 1)] = None
    best_of: Annotated[object, Only("optscale.max_samples and the policy say how many samples are drawn", 1)] = None
    logprobs: Annotated[object, Only(f"{_TEXT_ALONE}, not log-probabilities", False)] = None
    top_logprobs: Annotated[object, Only(f"{_TEXT_ALONE}, not log-probabilities", 0)] = None
    frequency_penalty: Annotated[object, Only("penalties are not supported", 0, 0.0)] = None
    presence_penalty: Annotated[object, Only("penalties are not supported", 0, 0.0)] = None
    logit_bias: Annotated[object, Only("biases are not supported", {})] = None
    tools: Annotated[object, Only(f"{_TEXT_ALONE}, not tools", [])] = None
    tool_choice: Annotated[object, Only(f"{_TEXT_ALONE}, not tools", "none", "auto")] = None
    parallel_tool_calls: Annotated[object, Only(f"{_TEXT_ALONE}, not tools", True, False)] = None
    functions: Annotated[object, Only("functions are not supported", [])] = None
    function_call: Annotated[object, Only("functions are not supported", "none", "auto")] = None
    response_format: Annotated[object, Only(_TEXT_ALONE, {"type": "text"})] = None
    modalities: Annotated[object, Only("only text is supported", ["text"])] = None
    audio: Annotated[object, Only("only text is supported")] = None
    store: Annotated[object, Only("nothing is stored", False)] = None
    metadata: Annotated[object, Only("nothing is stored", {})] = None
    service_tier: Annotated[object, Only("there are no tiers", "auto", "default")] = None
    echo: Annotated[object, Only("the prompt is not part of the answer", False)] = None
    suffix: Annotated[object, Only("nothing can be inserted before a given ending", "")] = None


class ConversationBody(RequestBody):
    """The body of a request for a chat completion, but for its messages.

    ``continue_final_message`` and ``add_generation_prompt`` are the pair with which vLLM's clients have an assistant's
    turn go on.
    """

    continue_final_message: bool = False
    add_generation_prompt: bool | None = None

    @property
    def turns(self) -> Turns:
        """Pairs of role, as chat templates call it, and text."""
        raise NotImplementedError

    def beside_text(self, turns: Turns) -> ChatFields | None:
        """What the conversation says beside text; None where that is nothing.

        Args:
            turns: Pairs of role and text of its messages, as the generator is to read them.
        """
        return None


class ChatBody(ConversationBody):
    """The body of a request for a chat completion of a generator that takes text alone."""

    messages: Annotated[list[Message], Field(min_length=1, fail_fast=True)]

    @property
    def turns(self) -> Turns:
        """Pairs of role, as chat templates call it, and text."""
        return tuple((role_of(one.role), text_of(one.content)) for one in self.messages)


class CompletionBody(RequestBody):
    """The body of a request for a completion."""

    prompt: SingleText


AnyBody = TypeVar("AnyBody", bound=RequestBody)


def parse_body(raw: bytes, model: type[AnyBody]) -> AnyBody:
    """A request's body, validated.

    Args:
        raw: As it came.
        model: ``ChatBody`` or ``CompletionBody``.

    Raises:
        ApiError: It is no JSON, or a field cannot be honoured; names the field.
    """
    try:
        content = parse_json(raw, "the body", half_pairs=True)  # which field holds half a pair is said later
    except InputError as error:
        raise ApiError(400, str(error).replace("the body: not", "the body is not", 1), code="invalid_json") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _first_error(error) from None


def _first_error(error: ValidationError) -> ApiError:
    """The first failed check, in one sentence, with at most the beginning of the client's value."""
    found = error.errors(include_url=False)[0]
    param, kind, context = _param(found["loc"]), found["type"], found.get("ctx", {})
    if kind == "missing":
        return field_error(param, "must be given")
    if kind == "extra_forbidden":
        # Of the body's own fields no other is meant: top_k, which is not known, is not top_p.
        ours = OptscaleOptions.model_fields if param.startswith("optscale.") else ()
        near = did_you_mean(str(found["loc"][-1])[:_MAX_NAME], ours)
        return field_error(param, f"this server does not know this field{near}")
    message = str(context["error"]) if kind == "value_error" else _message(kind, context, found["msg"])
    return field_error(param, f"{message}; got {shown(found['input'])}")


def _message(kind: str, context: dict[str, Any], otherwise: str) -> str:
    return _MESSAGES[kind].format(**context) if kind in _MESSAGES else otherwise


def _param(location: tuple[int | str, ...]) -> str:
    """A field's name as clients know it: ``messages[0].content``."""
    steps = [step for step in location if step not in TAGS]
    # An unknown field's name is the client's text: as JSON writes it, it has no line breaks.
    names = [f"[{step}]" if isinstance(step, int) else f".{json.dumps(step)[1:-1][:_MAX_NAME]}" for step in steps]
    return "".join(names).removeprefix(".") or "body"
