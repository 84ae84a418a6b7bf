"""Answers in words: numbers spelt out, phrases with a meaning in mathematics, and the plain word.

Answers that their spelling alone tells: words and phrases, times, numerals in a base, money in words.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from optscale_predictor.questions.answers.values.kinds import (
    Based,
    Choice,
    Percent,
    Quantity,
    Scalar,
    Time,
    Unread,
    Value,
    Word,
)
from optscale_predictor.questions.answers.values.real_sets import ALL_REALS, EMPTY
from optscale_predictor.questions.answers.values.spelling import (
    OPERATORS,
    SET_CLOSES,
    SET_OPENS,
    WORD_CLOSES,
    WORD_OPENS,
)
from optscale_predictor.questions.answers.values.tokens import NAMES, Number

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


_LETTERS = re.compile(r"^(?:[A-Za-z .]|(?<=[A-Za-z])'(?=[a-z])|(?<=[A-Za-z]{2})-(?=[A-Za-z]{2}))+$")
_LETTER_LIST = re.compile(r"^[A-Z](?:\W+(?:and|or)\W+[A-Z])+$")
_CONSTANTS = ("e", "i", "pi", "inf", "infinity", "oo")
_SHORT_WORDS = ("no", "up", "in", "on", "am", "pm")
_CHOICE = re.compile(
    r"^(?:[Oo]ption |[Cc]hoice |[Aa]nswer )?"
    r"(?:\( ?(?P<a>[A-J]) ?\)[.:]?|(?P<b>[A-J])(?:[).:](?= |$)| - )|(?P<c>[A-Z])$)(?P<rest>.*)$"
)
#: What follows a letter that is no label of what follows: a sum, a list, a sentence about it.
_NO_CONTENT = re.compile(r"\s*[+*/^=_,;!]|-|\s*(?:and|or|is|not|nor|but|are)\b|.*(?:\([A-J]\)|\b[A-J]\)|\b[A-Z]+:)")
_TIME = re.compile(r"^(\d\d?):(\d\d)(?: ?([ap])\.? ?m\.?)?$|^(\d\d?) ?([ap])\.? ?m\.?$", re.IGNORECASE)
_BASED = re.compile(
    r"^\(?([0-9A-Fa-f]+)\)? ?(?:_ ?(?:\{ ?(?P<braced>\w+) ?\}|(?P<bare>\w+))|\(?(?:in )?base[ -](?P<said>\w+)\)?)$",
    re.IGNORECASE,
)
_DATE = re.compile(r"^(?:\d{4}-\d\d?-\d\d?|\d\d?/\d\d?/(?:\d\d){1,2})$")
_ORDINAL = re.compile(r"^(-?\d+) ?\^? ?\{? ?(?:st|nd|rd|th) ?\}?$")
_DOLLARS_AND_CENTS = re.compile(r"^(?:¤ ?)?(\d+)(?: dollars?)? and (\d\d?) cents?$")
_AND_A_HALF = re.compile(r"^(\d+) and a half$")
_ALL_REALS = re.compile(r"\\mathbb ?\{? ?R ?\}?|\\(?:Reals|R)")
_EMPTY = re.compile(rf"\\emptyset|{SET_OPENS} ?{SET_CLOSES}")


def spelt_form(text: str) -> Value | None:
    """The value of a cleaned text that its spelling tells; None of another."""
    bare = _unmarked(text)
    if found := _TIME.match(bare):
        return Time(int(found[1] or found[4]), int(found[2] or 0), (found[3] or found[5] or "").lower())
    if found := _BASED.match(bare):
        base = found["braced"] or found["bare"] or found["said"]
        number = Fraction(base) if base.isdecimal() and len(base) < 4 else spelt_number(base)
        return None if number is None else _numeral(found[1], int(number))
    if _DATE.match(bare):
        return Word(bare)
    if found := _ORDINAL.match(bare):
        return Scalar(Number(Fraction(found[1])))
    if found := _DOLLARS_AND_CENTS.match(bare):
        return Quantity(Scalar(Number(Fraction(found[1]) + Fraction(int(found[2]), 100))), "dollar")
    if found := _AND_A_HALF.match(bare):
        return Scalar(Number(Fraction(found[1]) + Fraction(1, 2)))
    if _ALL_REALS.fullmatch(bare):
        return ALL_REALS
    return EMPTY if _EMPTY.fullmatch(bare) else None


def _numeral(digits: str, base: int) -> Based | None:
    """A numeral; ``a_2`` is a variable."""
    return None if digits.isalpha() and digits.islower() else Based(digits.upper().lstrip("0") or "0", base)


def phrase(text: str) -> Value | None:
    """What only consists of letters: a number spelt out, a phrase with a meaning, or a word; None of another text."""
    bare = _unmarked(text)
    if not _LETTERS.match(bare) or bare in _CONSTANTS or _LETTER_LIST.match(bare) or OPERATORS & {*text.split()}:
        return None
    words = plain_words(bare)
    if means_nothing(words):
        return EMPTY
    if means_all_reals(words):
        return ALL_REALS
    number = spelt_number(words.removesuffix(" percent"))
    if number is not None:
        return Percent(Scalar(Number(number))) if words.endswith(" percent") else Scalar(Number(number))
    if not words or _is_variables(text) or re.match(r"(?:approximately|about|exactly)\b", words):
        return None
    return Choice(words.upper()) if len(words) == 1 else Word(words)


def choice(text: str, read: Callable[[str], tuple[Value, ...]]) -> Value | None:
    """A letter, alone or with what it stands for, which ``read`` reads; None where the text is none."""
    found = _CHOICE.match(_unmarked(text))
    if not found:
        return None
    rest, letter = found["rest"].strip(), found["a"] or found["b"] or found["c"]
    if not rest:
        return Choice(letter)
    if _NO_CONTENT.match(found["rest"]):
        return None
    marked = text[len(text) - len(rest) :] if text.endswith(rest) else rest
    return Choice(letter, read(marked))


def wording(text: str) -> Word | Unread:
    """What no grammar here knows: a phrase, or mathematics for math-verify."""
    words = plain_words(text)
    worded = re.search(rf"{WORD_OPENS}[^\W\d_]{{2,}}|(?<![\\A-Za-z])(?!(?:{'|'.join(NAMES)})\b)[A-Za-z]{{3,}}", text)
    if worded and words and not re.search(r"[\\^_{}=<>]", text):
        return Word(words)
    return Unread(text, worded is not None or re.search(r"\.\.\.|\\pmod|\\equiv", text) is not None)


def _is_variables(text: str) -> bool:
    """Whether one or two small letters are variables: ``x``, ``pq``."""
    letters = text.replace(" ", "")
    return letters.isalpha() and letters.islower() and len(letters) < 3 and text not in _SHORT_WORDS


def _unmarked(text: str) -> str:
    """Without the marks around words."""
    return " ".join(text.replace(WORD_OPENS, "").replace(WORD_CLOSES, "").split())
