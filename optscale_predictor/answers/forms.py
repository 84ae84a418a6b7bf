r"""Which kind of answer a text is: from its tokens to a typed value.

A text may be read in more than one way (``100,200`` is a number and a list, ``5 m`` a quantity and a product); two
answers are the same if they are in some reading.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from optscale_predictor.answers.expressions import Call, Number, parse_expression, parse_prefix
from optscale_predictor.answers.matrices import is_matrix, read_matrix, read_nested
from optscale_predictor.answers.real_sets import ALL_REALS, EMPTY, as_real_set, united, without
from optscale_predictor.answers.relations import RELATIONS, read_relation
from optscale_predictor.answers.spelling import SET_CLOSES, SET_OPENS, WORD_CLOSES, WORD_OPENS, clean
from optscale_predictor.answers.tokens import (
    CLOSES,
    NAME,
    NUMBER,
    OPENS,
    SIGN,
    SYMBOL,
    WORD,
    Token,
    UnreadableError,
    depths,
    split,
    tokenize,
)
from optscale_predictor.answers.units import dimensions
from optscale_predictor.answers.values import (
    Based,
    Bracketed,
    Choice,
    Listing,
    Percent,
    Quantity,
    Ratio,
    RealSet,
    Scalar,
    SetOf,
    Time,
    Unread,
    Value,
    Word,
)
from optscale_predictor.answers.words import means_all_reals, means_nothing, plain_words, spelt_number

#: Characters; a longer "answer" is no answer, and equals none but itself.
LONGEST = 1000
_KEPT = 2**13
_CHOICE = re.compile(
    rf"^(?:{WORD_OPENS}?option{WORD_CLOSES}? )?(?:\(\s*{WORD_OPENS}?(?P<a>[A-Z]){WORD_CLOSES}?\s*\)[.:]?"
    rf"|{WORD_OPENS}?(?P<b>[A-Z]){WORD_CLOSES}?[).:](?=\s|$)|{WORD_OPENS}?(?P<c>[A-Z]){WORD_CLOSES}?$)\s*(?P<rest>.*)$",
    re.IGNORECASE,
)
_TIME = re.compile(
    rf"^(\d\d?):(\d\d)(?: ?{WORD_OPENS}?([ap])\.?{WORD_CLOSES}? ?\.?{WORD_OPENS}?m{WORD_CLOSES}?\.?)?$", re.I
)
_TIME_WORD = re.compile(rf"^(\d\d?):(\d\d) ?{WORD_OPENS}?([ap])\.?m\.?{WORD_CLOSES}?$", re.IGNORECASE)
_BASED = re.compile(
    rf"^{WORD_OPENS}?([0-9A-Fa-f]+){WORD_CLOSES}? ?_ ?(?:\{{ ?(\d+) ?\}}|{WORD_OPENS}?(\d+){WORD_CLOSES}?)$"
)
_ORDINAL = re.compile(rf"^(-?\d+) ?\^? ?\{{? ?{WORD_OPENS}?(?:st|nd|rd|th){WORD_CLOSES}? ?\}}?$")
_MONEY = re.compile(r"^(-?)\s*([¤€£¥]|USD|EUR|GBP)\s*(-?)\s*(?=[\d.\\(])|\s*([¤€£¥])$")
_CURRENCIES = {
    "¤": "dollar",
    "€": "euro",
    "£": "sterling",
    "¥": "yen",
    "USD": "dollar",
    "EUR": "euro",
    "GBP": "sterling",
}
_LABEL = re.compile(
    rf"^(?:{WORD_OPENS}?(?:the|final|answer|answers|result|is|approximately|about|exactly|roughly){WORD_CLOSES}?[\s:]*)+(?=\S)",
    re.IGNORECASE,
)
_LETTERS = re.compile(rf"^[A-Za-z{WORD_OPENS}{WORD_CLOSES}][A-Za-z {WORD_OPENS}{WORD_CLOSES}'.!-]*$")
_LETTER_LIST = re.compile(r"^[A-Z](?:\W+(?:and|or)\W+[A-Z])+$")
_MIXED_MONEY = re.compile(
    rf"^(?:¤ ?)?(\d+)(?: {WORD_OPENS}?dollars?{WORD_CLOSES}?)? {WORD_OPENS}?and{WORD_CLOSES}? (\d\d?) {WORD_OPENS}?cents?{WORD_CLOSES}?$"
)
_HALF = re.compile(
    rf"^(\d+) {WORD_OPENS}?and{WORD_CLOSES}? {WORD_OPENS}?a{WORD_CLOSES}? {WORD_OPENS}?half{WORD_CLOSES}?$"
)
_CONSTANTS = ("e", "i", "pi", "inf", "infinity", "oo")


@lru_cache(maxsize=_KEPT)
def read_value(text: str) -> tuple[Value, ...]:
    """The ways to read an answer, likeliest first; at least one."""
    if len(text) > LONGEST:
        return (Unread(text),)
    cleaned = clean(text)
    found = _phrase(cleaned) or _choice(cleaned)
    if found is not None:
        return (found,)
    cleaned = _LABEL.sub("", cleaned)
    readings = [one for one in (_tried(cleaned, True), _tried(cleaned, False), _measured(cleaned)) if one is not None]
    if readings:
        return tuple(dict.fromkeys(readings))
    words = plain_words(cleaned)
    has_words = re.search(r"[^\W\d_]{3,}", words) and not re.search(r"[\\^_{}=<>]", cleaned)
    return (Word(words) if has_words else Unread(cleaned or text),)


def _tried(text: str, grouped: bool) -> Value | None:
    """A cleaned text's value; None where it is of no known form, or where grouping digits changes nothing."""
    if not grouped and not re.search(r"\d,\d{3}(?!\d)", text):
        return None
    try:
        return _special(text) or _answer(tokenize(text, grouped))
    except (UnreadableError, RecursionError):
        return None


def _phrase(text: str) -> Value | None:
    """What only consists of letters: a number spelt out, a phrase with a meaning, or a word."""
    if not _LETTERS.match(text) or text in _CONSTANTS or _LETTER_LIST.match(text):
        return None
    words = plain_words(text)
    if means_nothing(words):
        return EMPTY
    if means_all_reals(words):
        return ALL_REALS
    number = spelt_number(words)
    if number is not None:
        return Scalar(Number(Fraction(number)))
    letters = words.replace(" ", "")
    variables = len(letters) < 3 and letters.islower() and text == text.lower() and WORD_OPENS not in text
    if variables and (len(letters) == 1 or words not in ("no", "up", "in", "on", "am", "pm")):
        return None
    if re.match(r"(?:approximately|about|exactly)\b", words) or not words:
        return None
    return Choice(letters.upper()) if len(letters) == 1 else Word(words)


def _choice(text: str) -> Value | None:
    found = _CHOICE.match(text)
    if not found or (found["c"] and found["c"].islower()):
        return None
    rest = found["rest"].strip()
    letter = (found["a"] or found["b"] or found["c"]).upper()
    if not rest:
        return Choice(letter)
    if (found["a"] or found["b"]).islower() and not re.match(r"[\dA-Za-z\\]", rest):
        return None
    return Choice(letter, read_value(rest))


def _special(text: str) -> Value | None:
    """Forms that are told by their spelling alone."""
    if found := _TIME_WORD.match(text) or _TIME.match(text):
        return Time(int(found[1]), int(found[2]), (found[3] or "").lower())
    if found := _BASED.match(text):
        return Based(found[1].upper().lstrip("0") or "0", int((found[2] or found[3])[:4]))
    if found := _ORDINAL.match(text):
        return Scalar(Number(Fraction(found[1])))
    if found := _MIXED_MONEY.match(text):
        return Quantity(Scalar(Number(Fraction(found[1]) + Fraction(int(found[2]), 100))), "dollar")
    if found := _HALF.match(text):
        return Scalar(Number(Fraction(found[1]) + Fraction(1, 2)))
    if re.fullmatch(r"\\mathbb ?\{? ?R ?\}?|\\(?:Reals|R)", text):
        return ALL_REALS
    if re.fullmatch(rf"\\emptyset|{SET_OPENS} ?{SET_CLOSES}", text):
        return EMPTY
    if found := re.match(rf"\\mathbb ?\{{? ?R ?\}}? ?(?:∖|-) ?({SET_OPENS}.*{SET_CLOSES})$", text):
        return _all_but(_answer(tokenize(found[1])))
    if found := _MONEY.match(text):
        unit = _CURRENCIES[found[2] or found[4]]
        inner = _answer(tokenize(found.string[: found.start()] + (found[1] or found[3] or "") + text[found.end() :]))
        return replace(inner, unit=unit) if isinstance(inner, Quantity) else _with_unit(inner, unit)
    return None


def _all_but(value: Value) -> RealSet:
    if not isinstance(value, SetOf) or not all(isinstance(one, Scalar) and not one.names for one in value.items):
        raise UnreadableError("all but something else")
    return without([one.value for one in value.items if isinstance(one, Scalar)])


def _with_unit(value: Value, unit: str) -> Value:
    if isinstance(value, Scalar):
        return Quantity(value, unit)
    raise UnreadableError("a currency before something else")


def _answer(tokens: Sequence[Token]) -> Value:
    """The value of tokens: unions, then lists, then relations, then what stands by itself."""
    tokens = _stripped(tokens)
    parts = split(tokens, "∪")
    if len(parts) > 1:
        sets = [as_real_set(_answer(part)) for part in parts]
        if None in sets:
            raise UnreadableError("a union of other things than intervals")
        return united(one for one in sets if one is not None)
    items, joined_by = _items(tokens)
    if len(items) > 1:
        return _listed(items, joined_by)
    if any(token.kind == SIGN and token.text in "±∓" for token in tokens):
        return _both(tokens)
    if len(split(tokens, RELATIONS)) > 1:
        return read_relation(tokens, _answer)
    return _single(tokens)


def _stripped(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without empty groups and braces around the whole."""
    while (
        len(tokens) > 1
        and tokens[0].text == "{"
        and tokens[-1].text == "}"
        and tokens[0].kind == tokens[-1].kind == SIGN
        and all(depth > 0 for depth in depths(tokens)[1:-1])
    ):
        tokens = tokens[1:-1]
    if not tokens:
        raise UnreadableError("nothing")
    return tokens


def _items(tokens: Sequence[Token]) -> tuple[list[list[Token]], str]:
    """The parts of a list: between commas, semicolons, ``and`` and ``or`` outside all brackets."""
    parts: list[list[Token]] = [[]]
    word = ""
    for token, depth in zip(tokens, depths(tokens), strict=True):
        joins = token.kind == WORD and token.text.lower() in ("and", "or")
        if depth == 0 and (joins or (token.kind == SIGN and token.text in ",;")):
            word = token.text.lower() if joins else word
            if parts[-1]:
                parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part], word


def _listed(items: Sequence[Sequence[Token]], word: str) -> Value:
    values: list[Value] = []
    for item in items:
        value = _answer(item)
        values += value.items if isinstance(value, Listing) else (value,)
    sets = [one for one in values if isinstance(one, RealSet)]
    if len(sets) == len(values) and word == "or":
        return united(sets)
    return Listing(tuple(values))


def _both(tokens: Sequence[Token]) -> Value:
    """A text with ± is two, one with each sign."""
    found: list[Value] = []
    for plus, minus in (("+", "-"), ("-", "+")):
        signs = {"±": plus, "∓": minus}
        value = _answer([replace(one, text=signs.get(one.text, one.text)) for one in tokens])
        found += value.items if isinstance(value, Listing) else (value,)
    if len(found) == 2 and isinstance(found[0], SetOf) and isinstance(found[1], SetOf):
        return SetOf(tuple(dict.fromkeys((*found[0].items, *found[1].items))))
    return Listing(tuple(found))


def _single(tokens: Sequence[Token]) -> Value:
    if is_matrix(tokens):
        return read_matrix(tokens, _answer)
    if _is_enclosed(tokens):
        return _enclosed(tokens)
    if tokens[-1].text in CLOSES and (scaled := _scaled(tokens)) is not None:
        return scaled
    parts = split(tokens, ":")
    if len(parts) > 1:
        return Ratio(tuple(Scalar(parse_expression(part)) for part in parts))
    if all(token.kind == WORD for token in tokens) or (len(tokens) == 1 and _is_letter(tokens[0])):
        return _worded(tokens)
    return _scalar(tokens)


def _is_letter(token: Token) -> bool:
    return token.kind in (SYMBOL, WORD) and len(token.text) == 1 and token.text.isupper()


def _worded(tokens: Sequence[Token]) -> Value:
    words = " ".join(token.text for token in tokens)
    if len(words) == 1 and words.isupper():
        return Choice(words)
    return _phrase(words) or Word(plain_words(words))


def _is_enclosed(tokens: Sequence[Token]) -> bool:
    """Whether the first token opens a bracket that the last one closes."""
    if tokens[0].kind != SIGN or tokens[0].text not in OPENS[:-1] or tokens[-1].text not in CLOSES[:-1]:
        return False
    return len(tokens) > 2 and all(depth > 0 for depth in depths(tokens)[1:-1])


def _enclosed(tokens: Sequence[Token]) -> Value:
    opens, closes, inner = tokens[0].text, tokens[-1].text, tokens[1:-1]
    parts = [part for sign in ",;" if len(split(inner, sign)) > 1 for part in split(inner, sign)]
    if opens == SET_OPENS:
        value = _answer(inner)
        return SetOf(value.items if isinstance(value, Listing) else (value,))
    if not parts:
        if opens == "[":
            value = _answer(inner)
            return value if not isinstance(value, Bracketed) else Bracketed(opens, (value,), closes)
        if len(inner) == 1 and _is_letter(inner[0]):
            return Choice(inner[0].text)
        try:
            return _scalar(tokens)
        except UnreadableError:
            return _answer(inner)
    items = tuple(_answer(part) for part in parts)
    nested = read_nested(items) if opens == closes.translate({ord("]"): "["}) == "[" else None
    return nested or Bracketed(opens, items, closes)


def _scaled(tokens: Sequence[Token]) -> Value | None:
    """A number times a point or a vector."""
    start = next((n for n, depth in enumerate(depths(tokens)) if depth == 0 and _is_enclosed(tokens[n:])), 0)
    if not start or tokens[start].text == SET_OPENS:
        return None
    try:
        inner = _enclosed(tokens[start:])
        head = tokens[:start]
        factor = parse_expression(head[:-1] if head[-1].text == "*" else head)
    except UnreadableError:
        return None
    if not isinstance(inner, Bracketed) or not all(isinstance(one, Scalar) for one in inner.items):
        return None
    return replace(
        inner, items=tuple(Scalar(Call("mul", (factor, one.node))) for one in inner.items if isinstance(one, Scalar))
    )


def _scalar(tokens: Sequence[Token]) -> Value:
    """A number or an expression, with what may follow it: a per cent sign, a unit, a remark in brackets."""
    node, rest = parse_prefix(tokens)
    scalar = Scalar(node)
    if not rest:
        return Quantity(Scalar(node.arguments[0]), "degree") if _is_degrees(node) else scalar
    if rest[0].text == "%" or (rest[0].kind == WORD and rest[0].text.lower() in ("percent", "pct")):
        return Percent(scalar)
    if _is_remark(rest):
        return scalar
    if rest[0].kind == WORD or _is_degrees(node):
        unit = " ".join(token.text for token in rest).replace("^ ", "^")
        if _is_unit_phrase(rest):
            return Quantity(Scalar(node.arguments[0]) if _is_degrees(node) and isinstance(node, Call) else scalar, unit)
    raise UnreadableError(f"after a number: {rest[0].text!r}")


def _is_degrees(node: object) -> "bool":
    return isinstance(node, Call) and node.name == "degree"


def _is_remark(rest: Sequence[Token]) -> bool:
    words = [token for token in rest if token.kind == WORD]
    return rest[0].text == "(" and rest[-1].text == ")" and bool(words) and len(rest) < 12


def _is_unit_phrase(rest: Sequence[Token]) -> bool:
    """Whether what follows a number is words, with the powers and strokes of units; no further value."""
    signs = all(token.text in "^/*{}()-.,'" for token in rest if token.kind == SIGN)
    powers = all(n and rest[n - 1].text in "^{-" for n, token in enumerate(rest) if token.kind == NUMBER)
    names = all(token.kind != NAME for token in rest)
    return signs and powers and names


def _measured(text: str) -> Value | None:
    """``5 m`` and ``18 m/s`` with units of one letter, which are variables otherwise."""
    found = re.match(r"^(-?[\d.,]+) ((?:[A-Za-z]+[\d^{}/* ]*)+)$", text)
    if not found or not dimensions(found[2]):
        return None
    try:
        value = _answer(tokenize(found[1]))
    except UnreadableError:
        return None
    return Quantity(value, found[2]) if isinstance(value, Scalar) else None
