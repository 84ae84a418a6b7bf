"""Reasoning models: what stands between ``<think>`` and ``</think>``, and what is left without it.

Tokens are counted with the thinking either way: they were generated.
"""

import re

OPEN, CLOSE = "<think>", "</think>"
_OPENS = re.compile(r"<think(?:ing)?>|<thought>|\[THINK\]|◁think▷|<\|channel\|>analysis<\|message\|>")
_CLOSES = re.compile(r"</think(?:ing)?>|</thought>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>")


def strip_thinking(text: str) -> str:
    """The answer alone: what follows the last ``</think>``, up to where another thought opens.

    A text that opens with ``<think>`` and closes none ran out of tokens while it thought and is left with nothing.
    Where a template puts ``<think>`` into the prompt, generators put it back in front of the text
    (:func:`opened_thinking`). They cannot where a chat server without a reasoning parser applies the template: there a
    thought that was cut off stays, and its ``finish_reason`` is ``length``.

    The marks that other families of models have in place of these are known as well.
    """
    ends = [found.end() for found in _CLOSES.finditer(text)]
    answer = text[ends[-1] :].lstrip() if ends else text
    opens = _OPENS.search(answer)
    return answer[: opens.start()].rstrip() if opens else answer


def join_thinking(thinking: str | None, answer: str) -> str:
    """One text of the two parts that a server's reasoning parser split a sample into."""
    return f"{OPEN}\n{thinking.strip()}\n{CLOSE}\n\n{answer}" if thinking else answer


def unfinished_thinking(thinking: str) -> str:
    """The text of a sample that was cut off while it thought."""
    return f"{OPEN}\n{thinking.strip()}"


def opened_thinking(prompt: str) -> str:
    """The ``<think>`` at a prompt's end with the white space after it; empty where the prompt does not end so."""
    found = re.search(rf"{OPEN}\s*\Z", prompt)
    return found.group() if found else ""


def reopen_thinking(opened: str, text: str) -> str:
    """A sample's text with what its prompt opened back in front, unless the model opened it once more."""
    return text if text.lstrip().startswith(OPEN) else opened + text
