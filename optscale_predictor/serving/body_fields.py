"""Values that fields of a request's body may have: each type with its check, and with the JSON schema of that check.

JSON knows no whole numbers apart from others, so ``3.0`` is one; but no flag is a number, nor a text one.
"""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from optscale_predictor.backends.generators.sampling_params import (
    LEAST_TEMPERATURE,
    LEAST_TOP_P,
    MOST_TEMPERATURE,
    MOST_TOKENS,
)

MAX_INT = (1 << 63) - 1
MAX_STOPS = 16
MAX_STOP = 1000  # characters
MAX_POLICY = 500  # characters
# Tags of a union's forms, which are no part of a field's name.
TEXT, LIST, TURN, ASSISTANT, TOOL = "<text>", "<list>", "<turn>", "<assistant>", "<tool>"
TAGS = (TEXT, LIST, TURN, ASSISTANT, TOOL)


def _whole(value: object) -> object:
    """A whole number, however JSON spells it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Behind a field's bounds, which pydantic else leaves out of the JSON schema.
WHOLE = BeforeValidator(_whole)


def _is_same(value: object, other: object) -> bool:
    """Whether two values are one in JSON, where 1 is 1.0 and not true."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


class Only:
    """Marks a field that may only ask for what holds anyway.

    Args:
        why: Why no other value can be honoured.
        values: Those that can, besides null.
    """

    def __init__(self, why: str, *values: object) -> None:
        self._why, self._values = why, values

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How pydantic checks it."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """How an OpenAPI document says it."""
        return {"enum": list(self._values) or [None]}

    def _checked(self, value: object) -> object:
        if not any(_is_same(value, one) for one in self._values):
            raise ValueError(self._why)
        return value


def _require_nothing(value: object) -> object:
    if value:
        raise ValueError("this server passes on text alone")
    return value


#: What clients send back of an earlier answer, where it holds nothing.
Nothing = Annotated[object, AfterValidator(_require_nothing), WithJsonSchema({"enum": [None, "", [], {}, 0, False]})]


def _single_text(value: object) -> object:
    text = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(text, str) or not text.strip():
        raise ValueError("must be one text that is not empty")
    return text


_FILLED = {"type": "string", "pattern": r"\S"}
#: A completion's prompt: one text, also as a list of one.
SingleText = Annotated[
    str,
    BeforeValidator(_single_text),
    WithJsonSchema({"anyOf": [_FILLED, {"type": "array", "items": _FILLED, "minItems": 1, "maxItems": 1}]}),
]


def _greedy_or_warm(value: float) -> float:
    if 0 < value < LEAST_TEMPERATURE:
        raise ValueError(f"must be 0 or >= {LEAST_TEMPERATURE:g}")
    return value


_WARM = {"type": "number", "minimum": LEAST_TEMPERATURE, "maximum": MOST_TEMPERATURE}
#: 0, which is greedy, or what does not overflow in an engine.
Temperature = Annotated[
    float,
    Field(ge=0, le=MOST_TEMPERATURE),
    AfterValidator(_greedy_or_warm),
    WithJsonSchema({"anyOf": [{"const": 0}, _WARM]}),
]
TopP = Annotated[float, Field(ge=LEAST_TOP_P, le=1)]
Tokens = Annotated[int, Field(ge=1, le=MOST_TOKENS), WHOLE]
Seed = Annotated[int, Field(ge=-MAX_INT, le=MAX_INT), WHOLE]


def text_or_list(what: str) -> Discriminator:
    """Tells the two forms of a union of a text and a list apart.

    Args:
        what: What an error says of a third.
    """

    def form(value: object) -> str | None:
        return TEXT if isinstance(value, str) else LIST if isinstance(value, list) else None

    return Discriminator(form, custom_error_type="form", custom_error_message=what)


_StopText = Annotated[str, Field(min_length=1, max_length=MAX_STOP)]
Stop = Annotated[
    Annotated[_StopText, Tag(TEXT)]
    | Annotated[list[_StopText], Field(max_length=MAX_STOPS, fail_fast=True), Tag(LIST)],
    text_or_list("must be a string or a list of strings"),
]
