"""Answers in words: numbers spelt out, phrases with a meaning in mathematics, and the plain word."""

import re
from collections.abc import Sequence
from fractions import Fraction

from optscale_predictor.answers.values.spelling import WORD_CLOSES, WORD_OPENS

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SMALL = {word: number for number, word in enumerate(_ONES)} | {
    word: number for number, word in zip(range(20, 100, 10), _TENS, strict=True)
}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_PARTS = {
    **{"half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4},
    **{"fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10},
}
#: Words behind a number that multiply it.
MULTIPLES = {**_LARGE, "trillion": 10**12, "dozen": 12, "lakh": 10**5, "crore": 10**7, "grand": 1000}
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join((*_SMALL, *_LARGE))})\b", re.IGNORECASE)

_NOTHING = {
    "no solution",
    "no solutions",
    "no solution exists",
    "no solutions exist",
    "no real solution",
    "no real solutions",
    "there is no solution",
    "there are no solutions",
    "empty set",
    "the empty set",
}
_REALS = {
    "all real numbers",
    "all reals",
    "all real",
    "real numbers",
    "the set of all real numbers",
    "set of all real numbers",
    "any real number",
    "all real x",
}
_SYNONYMS = {
    "dne": "does not exist",
    "not possible": "impossible",
    "infinite": "infinitely many",
    "infinitely many solutions": "infinitely many",
}
_SAYING = re.compile(r"^(?P<subject>\w[\w' ]*?) (?:is|are|was|were) (?:the )?(?:\w+est|first|winner|answer|one)$")


def plain_words(text: str) -> str:
    """A cleaned text as a phrase: small letters, one space between words, no article, no punctuation."""
    text = text.replace(WORD_OPENS, " ").replace(WORD_CLOSES, " ").replace("¤", " $")
    found = [word.strip(".'") for word in re.sub(r"[^\w%$'+./-]+", " ", text.casefold()).split()]
    words = re.sub(r"\b(?:the|an?) (?=\w{2})(?!(?:and|or) )", "", " ".join(word for word in found if word))
    return _SYNONYMS.get(words, words)


def spelt_number(phrase: str) -> Fraction | None:
    """The number that a phrase spells, as ``twenty-one`` and ``two thirds`` do; None where it spells none."""
    words = re.split(r"[\s-]+", phrase.casefold().strip())
    if len(words) > 1 and words[0] in ("negative", "minus"):
        positive = spelt_number(" ".join(words[1:]))
        return None if positive is None else -positive
    part = _PARTS.get(words[-1].removesuffix("s")) if len(words) > 1 else None
    if part is not None:
        count = Fraction(1) if words[:-1] == ["a"] else spelt_number(" ".join(words[:-1]))
        return None if count is None else count / part
    whole = _spelt_whole(words)
    return None if whole is None else Fraction(whole)


def _spelt_whole(words: Sequence[str]) -> int | None:
    total = group = 0
    last = 1000  # the size of the word before: in a number they get smaller
    for word in words:
        if word == "and" and (total or group):
            continue
        if word in _SMALL:
            if last <= 10 or (last < 100 and _SMALL[word] >= 10) or (_SMALL[word] == 0 and len(words) > 1):
                return None
            group, last = group + _SMALL[word], 10 if _SMALL[word] < 20 else 20
        elif word in _LARGE:
            group, last = max(group, 1) * _LARGE[word], 1000
            if _LARGE[word] > 100:
                total, group = total + group, 0
        else:
            return None
    return total + group if words else None


def last_spelt_number(text: str) -> str | None:
    """The last number spelt out in a prose text; a lone ``one`` is no number there."""
    found = None
    for run in re.finditer(
        rf"{_NUMBER_WORD.pattern}(?:(?:[\s-]|\sand\s)+{_NUMBER_WORD.pattern})*", text, re.IGNORECASE
    ):
        if run[0].casefold() != "one":
            found = run[0]
    return found


def means_nothing(phrase: str) -> bool:
    """Whether a phrase says that there is no solution."""
    return phrase in _NOTHING or f"the {phrase}" in _NOTHING


def means_all_reals(phrase: str) -> bool:
    """Whether a phrase says that every real number is a solution."""
    return phrase in _REALS


def subject(phrase: str) -> str:
    """Whom a sentence is about: ``evelyn`` of ``evelyn is fastest``; the phrase itself where it is none."""
    found = _SAYING.match(phrase)
    return found["subject"] if found else phrase
