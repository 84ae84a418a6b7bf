"""Reasoning models: what stands between ``<think>`` and ``</think>``, and what is left without it.

Tokens are counted with the thinking either way: they were generated.
"""

OPEN, CLOSE = "<think>", "</think>"


def strip_thinking(text: str) -> str:
    """The answer alone: what follows the last ``</think>``.

    Without a ``</think>``, a text that opens with ``<think>`` ran out of tokens while it thought and is left with
    nothing; any other text is taken to be an answer. (Templates that put ``<think>`` into the prompt hide a cut-off
    thought: its text then stays, and its ``finish_reason`` is ``length``.)
    """
    thought, closed, answer = text.rpartition(CLOSE)
    if closed:
        return answer.lstrip()
    return "" if thought == "" and text.lstrip().startswith(OPEN) else text


def join_thinking(thinking: str | None, answer: str) -> str:
    """One text of the two parts that a server's reasoning parser split a sample into."""
    return f"{OPEN}\n{thinking.strip()}\n{CLOSE}\n\n{answer}" if thinking else answer
