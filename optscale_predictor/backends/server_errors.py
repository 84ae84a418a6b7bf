"""What servers say when they refuse or fail: their words, how bad it is, and which field of a request they do not take.

OpenAI's shape is ``{"error": {"message", "type", "param", "code"}}``; vLLM, FastAPI and gateways have others, and some
send theirs with status 200.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

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
    """What an error's body says, as the end of one line; some servers repeat the API key there."""
    message = _message(_error_of(_parsed(body)))
    text = " ".join(message.split())[:_LONGEST]
    text = text.replace(key, "***") if key else text
    return f": {text}" if text and text != "{}" else ""


def status_within(reply: Any) -> int:
    """The HTTP status that an error in a reply of status 200 amounts to; 200 where there is none."""
    if not isinstance(reply, Mapping) or reply.get("choices") or reply.get("data"):
        return 200
    if not reply.get("error") and reply.get("object") != "error":
        return 200
    error = _error_of(reply)
    told = [error.get(name) for name in ("code", "status", "type")] if isinstance(error, Mapping) else []
    for one in told:
        if str(one).isdigit() and 400 <= int(str(one)) < 600:
            return int(str(one))
    words = " ".join(str(one) for one in told).lower().replace("-", "_").replace(" ", "_")
    return next((status for status, parts in _KINDS if any(part in words for part in parts)), _TRANSIENT)


def refused_field(body: bytes, fields: Collection[str]) -> str:
    """Which of a request's fields an error says the server does not take; empty where it says so of none."""
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
        return json.loads(body)
    except ValueError:
        return {}


def _error_of(content: Any) -> Any:
    return (content.get("error") or content) if isinstance(content, Mapping) else content


def _message(error: Any) -> str:
    """The words in an error of whatever shape."""
    if not isinstance(error, Mapping):
        return str(error or "")
    found = error.get("message") or error.get("detail") or error.get("msg") or ""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
