"""Conversations: the messages of a chat request, checked, and the question in them.

The generator reads all of them. Verifier and predictor read the last user's turn, which is the question.
"""

from optscale_predictor.serving.api_errors import bad_field
from optscale_predictor.serving.request_fields import Fields, shown

#: Roles that clients may use, and what generators' templates call them.
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

#: What OpenAI's client sends back of an earlier answer, where it holds nothing.
_EMPTY = ("refusal", "tool_calls", "function_call", "audio", "annotations", "name")

Messages = tuple[tuple[str, str], ...]


def read_messages(value: object) -> Messages:
    """Pairs of role and content.

    Raises:
        Refusal: A message is not text, or not of a role that a template knows; names it.
    """
    if not isinstance(value, list) or not value:
        raise bad_field("messages", f"must be a list of at least one message, got {shown(value)}")
    return tuple(_message(Fields(one, f"messages[{index}]")) for index, one in enumerate(value))


def question_in(messages: Messages) -> str:
    """The last user's turn.

    Raises:
        Refusal: There is none, or it is empty.
    """
    question = next((content for role, content in reversed(messages) if role == "user"), "")
    if not question.strip():
        raise bad_field("messages", "there must be a message of the user that is not empty")
    return question


def with_question(messages: Messages, question: str) -> Messages:
    """The same conversation with another last user's turn."""
    last = max(index for index, (role, _) in enumerate(messages) if role == "user")
    return (*messages[:last], ("user", question), *messages[last + 1 :])


def _message(fields: Fields) -> tuple[str, str]:
    role = fields.text("role")
    if role not in _ROLES:
        raise bad_field(fields.name("role"), f"must be one of {', '.join(_ROLES)}, got {shown(role)}")
    content = _content(fields.take("content"), fields.name("content"))
    for name in _EMPTY:
        if value := fields.take(name):
            raise bad_field(fields.name(name), f"this server passes on text alone, got {shown(value)}")
    fields.end()
    return _ROLES[role], content


def _content(value: object, place: str) -> str:
    """A text, or the parts of one joined."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise bad_field(place, f"must be a string or a list of text parts, got {shown(value)}")
    return "".join(_part(part, f"{place}[{index}]") for index, part in enumerate(value))


def _part(value: object, place: str) -> str:
    fields = Fields(value, place)
    kind = fields.text("type")
    if kind != "text":
        raise bad_field(f"{place}.type", f"this server reads text alone, got {shown(kind)}")
    text = fields.text("text")
    if text is None:
        raise bad_field(f"{place}.text", "must be a string, got null")
    fields.end()
    return text
