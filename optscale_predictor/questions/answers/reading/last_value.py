"""The last value of a text without a mark: the whole value, and not the digits that it ends in."""

import re

from optscale_predictor.questions.answers.values.equality import judge
from optscale_predictor.questions.answers.values.forms import read_value
from optscale_predictor.questions.answers.values.kinds import Bracketed, Equation, Listing, RealSet, Unread, Word
from optscale_predictor.questions.answers.values.phrases import last_spelt_number, spelt_number
from optscale_predictor.questions.answers.values.spelling import clean

_DIGITS = (
    r"(?:\d{1,3}(?:(?:,|\{,\}|,\\!|\\,|\\!,)\d{3})+(?!\d)(?:\.\d+)?"
    r"|\d{1,3}(?: \d{3})+(?!\d)|\d+(?:\.\d+)?|(?<![\d.])\.\d+)"
)
_REPEATED = r"\d*\.\d*\\overline\s*\{?\d+\}?"
_FRACTION = r"\\[dtc]?frac\s*(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\d)\s*(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\d)"
_ROOT = r"(?:\\sqrt|√)\s*(?:\[\d+\]\s*)?(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\(\s*\d+\s*\)|\d+)"
_PI = r"(?:\\pi(?![A-Za-z])|π)"
_SIGN = r"(?:(?<![\w)}\]])[-+−]\s?|(?<=\s)[-−](?=[\d.\\√$]))?"
_SCIENCE = rf"{_DIGITS}\s*(?:\\times|\\cdot|×|\*|x)\s*10\s*\^\s*(?:\{{\s*[-−+]?\d+\s*\}}|[-−+]?\d+)"
_MIXED = rf"\d+\s+\d+/\d+|\d+\s*{_FRACTION}"
_PLAIN_FRACTION = rf"{_DIGITS}\s?/\s?{_DIGITS}(?![\d/])"
_PRODUCT = rf"(?:{_DIGITS}\s?\*?\s?)?(?:{_FRACTION}|{_ROOT}|{_PI})(?:\s?(?:{_ROOT}|{_PI}|{_FRACTION}))*(?:\s?/\s?\d+)?"
_RANGE = r"\d+(?:\.\d+)?[-–—]\d+(?:\.\d+)?(?![\d-])"
_VALUE = re.compile(
    rf"(?<![A-Za-z_\d.])(?P<sign>{_SIGN})\\?(?P<money>[$€£¥]?)\s?"
    rf"(?P<value>{_SCIENCE}|{_MIXED}|{_REPEATED}|{_PRODUCT}|{_RANGE}|{_PLAIN_FRACTION}|{_DIGITS}[eE][-+]?\d+(?!\w)|{_DIGITS})"
    rf"(?P<after>\s?\\?%|\^\s*\{{?\\circ\}}?|°)?"
)
_DISPLAYS = r"(?:align|equation|gather|multline|split|eqnarray)(?:ed)?\*?"
_MATH = re.compile(
    r"\$\$(.+?)\$\$|(?<!\\)\$([^$\n]+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]"
    rf"|\\begin\{{{_DISPLAYS}\}}(.+?)\\end\{{{_DISPLAYS}\}}",
    re.DOTALL,
)
#: Numbers that name something, and so are no values: a step, a horse, the first so many.
_NAMING = re.compile(
    r"(?:#|\b(?:steps?|case|part|problem|question|equations?|eq\.?|page|chapter|figure|fig\.?|table|line|item|number|no\.|"
    r"method|option|version|first|last|next|top|example|exercise|section|theorem|lemma|note|round|method)\s*)[(#]?$",
    re.IGNORECASE,
)
_OF = re.compile(r"\s*(?:of|out of|/)\s*\d+\s*\)")
_OUT_OF = re.compile(r"\(\d+ (?:of|out of)$")
_REFUSES = re.compile(
    r"\b(?:I|we|I'm|it is|this)\b[^.\n]{0,20}"
    r"\b(?:cannot|can't|can not|could not|couldn't|unable to|not able to|impossible to|do not know|don't know)\b"
    r"[^.\n]{0,40}"
    r"\b(?:solve|determine|answer|find|compute|calculate|help|provide|be solved|be determined|know)\b",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s*(?:,|,?\s*(?:and|or))\s*")
_GROUP = re.compile(r"[(\[][^()\[\]\n]{1,40},[^()\[\]\n]{1,40}[)\]]")
_JOINED = re.compile(r"[:^*+]|[A-Za-z]\(|\d[-/]\w")
_LONGEST = 4000  # characters at the end that are looked at


def last_value(text: str) -> str | None:
    """The last value in a text, as written; None where there is none.

    A formula at the end counts as a whole; of an equation its right side. What names something (``step 2``,
    ``horse #12``, ``the first 15``) is no value, nor is what stands in a refusal to answer.
    """
    text = text[-_LONGEST:]
    if _refuses_at_end(text):
        return None
    formula, values = _last_formula(text), _values(text)
    last = values[-1] if values else None
    if formula and (last is None or last.start() < formula.end()):
        content = next(part for part in formula.groups() if part is not None)
        return _joined_formulas(text) or _right_side(content) or (_shown(last) if last else None)
    if last is not None:
        return _bracketed(text, last) or _whole(text, last) or _shown(last)
    return _spelt(text)


def _joined_formulas(text: str) -> str | None:
    """Formulas that a list joins at the end: ``$x = 3$ or $x = 5$``."""
    found = list(_MATH.finditer(text))
    first = len(found) - 1
    while first > 0 and _BETWEEN.fullmatch(text[found[first - 1].end() : found[first].start()]):
        first -= 1
    if first == len(found) - 1:
        return None
    joined = text[found[first].start() : found[-1].end()]
    value = read_value(joined)[0]
    if isinstance(value, Listing):
        names = {one.name if isinstance(one, Equation) else "" for one in value.items}
        return joined if len(names) == 1 and not judge(value.items[0], value.items[-1]) else None
    return joined if isinstance(value, RealSet) else None


def _bracketed(text: str, found: re.Match[str]) -> str | None:
    """The point or interval that a value stands in, ``(3, 4)``."""
    start = max(found.start() - 60, 0)
    for group in _GROUP.finditer(text[start : found.end() + 60]):
        if start + group.start() < found.start() and found.end() < start + group.end():
            return group[0] if isinstance(read_value(group[0])[0], Bracketed) else None
    return None


def _whole(text: str, found: re.Match[str]) -> str | None:
    """What a value is part of without a space, where that is an answer: ``3:2``, ``2^10``, ``x^2+1``."""
    start, end = found.start("value"), found.end()
    before = re.split(r"[\s$]", text[max(start - 40, 0) : start])[-1]
    after = re.split(r"[\s$]", text[end : end + 40], maxsplit=1)[0]
    run = f"{before}{text[start:end]}{after}".strip("\"'*_`,;:!?")
    run = run.rpartition("=")[2].rstrip(".")
    if not _JOINED.search(run) or len(run) < len(found["value"]) or "\\" in run:
        return None
    return None if isinstance(read_value(run)[0], Unread | Word) else run


def _values(text: str) -> list[re.Match[str]]:
    found = [one for one in _VALUE.finditer(text) if not _is_unit_power(text, one)]
    named = [one for one in found if not _NAMING.search(text[max(one.start("value") - 30, 0) : one.start("value")])]
    return [one for one in named if not _is_count(text, one)] or named or found


def _is_count(text: str, found: re.Match[str]) -> bool:
    """Whether a remark counts pages or parts, as in ``(1 of 2)``."""
    before, after = text[max(found.start() - 40, 0) : found.start()].rstrip(), text[found.end() : found.end() + 20]
    if re.search(r"\w\s*\[$", before) and after.startswith("]"):  # a footnote
        return True
    return (before.endswith("(") and _OF.match(after) is not None) or _OUT_OF.search(before[-20:]) is not None


def _is_unit_power(text: str, found: re.Match[str]) -> bool:
    r"""Whether digits are an exponent or an index: the 2 of ``cm^2``, of ``x_{2}``, and of ``H_2O``."""
    return re.search(r"[\^_]\s*\{?\s*[-−]?$", text[max(found.start("value") - 6, 0) : found.start("value")]) is not None


def _shown(found: re.Match[str]) -> str:
    sign = "-" if found["sign"].strip() in ("-", "−") else ""
    after = (found["after"] or "").strip()
    return f"{sign}{found['value'].strip()}{'%' if '%' in after else ''}"


def _last_formula(text: str) -> re.Match[str] | None:
    found = None
    for formula in _MATH.finditer(text):
        content = formula[0]
        money = "\\" not in content and re.match(r"\$\s?\d[\d.,]*[,;.]?\s+[a-z]{2,}", content)
        if not money and re.search(r"[\w\\]", content):
            found = formula
    return found


def _right_side(content: str) -> str | None:
    content = re.sub(rf"\\(?:begin|end)\{{{_DISPLAYS}\}}", "", content)
    side = re.split(r"(?<![<>!\\])=|\\approx|≈|\\equiv", content)[-1].strip().lstrip("&").rstrip(".,;\\ ").strip()
    side = re.sub(r"\s*\\pmod\s*\{?\d+\}?$", "", side)
    if re.fullmatch(r"[A-Za-z]", side) or not re.search(r"[\w∞]", side):
        return None
    return side if len(clean(side).split()) < 30 else None


def _refuses_at_end(text: str) -> bool:
    last = [line for line in text.strip().splitlines() if line.strip()][-1:]
    return bool(last) and _REFUSES.search(last[0]) is not None


def _spelt(text: str) -> str | None:
    words = last_spelt_number(text)
    number = spelt_number(words) if words else None
    return None if number is None else str(number)
