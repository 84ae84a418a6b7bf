r"""What stands in ``\boxed{}``: also ``\fbox``, ``\boxed 2`` and ``\boxed\frac12``, several boxes, a box in a box."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor.questions.answers.values.equality import judge
from optscale_predictor.questions.answers.values.forms import read_value

BOX = "box"

_LONGEST = 4000  # characters of a box
_TRIED = 100  # boxes, from the last one

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![A-Za-z])\s*")
_MINUS = re.compile(r"(?:^|[=$(\[:≈]|\\approx|\\[(\[])\s*[-−]\s*$")
_UNBRACED = re.compile(
    r"\\[dt]?frac\s*(?:\d|\{[^{}]*\})\s*(?:\d|\{[^{}]*\})|\\sqrt\s*(?:\[\d+\])?\s*(?:\d+|\{[^{}]*\})|\\text\{[^{}]*\}"
    r"|-?[\d.,]*\d|-?[A-Za-z]|\\[A-Za-z]+"
)
#: Between the boxes of one list: signs, ``and``, and the name of the unknown that both share.
_BETWEEN = re.compile(r"(?:[\s$,;&.]|\\[,;: )(\]\[]|\\quad|\\text\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)*")
_NAMED = re.compile(r"([A-Za-z](?:_\{?\w+\}?)?)\s*=\s*$")


@dataclass(frozen=True)
class Span:
    """A piece of a text that is marked as an answer.

    Attributes:
        start: Where its mark begins.
        end: Where it ends.
        content: What is marked.
        kind: ``BOX`` where it stands in a box.
    """

    start: int
    end: int
    content: str
    kind: str = ""


def last_box(text: str) -> Span | None:
    """The content of the last box that holds something; boxes that stand side by side are one list."""
    boxes: list[Span] = []
    for mark in reversed(list(_BOX.finditer(text))[-_TRIED:]):
        box = _content(text, mark)
        if box is None or not re.search(r"[^\W_]|\\[A-Za-z{]|[∞∅]", box.content):
            continue
        if boxes and not _are_one_list(text, box, boxes[-1]):
            break
        boxes.append(box)
    if not boxes:
        return None
    listed = _distinct([box.content for box in reversed(boxes)])
    content = _sign(text, boxes[-1]) + ", ".join(listed) if len(listed) == 1 else ", ".join(listed)
    return Span(boxes[-1].start, boxes[0].end, content, BOX)


def _distinct(contents: Sequence[str]) -> list[str]:
    """Without those that an earlier one equals; of one value in several spellings the last stays."""
    values = [read_value(content)[0] for content in contents]
    if all(judge(value, values[-1]) for value in values):
        return [contents[-1]]
    return list(dict.fromkeys(contents))


def _sign(text: str, box: Span) -> str:
    """The minus sign before a box that belongs to it: no difference, no dash."""
    return "-" if _MINUS.search(text[max(box.start - 12, 0) : box.start]) else ""


def _content(text: str, mark: re.Match[str]) -> Span | None:
    if text[mark.end() : mark.end() + 1] != "{":
        bare = _UNBRACED.match(text, mark.end())
        return Span(mark.start(), bare.end(), bare[0]) if bare else None
    end = closing_brace(text, mark.end())
    if end < 0:
        return None
    content, after = text[mark.end() + 1 : end], end + 1
    goes_on = re.compile(r"\s*(\\?%|\\pi(?![A-Za-z])|\\sqrt\{[^{}]*\})").match(text, after)
    if goes_on:  # 70\%, 3\pi
        content, after = content + goes_on[1].replace("\\%", "%").replace("%", r"\%"), goes_on.end()
    return Span(mark.start(), after, content)


def closing_brace(text: str, start: int) -> int:
    """Where the brace that opens at ``start`` closes; -1 where it never does."""
    depth = 0
    for brace in re.finditer(r"\\[{}]|[{}]", text[start : start + _LONGEST]):
        if len(brace[0]) == 1:
            depth += 1 if brace[0] == "{" else -1
            if depth == 0:
                return start + brace.start()
    return -1


def _are_one_list(text: str, left: Span, right: Span) -> bool:
    between = text[left.end : right.start]
    if left.end > right.start:  # one stands in the other
        return False
    if "\n\n" in between or len(between) > 60:
        return False
    if left.content == right.content and not between.strip(" $.,\n"):
        return True
    name, before = _NAMED.search(between), _NAMED.search(text[max(left.start - 20, 0) : left.start])
    if name and before and name[1] == before[1]:
        between = between[: name.start()]
    elif name:
        return False
    return bool(re.search(r"[,;&]|and|or", between)) and _BETWEEN.fullmatch(between) is not None
