"""Values in running text: the one that a text begins with, and the last one.

Behind "the answer is" the value comes first: as many of the first words as make one answer. A text without a mark ends
in its answer: the whole last value, and not the digits that it ends in.
"""

import re

from optscale_predictor.questions.answers.values.equality import judge
from optscale_predictor.questions.answers.values.forms import read_value
from optscale_predictor.questions.answers.values.kinds import (
    Bracketed,
    Choice,
    Equation,
    Listing,
    Quantity,
    RealSet,
    Scalar,
    Unread,
    Word,
)
from optscale_predictor.questions.answers.values.spelling import clean
from optscale_predictor.questions.answers.values.words import last_spelt_number, spelt_number

# Bounds on the work for one text: every word of a sentence makes one more candidate, and each is parsed anew.
_MOST_WORDS = 40  # of a sentence that are tried as a value
_LONGEST_SENTENCE = 300  # characters
_LONGEST_END = 4000  # characters at a text's end that are searched

_SENTENCE_END = re.compile(r"\.(?=\s|$|\*|\$)|(?<![\\\d)])[!?](?=\s|$)|\n|;\s|。|，|；")
_MATHEMATICS = re.compile(r"\$\$.+?\$\$|\$[^$\n]+?\$|\\\(.+?\\\)|\\\[.+?\\\]", re.DOTALL)
_FILLERS = re.compile(
    r"(?:[\s*_:>]|\b(?:therefore|thus|then|hence|also|indeed|simply|just|exactly|now|clearly|approximately|about|around"
    r"|equal to|given by|option|choice|definitely|actually)\b(?!\s*\())*",
    re.IGNORECASE,
)
#: A letter before these words is an article or a pronoun, or part of a sentence.
_LETTER = re.compile(r"\(?[A-J]\)?(?=[\s.,;:)*]|$)(?!\s+(?!because|since|as|and|or|is|with|from|by|due|for)[a-z]+\b)")
#: A colon that ends something, where a ratio's has the same space on both sides.
_LABELLED = re.compile(r"\S:\s")
_NAMES = re.compile(r"[A-Z]\w+(?:,? (?:and |or )?[A-Z]\w+)+")
_TRUTH = re.compile(
    r"(?:yes|no|true|false|none|undefined|even|odd|infinite|valid|invalid)(?=\s*(?:[.,;:!*]|$))", re.IGNORECASE
)
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
# The order matters: an alternative that comes late is the beginning of one before it, as 3 is of 3 × 10^5 and of 3 1/2.
_VALUE = re.compile(
    rf"(?<![A-Za-z_\d.])(?P<sign>{_SIGN})\\?(?P<money>[$€£¥]?)\s?"
    rf"(?P<value>{_SCIENCE}|{_MIXED}|{_REPEATED}|{_PRODUCT}|{_RANGE}|{_PLAIN_FRACTION}|{_DIGITS}[eE][-+]?\d+(?!\w)|{_DIGITS})"
    rf"(?P<after>\s?\\?%|\^\s*\{{?\\circ\}}?|°)?"
)
_DISPLAYS = r"(?:align|equation|gather|multline|split|eqnarray)(?:ed)?\*?"
_FORMULA = re.compile(
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


def stated_value(text: str) -> str | None:
    """The answer with which a text begins, as written; None where it begins with none.

    ``3 and 5, for x`` begins with a list, ``12 of the 15`` with a number, ``rounded to 2`` with nothing.
    """
    sentence = first_sentence(text)
    if not sentence:
        return None
    ends = [found.end() for found in re.finditer(r"\S+", _unspaced(sentence))][:_MOST_WORDS]
    for end in reversed(ends):  # the longest first: "3 and 5" is a list, and not 3 with a remark
        candidate = _without_stops(sentence[:end])
        if candidate and is_value(candidate):
            rest = sentence[sentence.index(candidate) + len(candidate) :].lstrip()
            return _result(rest) or candidate
    truth = _TRUTH.match(sentence)
    return truth[0] if truth else None


def _result(rest: str) -> str | None:
    """Where a computation goes on behind its first value, what it comes to: 120 of ``15 * 8 pints = 120``."""
    goes_on = re.match(r"[*/+×÷=!·-]|of\s[\d$]", rest) and "=" in rest
    return stated_value(rest.rpartition("=")[2]) if goes_on else None


def is_followed_by_words(text: str, value: str) -> bool:
    """Whether the first sentence goes on behind its value as "2 more than 3" does, so that the value may be none.

    Args:
        text: A text that begins with the value, or with words that only lead to it.
        value: The value, as :func:`stated_value` finds it.
    """
    sentence = first_sentence(text)
    return re.match(r"\W{0,3}\s[A-Za-z]", sentence[sentence.find(value) + len(value) :]) is not None


def first_sentence(text: str) -> str:
    """The first sentence, without what only leads to its value; dots and breaks within mathematics do not end it."""
    filler = _FILLERS.match(text)
    text = text[filler.end() if filler else 0 :][:_LONGEST_SENTENCE]
    hidden = _MATHEMATICS.sub(lambda found: "x" * len(found[0]), text)
    end = _SENTENCE_END.search(hidden)
    # Bold is no part of the value; between letters and digits two stars are a power.
    return re.sub(r"\*\*(?![\w(])|(?<![\w)])\*\*", "", text[: end.start() if end else len(text)]).strip()


def _unspaced(sentence: str) -> str:
    """The sentence with formulas as single words, so that none is cut."""
    return _MATHEMATICS.sub(lambda found: "x" * len(found[0]), sentence)


def _without_stops(candidate: str) -> str:
    return re.sub(r"(?:[\s,;:]|(?<!\*)\*(?!\*)|\s(?:and|or|is|so|which|because|since|for))+$", "", candidate).strip()


def is_value(candidate: str) -> bool:
    """Whether a text is one answer: a value of a known kind, and no sentence around it."""
    if _LABELLED.search(candidate):
        return False
    value = read_value(candidate)[0]
    if isinstance(value, Choice):
        return (value.content == () and _LETTER.match(candidate.strip("*_$ ")) is not None) or bool(value.content)
    if isinstance(value, Unread | Word):
        return False
    if isinstance(value, Listing) and not (_is_list(value) and (not _has_words(value) or _NAMES.fullmatch(candidate))):
        return False
    if isinstance(value, Scalar | Quantity) and re.fullmatch(r"[a-z]", candidate.strip("*_$ ")) is not None:
        return "$" in candidate  # x alone is a variable only in mathematics
    return bool(re.search(r"[\d\\∞π√]|[A-Za-z]", candidate))


def _has_words(value: Listing) -> bool:
    return any(isinstance(one, Word) for one in value.items)


def _is_list(value: Listing) -> bool:
    """Whether items are of a kind and distinct: ``5, as required`` and ``5, or about 5.0`` are no lists."""
    kinds = {type(one) if isinstance(one, Word | Choice) else None for one in value.items}
    return len(kinds) == 1 and not any(judge(one, value.items[0]) for one in value.items[1:])


def last_value(text: str) -> str | None:
    """The last value in a text, as written; None where there is none.

    A formula at the end counts as a whole; of an equation its right side. What names something (``step 2``,
    ``horse #12``, ``the first 15``) is no value, nor is what stands in a refusal to answer.
    """
    text = text[-_LONGEST_END:]
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
    found = list(_FORMULA.finditer(text))
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
    for formula in _FORMULA.finditer(text):
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
