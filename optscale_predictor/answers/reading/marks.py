r"""Marks in words and hashes: ``#### 18``, ``The final answer is 18``, ``**Answer:** 18``, ``<answer>18</answer>``.

A line after hashes may be a heading of Markdown instead (``#### Step 1``, ``#### Case 2: …``), which marks nothing.
"""

import re
from collections.abc import Iterator

from optscale_predictor.answers.reading.boxes import Span
from optscale_predictor.answers.reading.last_value import first_value, last_value

_TRIED = 100  # marks of a kind, from the last one

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
_FINAL = r"(?:the\s+|my\s+|our\s+)?(?:final|correct|right)\s+(?:numerical\s+)?(?:answer|result)"
_SAID = re.compile(
    rf"""(?:
        (?P<strong>{_FINAL}|\bfinal\s+answer)\s*(?P<a>(?:(?:is|are|equals|becomes|will\s+be|would\s+be)\b|[:=*_\s(#]|\bis\b)+)
      | (?P<weak>\b(?:the\s+answers?|answers?(?=\s*[*_]*\s*:))(?:\s+to\s+[^.:\n]{{1,80}}?)?)
        \s*(?P<b>[*_\s]*(?:(?:\s(?:is|are|equals|becomes|will\s+be|would\s+be|must\s+be|should\s+be)\b[:*_\s]*)|:[*_\s]*))
        (?:therefore|thus|then|hence|also|indeed|simply|just|exactly|now|clearly)?
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_SENTENCE_END = re.compile(r"\.(?=\s|$|\*)|[!?](?=\s|$)|\n|;\s")
#: How a sentence begins that says something of the answer, or comes before it.
_NO_ANSWER = re.compile(
    r"(?:in|of|not|given|found|correct|incorrect|wrong|right|as|that|to|the|a|an|therefore|thus|so|hence|then|we|it|this|there|"
    r"because|since|if|when|by|from|after|obtained|shown|below|above|clear|simply|just|let|now|and|but|always)\b",
    re.IGNORECASE,
)
_LEADING = re.compile(r"^[\s*_:>]+")
_MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_CHOSEN = re.compile(r"^(?:option\s+|choice\s+|\()?\(?([A-J])\)?(?=[\s.,;:)*]|$)(?!\s+[a-z]+\b)")
_TRUTH = re.compile(r"^(?:yes|no|true|false|none|undefined|even|odd|infinite|infinity|zero)\b", re.IGNORECASE)


def last_hashes(text: str) -> Span | None:
    """The last line after hashes that is an answer and no heading."""
    for mark in reversed(list(_HASHES.finditer(text))[-_TRIED:]):
        content = _hashed(mark, text)
        if content:
            return Span(mark.start(), mark.end(), content)
    return None


def _hashed(mark: re.Match[str], text: str) -> str | None:
    bare = mark["line"].strip().rstrip("#").strip("*_ \t")
    if not bare or bare.endswith(":") or _HEADING.match(bare) or re.match(r"\d+[.)]\s+\D", bare):
        return None
    if re.match(rf"(?:{_FINAL}|answer)\b", bare, re.IGNORECASE):
        return None  # ``_said`` reads what follows
    if _is_value(bare):
        return _stated(bare)
    if re.match(r"[-+−$€£\\(\[]?\s*[\d.]", bare) and "=" not in bare:
        return first_value(bare)
    if text[mark.end() :].strip():  # prose over more text is a heading
        return None
    return last_value(bare) or (bare if len(bare.split()) <= 3 else None)


def _is_value(line: str) -> bool:
    """Whether a line is an answer as it stands: no words but those of a unit."""
    return "=" not in line and not re.search(r"[A-Za-z]{2,}", re.sub(r"\\[A-Za-z]+", "", line))


def last_tagged(text: str) -> Span | None:
    """What stands between the last pair of ``<answer>`` tags."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end) if end >= 0 else -1
    content = text[start + len("<answer>") : end].strip() if start >= 0 else ""
    return Span(start, end, content) if content else None


def last_said(text: str) -> Span | None:
    """The last answer that words announce."""
    for mark in reversed(list(_SAID.finditer(text))[-_TRIED:]):
        content = _announced(text, mark)
        if content:
            return Span(mark.start(), mark.end(), content)
    return None


def _announced(text: str, mark: re.Match[str]) -> str | None:
    if mark["strong"] and not re.search(r"is|are|equals|be|[:=\n]", mark["a"], re.IGNORECASE):
        return None
    rest = _LEADING.sub("", text[mark.end() : mark.end() + 600])
    again = re.match(rf"{_FINAL}\s+(?:is|are)\b[\s:*_]*", rest, re.IGNORECASE)  # "Final Answer: The final answer is"
    rest = rest[again.end() :] if again else rest
    return next((candidate for candidate in _candidates(rest) if candidate), None)


def _candidates(rest: str) -> Iterator[str | None]:
    """Ways to read what follows an announcement, the surest first."""
    math = _MATH.match(rest)
    if math and not _is_currency(math[0]):
        yield _stated(next(part for part in math.groups() if part is not None), rest[math.end() :])
    chosen = _CHOSEN.match(rest)
    if chosen:
        yield chosen[1]
    sentence = _SENTENCE_END.split(rest, maxsplit=1)[0].strip().strip("*_").strip()
    clause = re.split(r",\s(?=[a-z]{3,}\s+[a-z])", sentence, maxsplit=1)[0]
    if _TRUTH.match(clause):
        yield clause if len(clause.split()) < 4 else clause.split()[0].strip(",")
    if clause and _is_value(clause):
        yield _stated(clause)
    elif "=" not in clause and re.match(r"[-+−$€£\\(\[{]*\s*\d", clause):
        yield first_value(clause)
    yield last_value(sentence) if sentence else None
    if 0 < len(clause.split()) <= 4 and not _NO_ANSWER.match(clause):
        yield clause


def _stated(content: str, after: str = "") -> str:
    """A value without the stop and the bold of its sentence; a per cent sign behind its dollars is its own."""
    content = content.strip().strip("*_").strip()
    return content + r"\%" if re.match(r"\s*\\?%", after) else content


def _is_currency(text: str) -> bool:
    """Whether dollars that look like those of mathematics are money: ``$18 per day and $``."""
    return re.match(r"\$\s*\d", text) is not None and re.search(r"[a-z]{2,}\s+[a-z]{2,}", text) is not None
