"""Reading the final answer out of a text.

What a reasoning model thought is left out, and what a base model writes when it runs on. Then the last mark counts: a
box, a line after ``####``, explicit words such as "the final answer is". Without a mark it is the last value, of a text
that ended by itself. Plain numbers, the answers that occur most, come in one spelling each.
"""

import re
from decimal import Decimal

from optscale_predictor.questions.answers.reading.marks import (
    BOX,
    LOOSE,
    Span,
    last_box,
    last_chosen,
    last_hashes,
    last_said,
    last_tagged,
)
from optscale_predictor.questions.answers.reading.sample_text import own_part, strip_thinking
from optscale_predictor.questions.answers.reading.text_values import last_value
from optscale_predictor.questions.answers.values.forms import read_value
from optscale_predictor.questions.answers.values.kinds import Choice, Unread, Word
from optscale_predictor.questions.answers.values.spelling import unwrapped

_THOUSANDS = r"\d{1,3}(?:(?:,|\{,\}|,\\!|\\,|\\!,)\d{3})+(?!\d)"  # any other comma is one between two answers
_PLAIN = re.compile(rf"\$?\s?(?P<sign>[-+−]?)\s?\\?\$?\s?(?P<digits>(?:{_THOUSANDS}|\d+)(?:\.\d*)?|\.\d+)\$?\.?")
_LONGEST = 400  # characters

#: The ``finish_reason`` of a sample that early rejection stopped: what there is of it is no sample of the model.
REJECTED = "rejected"


def plain_number(text: str) -> str | None:
    """``text`` as a plain number: no thousands separators, no zeros at its ends; None where it is none."""
    if len(text) > _LONGEST:
        return None
    found = _PLAIN.fullmatch(text.strip())
    if found is None:
        return None
    digits = re.sub(r"[^\d.]", "", found["digits"])
    value = Decimal(digits.rstrip("."))
    shown = f"{value:f}"
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    shown = shown.lstrip("0") or "0"
    shown = f"0{shown}" if shown.startswith(".") else shown
    return f"-{shown}" if found["sign"] in ("-", "−") and value else shown


_DRAWING = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
_SHORT = 60  # characters of a text that may be an answer as it stands


def extract_answer(text: str, ended: bool = True) -> str | None:
    """The final answer in a text; None where there is none.

    Args:
        text: A sample's text, thinking included: only what follows the last ``</think>`` counts.
        ended: Whether the sample ended by itself. One that was cut off has an answer only where it is marked: its last
            value is wherever it happened to stop.

    Returns:
        The answer as written but for plain numbers, which are normalised (``$1,234.50`` is ``1234.5``).
    """
    text = _DRAWING.sub("", own_part(strip_thinking(text)))
    marked = _marked(text)
    if marked is not None:
        # A box may hold a list: whether 1,234 in it is one number or two is left to the comparison.
        return normalise(_inner(marked.content), grouped=marked.kind != BOX) or None
    value = (_bare(text) or last_value(text)) if ended else None
    return (normalise(value) or None) if value else None


def has_ended(finish_reason: str | None) -> bool:
    """Whether a sample's text ended by itself, and was not cut off where its tokens ran out.

    Args:
        finish_reason: ``length`` for a sample that was cut off, ``rejected`` for one that early rejection stopped; any
            other, or None where it is not known, has ended.
    """
    return finish_reason not in ("length", REJECTED)


def marked_answer(text: str) -> str | None:
    """The answer that a whole text marks, a gold solution for example; None where it marks none."""
    marked = _marked(text)
    return None if marked is None else normalise(_inner(marked.content), grouped=marked.kind != BOX) or None


def normalise(answer: str, grouped: bool = True) -> str:
    """``answer`` without spaces and dollar signs around it and without a final stop; a plain number in one spelling.

    Args:
        answer: A bare answer as a text has it.
        grouped: Whether ``1,234`` is a number in any case. It may be two, where an answer may be a list: then it stays.
    """
    answer = unwrapped(answer.strip())
    number = plain_number(answer) if grouped or "," not in answer else None
    if number is not None:
        return number
    return answer[1:].strip() if answer.startswith("$") and answer.count("$") == 1 else answer


def _marked(text: str) -> Span | None:
    """The last mark of a text. Words that announce mere words give way to a box or hashes, wherever they stand."""
    box = last_box(text)
    marks = [one for one in (box, last_hashes(text), last_tagged(text)) if one is not None]
    # Words are what takes long to look for: before the last of the other marks they would not count.
    said = last_said(text, max((one.start for one in marks), default=0))
    if said is not None and (not marks or _overrules(said)):
        marks.append(said)
    if not marks:  # "B is correct" is said of wrong tries as well, so any other mark goes before it
        return last_chosen(text)
    # What is said in a box is the box's.
    outside = [one for one in marks if box is None or one is box or not box.start < one.start < box.end]
    # The last mark, of whichever kind: models correct themselves.
    return max(outside, key=lambda one: one.start, default=None)


def _overrules(said: Span) -> bool:
    """Whether words that announce an answer count although one is marked otherwise: they must give a value."""
    plain = re.search(r"\d|\\[A-Za-z]|^\W*[A-J]\W*$", said.content) is not None
    return plain and said.kind != LOOSE and not isinstance(read_value(said.content)[0], Unread | Word)


def _bare(text: str) -> str | None:
    """A short text that is an answer as it stands: ``B``, ``(3, 4)`` or ``Yes``."""
    text = text.strip()
    line = text.partition("\n")[0].strip()
    first = read_value(line)[0]
    if isinstance(first, Choice) and not first.content and "=" not in line:  # and its explanation
        return line
    if len(text) > _SHORT or "\n" in text or "=" in text:
        return None
    value = read_value(text)[0]
    if isinstance(value, Word):
        return text if re.fullmatch(r"\W*[A-Za-z]+\W*", text) else None
    return None if isinstance(value, Unread) or not re.search(r"\w", text) else text


def _inner(content: str) -> str:
    """What a box holds that stands inside another mark."""
    inner = last_box(content) or last_said(content)
    return content if inner is None or inner.content == content else _inner(inner.content)
