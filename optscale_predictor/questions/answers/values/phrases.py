"""Answers with words in them: what their spelling alone tells, and numbers with a word, a sign or a remark behind them.

A word, a phrase with a meaning, a letter of a choice, a time, a numeral in a base, a date, and money in words need no
grammar. Behind an expression may stand a per cent sign, a unit, a noun, or the number once more in words.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from optscale_predictor.questions.answers.values.brackets import ALL_REALS, EMPTY
from optscale_predictor.questions.answers.values.expressions import parse_expression, parse_prefix
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
from optscale_predictor.questions.answers.values.spelling import (
    OPERATORS,
    SET_CLOSES,
    SET_OPENS,
    WORD_CLOSES,
    WORD_OPENS,
)
from optscale_predictor.questions.answers.values.tokens import (
    NAME,
    NAMES,
    NUMBER,
    SIGN,
    WORD,
    Call,
    Number,
    Token,
    UnreadableError,
    product,
    tokenize,
)
from optscale_predictor.questions.answers.values.words import (
    MULTIPLES,
    dimensions,
    is_measure,
    is_noun_phrase,
    means_all_reals,
    means_nothing,
    plain_words,
    spelt_number,
)

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
#: Signs and names of money that stand before the number.
CURRENCIES = {
    "¤": "dollar",
    "€": "euro",
    "£": "sterling",
    "¥": "yen",
    "₹": "rupee",
    "USD": "dollar",
    "EUR": "euro",
    "GBP": "sterling",
}


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
    """A letter, alone or with what it stands for, which ``read`` reads; None where the text is none.

    Args:
        text: As ``spelling.clean`` leaves it.
        read: Reads what stands behind the letter.
    """
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


def read_scalar(tokens: Sequence[Token]) -> Value:
    """A number or an expression, with what may follow it: a per cent sign, a unit, a remark in brackets.

    Raises:
        UnreadableError: Something else follows, or there is no expression.
    """
    currency = next((token for token in tokens[:2] if token.text in CURRENCIES), None)
    if currency is not None and len(tokens) > 1:
        inner = read_scalar([token for token in tokens if token is not currency])
        if isinstance(inner, Scalar | Quantity):
            return Quantity(inner if isinstance(inner, Scalar) else inner.scalar, CURRENCIES[currency.text])
    node, rest = parse_prefix(tokens)
    if isinstance(node, Call) and node.name == "degree":
        scale = [Token(WORD, one.text) if one.text in ("C", "F", "K") else one for one in rest]
        node, rest = node.arguments[0], [Token(WORD, "degree"), *scale]
    while rest and rest[0].kind == WORD and rest[0].text.lower() in MULTIPLES:
        node, rest = product(node, Number(Fraction(MULTIPLES[rest[0].text.lower()]))), rest[1:]
    return _measured(Scalar(node), rest)


def _measured(scalar: Scalar, rest: Sequence[Token]) -> Value:
    """A number with the tokens that follow it."""
    if not rest:
        return scalar
    if [token.text for token in rest[:2]] == ["per", "cent"]:
        rest = [Token(SIGN, "%"), *rest[2:]]
    if rest[0].text == "%" or (rest[0].kind == WORD and rest[0].text.lower() in ("percent", "pct")):
        noun = " ".join(token.text for token in rest[1:]).casefold()
        if not noun or re.fullmatch(r"(?:of )?(?!of$)[a-z ]{1,40}", noun):
            return Percent(scalar, noun)
        raise UnreadableError("after a percentage")
    if rest[0].text == "(" and rest[-1].text == ")":
        return _remarked(scalar, rest[1:-1])
    if rest[0].text in CURRENCIES:
        return Quantity(scalar, CURRENCIES[rest[0].text])
    unit = " ".join(token.text for token in rest).replace("^ ", "^")
    if rest[0].kind == WORD and _is_unit_phrase(rest) and (is_measure(unit) or is_noun_phrase(unit)):
        return Quantity(scalar, unit)
    raise UnreadableError(f"after a number: {rest[0].text!r}")


def _remarked(scalar: Scalar, remark: Sequence[Token]) -> Value:
    """A number with a remark in brackets: itself in words, or its unit."""
    words = " ".join(token.text for token in remark)
    number = spelt_number(words)
    if number is not None and not scalar.names and scalar.value == number:
        return scalar
    if number is None and all(token.kind == WORD for token in remark) and is_noun_phrase(words):
        return Quantity(scalar, words)
    raise UnreadableError("a remark that is none")


def _is_unit_phrase(rest: Sequence[Token]) -> bool:
    """Whether what follows a number is words, with the powers and strokes of units; no further value."""
    signs = all(token.text in "^/*{}()-.,'" for token in rest if token.kind == SIGN)
    texts = ["", "", *(token.text for token in rest)]
    before = [texts[n + 1] if texts[n + 1] != "-" else texts[n] for n, token in enumerate(rest) if token.kind == NUMBER]
    powers = all(sign in ("^", "{") for sign in before)
    names = all(token.kind != NAME for token in rest)
    return signs and powers and names


def read_measured(text: str) -> Value | None:
    """``5 m`` and ``18 m/s`` with units of one letter, which are variables otherwise."""
    found = re.match(r"^(-?[\d.,]+) ([A-Za-z][A-Za-z\d^{}/* ]*)$", text)
    if not found or not dimensions(found[2]):
        return None
    try:
        return Quantity(Scalar(parse_expression(tokenize(found[1]))), found[2])
    except UnreadableError:
        return None
