"""The value at the beginning of a text: as many of its first words as make one answer.

Marks in words and hashes: ``#### 18``, ``The final answer is 18``, ``**Answer:** 18``, ``<answer>18</answer>``.

A line after hashes may be a heading of Markdown instead (``#### Step 1``, ``#### Case 2: …``), which marks nothing,
and a sentence may say something of the answer without giving it ("it is rounded to 2 places"): the value must follow.
"""

import re

from optscale_predictor.questions.answers.reading.boxes import Span
from optscale_predictor.questions.answers.reading.last_value import last_value
from optscale_predictor.questions.answers.values.equality import judge
from optscale_predictor.questions.answers.values.forms import read_value
from optscale_predictor.questions.answers.values.kinds import Choice, Listing, Percent, Quantity, Scalar, Unread, Word
from optscale_predictor.questions.answers.values.units import is_measure

_MOST_WORDS = 40
_LONGEST = 300  # characters that are looked at
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


def stated_value(text: str) -> str | None:
    """The answer with which a text begins, as written; None where it begins with none.

    ``3 and 5, for x`` begins with a list, ``12 of the 15`` with a number, ``rounded to 2`` with nothing.
    """
    sentence = first_sentence(text)
    if not sentence:
        return None
    ends = [found.end() for found in re.finditer(r"\S+", _unspaced(sentence))][:_MOST_WORDS]
    for end in reversed(ends):
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
    """Whether the first sentence goes on behind its value as "2 more than 3" does, so that the value may be none."""
    sentence = first_sentence(text)
    return re.match(r"\W{0,3}\s[A-Za-z]", sentence[sentence.find(value) + len(value) :]) is not None


def first_sentence(text: str) -> str:
    """The first sentence, without what only leads to its value; dots and breaks within mathematics do not end it."""
    filler = _FILLERS.match(text)
    text = text[filler.end() if filler else 0 :][:_LONGEST]
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


#: The kind of an announcement that may say something of the answer instead: "the answer is 2 more than 3".
LOOSE = "loose"

_TRIED = 100  # marks of a kind, from the last one
_AFTER = 600  # characters behind a mark that are looked at

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


def last_hashes(text: str) -> Span | None:
    """The last line after hashes that is an answer and no heading."""
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
    found = next(reversed(list(_CHOSEN.finditer(text))), None)
    return Span(found.start(), found.end(), found[1] or found[2] or found[3]) if found else None


def last_tagged(text: str) -> Span | None:
    """What stands between the last pair of ``<answer>`` tags."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end) if end >= 0 else -1
    content = text[start + len("<answer>") : end].strip() if start >= 0 else ""
    return Span(start, end, content) if content else None


def last_said(text: str) -> Span | None:
    """The last answer that words announce."""
    for mark in reversed(list(_SAID.finditer(text))[-_TRIED:]):
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
