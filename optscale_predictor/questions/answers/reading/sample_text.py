"""The part of a sample's text in which its answer may stand, and the marks of a reasoning model's thoughts.

A reasoning model thinks between ``<think>`` and ``</think>``; values in there are tries. A base model does not stop
behind its answer: it writes the prompt's next question and answers that too. Readers of answers look at neither. Tokens
are counted with both: they were generated.
"""

import re

OPEN, CLOSE = "<think>", "</think>"
_OPENS = re.compile(r"<think(?:ing)?>|<thought>|\[THINK\]|◁think▷|<\|channel\|>analysis<\|message\|>")
_CLOSES = re.compile(r"</think(?:ing)?>|</thought>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>")
_ASKED = re.compile(
    r"(?m)^[ \t#*]*(?:Question|Problem|Q|User|Human|Instruction|Input|Exercise)(?:\s*\d+)?[ \t*]*:"
    r"|^[ \t]*#{1,3} Problem\b|^[ \t]*Example \d+[ \t*]*:"
)
_ENDS = re.compile(
    r"<\|(?:im_start|im_end|eot_id|start_header_id|endoftext|end|user|return)\|>|\[INST\]|</s>|<end_of_turn>|<｜end▁of▁sentence｜>"
)
_ANSWERED = re.compile(r"(?m)^[ \t#*]*(?:Answer|Solution|A|Assistant|Response|Output)[ \t*]*:|####|\\boxed")
_MARKED = re.compile(r"####\s*[^\s#]|\\boxed|\\fbox|</answer>|\banswer\s*(?:is|:)", re.IGNORECASE)


def strip_thinking(text: str) -> str:
    """The answer alone: what follows the last ``</think>``, up to where another thought opens.

    A text that opens with ``<think>`` and closes none ran out of tokens while it thought and is left with nothing.
    Where a template puts ``<think>`` into the prompt, generators put it back in front of the text
    (:func:`opened_thinking`). They cannot where a chat server without a reasoning parser applies the template: there a
    thought that was cut off stays, and its ``finish_reason`` is ``length``.

    The marks that other families of models have in start of these are known as well.
    """
    ends = [found.end() for found in _CLOSES.finditer(text)]
    answer = text[ends[-1] :].lstrip() if ends else text
    opens = _OPENS.search(answer)
    return answer[: opens.start()].rstrip() if opens else answer


def join_thinking(thinking: str | None, answer: str) -> str:
    """One text of the two parts that a server's reasoning parser split a sample into.

    Args:
        thinking: What the model thought; None or empty where it did not.
        answer: What it said then.
    """
    return f"{OPEN}\n{thinking.strip()}\n{CLOSE}\n\n{answer}" if thinking else answer


def unfinished_thinking(thinking: str) -> str:
    """The text of a sample that was cut off while it thought."""
    return f"{OPEN}\n{thinking.strip()}"


def opened_thinking(prompt: str) -> str:
    """The ``<think>`` at a prompt's end with the white space after it; empty where the prompt does not end so."""
    end = len(prompt.rstrip())
    return prompt[end - len(OPEN) :] if prompt.endswith(OPEN, 0, end) else ""


def reopen_thinking(opened: str, text: str) -> str:
    """A sample's text with what its prompt opened back in front, unless the model opened it once more.

    Args:
        opened: What :func:`opened_thinking` found at the prompt's end; empty for nothing.
        text: What the model generated behind the prompt.
    """
    return text if text.lstrip().startswith(OPEN) else opened + text


def own_part(text: str) -> str:
    """The text up to where a prompt's form begins again, behind an answer.

    A question that a sample asks itself before it has answered is part of it. Without a marked answer before it, one
    counts as the prompt's only where it is answered in the prompt's form as well. A special token ends it in any case.
    """
    ends = _ENDS.search(text)
    if ends and text[: ends.start()].strip():
        text = text[: ends.start()]
    if not _ASKED.search(text):
        return text
    marked, digit = _MARKED.search(text), re.search(r"\d", text)
    answered = max((found.start() for found in _ANSWERED.finditer(text)), default=-1)
    for asked in _ASKED.finditer(text):
        start = asked.start()
        if (marked and marked.end() <= start) or (digit and digit.start() < start < answered):
            return text[:start]
    return text
