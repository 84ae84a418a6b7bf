"""The value at the beginning of a text: as many of its first words as make one answer."""

import re

from optscale_predictor.answers.values.equality import judge
from optscale_predictor.answers.values.forms import read_value
from optscale_predictor.answers.values.kinds import Choice, Listing, Quantity, Scalar, Unread, Word

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
