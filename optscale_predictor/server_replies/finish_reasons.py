"""How a sample ended, in the words of the servers in use, read as one of the two that a pool knows.

``stop``: the sample came to its end. ``length``: it was cut off, by its limit of tokens or by the server.
"""

from optscale_predictor.wire import UnreadableReplyError

_ENDED = {"stop", "stopped", "stop_sequence", "stop_token", "stop_str", "eos", "eos_token", "end", "end_turn"}
_ENDED |= {"end_of_text", "end_of_sequence", "complete", "completed", "finished", "done", "refusal", "pause_turn"}
_ENDED |= {"tool_calls", "tool_call", "tool_use", "function_call"}
_CUT_OFF = {"length", "max_length", "max_tokens", "max_new_tokens", "max_output_tokens", "model_length", "token_limit"}
_CUT_OFF |= {"time_limit", "incomplete", "model_context_window_exceeded", "content_filter", "safety", "recitation"}
_CUT_OFF |= {"repetition"}
_FAILED = {"abort", "aborted", "cancel", "cancelled", "canceled", "error", "failed", "insufficient_system_resource"}


def read_finish_reason(reason: object) -> str | None:
    """``stop`` or ``length``; None where the word is not known.

    Raises:
        UnreadableReplyError: The server gave up on the sample: worth asking again.
    """
    word = str(reason or "").lower().replace("-", "_")
    if word in _FAILED:
        raise UnreadableReplyError(f"a sample was not finished: {word!r}")
    if word in _ENDED:
        return "stop"
    return "length" if word in _CUT_OFF else None
