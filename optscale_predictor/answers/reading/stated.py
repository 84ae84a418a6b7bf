"""The value at the beginning of a text: as many of its first words as make one answer."""

import re

from optscale_predictor.answers.values.forms import read_value
from optscale_predictor.answers.values.kinds import Choice, Quantity, Scalar, Unread, Word

_MOST_WORDS = 16
_LONGEST = 300  # characters that are looked at
_SENTENCE_END = re.compile(r"\.(?=\s|$|\*|\$)|[!?](?=\s|$)|\n|;\s|。|，|；")
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
        if candidate and _is_value(candidate):
            return candidate
    truth = _TRUTH.match(sentence)
    return truth[0] if truth else None


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


def _is_value(candidate: str) -> bool:
    if _LABELLED.search(candidate):
        return False
    value = read_value(candidate)[0]
    if isinstance(value, Choice):
        return (value.content == () and _LETTER.match(candidate.strip("*_$ ")) is not None) or bool(value.content)
    if isinstance(value, Unread | Word):
        return False
    if isinstance(value, Scalar | Quantity) and re.fullmatch(r"[a-z]", candidate.strip("*_$ ")) is not None:
        return "$" in candidate  # x alone is a variable only in mathematics
    return bool(re.search(r"[\d\\∞π√]|[A-Za-z]", candidate))
