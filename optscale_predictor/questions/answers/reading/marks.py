r"""Where a text marks its answer: a box, hashes, tags, or words that announce it.

``\boxed{18}``, also ``\fbox``, ``\boxed 2``, ``\boxed\frac12``, several boxes side by side and a box in a box;
``#### 18``; ``<answer>18</answer>``; ``The final answer is 18``, ``**Answer:** 18``, ``option C is correct``.

A line after hashes may be a heading of Markdown instead (``#### Step 1``, ``#### Case 2: ...``), which marks nothing,
and a sentence may say something of the answer without giving it ("it is rounded to 2 places"): the value must follow.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor.questions.answers.reading.last_matches import last_matches
from optscale_predictor.questions.answers.reading.text_values import (
    first_sentence,
    is_followed_by_words,
    is_value,
    last_value,
    stated_value,
)
from optscale_predictor.questions.answers.values.equality import judge
from optscale_predictor.questions.answers.values.forms import read_value
from optscale_predictor.questions.answers.values.kinds import Listing, Percent, Quantity, Unread, Word
from optscale_predictor.questions.answers.values.words import is_measure

BOX = "box"
#: The kind of an announcement that may say something of the answer instead: "the answer is 2 more than 3".
LOOSE = "loose"

# Bounds on the work for one text: a sample that repeats itself to its last token has thousands of marks.
_TRIED = 100  # marks of a kind, from the last one
_AFTER = 600  # characters behind a mark that are looked at
_LONGEST_BOX = 4000  # characters

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![A-Za-z])\s*")
_MINUS = re.compile(r"(?:^|[=$(\[:≈]|\\approx|\\[(\[])\s*[-−]\s*$")
_UNBRACED = re.compile(
    r"\\[dt]?frac\s*(?:\d|\{[^{}]*\})\s*(?:\d|\{[^{}]*\})|\\sqrt\s*(?:\[\d+\])?\s*(?:\d+|\{[^{}]*\})|\\text\{[^{}]*\}"
    r"|-?[\d.,]*\d|-?[A-Za-z]|\\[A-Za-z]+"
)
#: Between the boxes of one list: signs, ``and``, and the name of the unknown that both share.
_BETWEEN = re.compile(r"(?:[\s$,;&.]|\\[,;: )(\]\[]|\\quad|\\text\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)*")
_NAMED = re.compile(r"([A-Za-z](?:_\{?\w+\}?)?)\s*=\s*$")

_HASHES = re.compile(r"(?<!#)#{4,}[ \t]*(?P<line>[^\n#][^\n]*)")
_HEADING = re.compile(
    r"""^[\s*_]*(?:
        (?:sub)?step|case|part|solution|approach|method|option|check|checking|verif\w+|explan\w+|explain|given
      | problem|question|conclusion|summary|analysis|calculat\w+|comput\w+|find\w*|determin\w+|understand\w*
      | identif\w+|simplif\w+|solv\w+|reason\w+|notes?|example|proof|let|using|use|set|setting|define|total|now|first
      | second|third|fourth|next|finally|therefore|task|input|output|instruction|response|key|overview|background
      | appl\w+|evaluat\w+|substitut\w+
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_IS = (
    r"(?:(?:is|are|equals|becomes|(?:must|should|will|would)\sbe|(?:comes?|works?)\sout\sto(?:\sbe)?"
    r"|turns?\sout\sto\sbe)\b(?!\s+not\b))"
)
_SAID = re.compile(
    rf"""
        (?P<final>\b(?:final|correct|right)\s(?:numerical\s)?(?:answers?|result|option|choice)\b)
            [*_\s]{{0,6}}(?:{_IS}|[:=]|\n)
      | (?P<plain>\b(?:the|my|our|so|best|thus|hence|therefore,?|required|desired)\s(?:answers?|option|choice)\b)
            (?:\sto\s(?:the|this)\s(?:problem|question))?[*_\s]{{0,6}}{_IS}
      | \b(?:my|best)\s(?:answer|choice)[*_]{{0,4}}:
      | (?:^|\n)[ \t*_>#]{{0,8}}(?:answers?|respuesta(?:\sfinal)?|antwort|réponse|ответ)[ \t*_]{{0,4}}[:：]
      | \b(?:la\srespuesta(?:\sfinal)?\ses|die\santwort\s(?:ist|lautet)|antwort\sist|la\sréponse(?:\sfinale)?\sest)\b
      | (?:最终)?答案(?:是|为|[:：])|故选(?:项)?[:：]?|因此选
      | \bI\s(?:would\s)?(?:choose|pick|select)\b(?:\soption)?
    """,
    re.IGNORECASE | re.VERBOSE,
)
#: One of them is in whatever ``_SAID`` matches, and in whatever ``_CHOSEN`` does.
_SAYING: tuple[str, ...] = (
    "answer",
    "result",
    "option",
    "choice",
    "respuesta",
    "antwort",
    "réponse",
    "ответ",
    "答案",
    "故选",
    "因此选",
)
_SAYING += ("choose", "pick", "select")
_CHOOSING = ("option", "correct", "right", "best")
#: What makes a sentence a supposition, or one about an answer that is given elsewhere.
_SUPPOSED = re.compile(
    r"\b(?:if|suppose|assume|assuming|think|thought|guess|whether|claim\w*|say|says|check|verify|verifying|unless|each|every)\b"
    r"[^.\n:]{0,60}$",
    re.IGNORECASE,
)
_CHOSEN = re.compile(
    r"\b[Oo]ption \(?([A-J])\)? is (?:the )?(?:correct|right|best)\b"
    r"|(?<![\w(])\(?([A-J])\)? is (?:the )?(?:correct|right|best)(?: answer| option| choice)?\b"
    r"|\boption \(?([A-J])\)?[.!]?\s*$"
)
#: How a sentence begins that says something of the answer, or comes before it.
_NO_ANSWER = re.compile(
    r"(?:in|of|not|given|found|correct|incorrect|wrong|right|as|that|to|the|a|an|therefore|thus|so|hence|then|we|it|this|there|"
    r"because|since|if|when|by|from|after|obtained|shown|below|above|clear|simply|just|let|now|and|but|always|\w+ly|\w+ed)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Span:
    """A piece of a text that is marked as an answer.

    Attributes:
        start: Where its mark begins.
        end: Where it ends.
        content: What is marked.
        kind: ``BOX`` where it stands in a box, ``LOOSE`` where words announce it that may mean something else.
    """

    start: int
    end: int
    content: str
    kind: str = ""


def last_box(text: str) -> Span | None:
    """The content of the last box that holds something; boxes that stand side by side are one list."""
    boxes: list[Span] = []
    # Backwards: the last box counts, with those right before it that its list goes on from.
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
    end = _closing_brace(text, mark.end())
    if end < 0:
        return None
    content, after = text[mark.end() + 1 : end], end + 1
    goes_on = re.compile(r"\s*(\\?%|\\pi(?![A-Za-z])|\\sqrt\{[^{}]*\})").match(text, after)
    if goes_on:  # 70\%, 3\pi
        content, after = content + goes_on[1].replace("\\%", "%").replace("%", r"\%"), goes_on.end()
    return Span(mark.start(), after, content)


def _closing_brace(text: str, start: int) -> int:
    """Where the brace that opens at ``start`` closes; -1 where it never does."""
    depth = 0
    for brace in re.finditer(r"\\[{}]|[{}]", text[start : start + _LONGEST_BOX]):
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


def last_hashes(text: str) -> Span | None:
    """The last line after hashes that is an answer and no heading."""
    if "####" not in text:
        return None
    for mark in reversed(list(_HASHES.finditer(text))[-_TRIED:]):
        content = _hashed(mark["line"], text[mark.end() :])
        if content:
            return Span(mark.start(), mark.end(), content)
    return None


def _hashed(line: str, after: str) -> str | None:
    bare = line.strip().rstrip("#").strip()
    plain = bare.strip("*_ ")
    if (
        not plain
        or plain.endswith(":")
        or _HEADING.match(plain)
        or re.match(r"\d+(?:[.)]\s+[A-Za-z]|(?:st|nd|rd|th)\s)", plain)
    ):
        return None
    if re.match(r"(?:the\s)?(?:final\s|correct\s)?answer\b", plain, re.IGNORECASE):
        return None  # ``last_said`` reads what follows
    value = read_value(bare)[0]
    if is_value(bare) or not isinstance(value, Unread | Word | Listing):
        counted = (isinstance(value, Quantity) and not is_measure(value.unit)) or (
            isinstance(value, Percent) and value.noun
        )
        return None if counted and after.strip() else bare
    stated = stated_value(bare)
    if stated:
        return _computed(bare) or stated
    if after.strip():  # prose over more text is a heading
        return None
    return bare if isinstance(value, Word) and len(plain.split()) <= 3 else last_value(bare)


def _computed(line: str) -> str | None:
    """The result of a computation that a line shows: 18 of ``9*2 = 18 dollars``."""
    return stated_value(line.rpartition("=")[2]) if "=" in line else None


def last_chosen(text: str) -> Span | None:
    """The last letter that a sentence calls right."""
    found = next(last_matches(_CHOSEN, _CHOOSING, text, most=1), None)
    return Span(found.start(), found.end(), found[1] or found[2] or found[3]) if found else None


def last_tagged(text: str) -> Span | None:
    """What stands between the last pair of ``<answer>`` tags."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end) if end >= 0 else -1
    content = text[start + len("<answer>") : end].strip() if start >= 0 else ""
    return Span(start, end, content) if content else None


def last_said(text: str, start: int = 0) -> Span | None:
    """The last answer that words announce.

    Args:
        text: Of any length.
        start: Where to begin to look.
    """
    for mark in last_matches(_SAID, _SAYING, text, _TRIED, start):
        rest = text[mark.end() : mark.end() + _AFTER]
        if _SUPPOSED.search(text[max(mark.start() - 80, 0) : mark.start()]):
            continue
        content = _announced(rest, heading=mark[0].endswith("\n"))
        if content:
            return Span(mark.start(), mark.end(), content, LOOSE if is_followed_by_words(rest, content) else "")
    return None


def _announced(rest: str, heading: bool) -> str | None:
    again = _SAID.match(rest.lstrip(" *_\n"))  # "Final Answer: The final answer is"
    again = again or re.match(r"The (?=final answer)", rest.lstrip(" *_\n"))
    if again:
        inner = rest.lstrip(" *_\n")
        found = _SAID.search(inner)
        return _announced(inner[found.end() :], heading=False) if found and found.start() < 8 else None
    stated = stated_value(rest)
    if stated:
        return stated
    sentence = first_sentence(rest)
    if heading:
        return last_value(sentence)
    worded = isinstance(read_value(sentence)[0], Word) and re.search(r"\d", sentence) is None
    short = 0 < len(sentence.split()) <= 4 and sentence.count("$") % 2 == 0
    return sentence if worded and short and not _NO_ANSWER.match(sentence) else None
