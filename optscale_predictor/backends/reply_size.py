"""How large a server's reply may be: a body without end is read no further than what was asked for can take."""

from collections.abc import Mapping

MOST_REPLY = 2**26  # bytes of a reply, besides those of the tokens that were asked for
_MOST_TOKENS_REPLY = 2**30  # bytes of those
_TOKEN, _TOKEN_LOGPROBS = 64, 1024  # bytes of a token in a reply, at most; and with its log-probabilities


def most_reply(payload: Mapping[str, object] | None) -> int:
    """Bytes that the reply to a request may have: ``MOST_REPLY``, and what the tokens take that it asks for.

    Args:
        payload: What is posted; ``n``, ``max_tokens`` and ``logprobs`` are looked at.
    """
    if payload is None:
        return MOST_REPLY
    tokens = max(_number(payload.get("max_tokens"), 0), _number(payload.get("max_completion_tokens"), 0))
    samples = _number(payload.get("n"), 1)
    logprobs = payload.get("logprobs")  # 0 of them is the token's own
    width = _TOKEN if logprobs is None or logprobs is False else _TOKEN_LOGPROBS
    return MOST_REPLY + min(_MOST_TOKENS_REPLY, samples * tokens * width)


def _number(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
