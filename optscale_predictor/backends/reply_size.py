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
    asked = payload or {}
    limits = [asked.get(name) for name in ("max_tokens", "max_completion_tokens")]
    tokens = max([one for one in limits if isinstance(one, int)], default=0)
    samples = count if isinstance(count := asked.get("n", 1), int) else 1
    logprobs = asked.get("logprobs")  # 0 of them is the token's own
    width = _TOKEN if logprobs is None or logprobs is False else _TOKEN_LOGPROBS
    return MOST_REPLY + min(_MOST_TOKENS_REPLY, samples * tokens * width)
