"""Where a base model runs on: after its answer it writes the prompt's next question, and answers that too."""

import re

_ASKED = re.compile(
    r"(?m)^[ \t#*]*(?:Question|Problem|Q|User|Human|Instruction|Input|Exercise)(?:\s*\d+)?[ \t*]*:"
    r"|^[ \t]*#{1,3} Problem\b|^[ \t]*Example \d+[ \t*]*:"
)
_ENDS = re.compile(
    r"<\|(?:im_start|im_end|eot_id|start_header_id|endoftext|end|user|return)\|>|\[INST\]|</s>|<end_of_turn>|<｜end▁of▁sentence｜>"
)
_ANSWERED = re.compile(r"(?m)^[ \t#*]*(?:Answer|Solution|A|Assistant|Response|Output)[ \t*]*:|####|\\boxed")
_MARKED = re.compile(r"####\s*[^\s#]|\\boxed|\\fbox|</answer>|\banswer\s*(?:is|:)", re.IGNORECASE)


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
        place = asked.start()
        if (marked and marked.end() <= place) or (digit and digit.start() < place < answered):
            return text[:place]
    return text
