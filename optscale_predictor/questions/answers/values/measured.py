"""Numbers with what stands behind them: per cent, degrees, units, nouns, remarks in brackets."""

import re
from collections.abc import Sequence
from fractions import Fraction

from optscale_predictor.questions.answers.values.expressions import parse_expression, parse_prefix
from optscale_predictor.questions.answers.values.kinds import Percent, Quantity, Scalar, Value
from optscale_predictor.questions.answers.values.phrases import MULTIPLES, spelt_number
from optscale_predictor.questions.answers.values.tokens import (
    NAME,
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
from optscale_predictor.questions.answers.values.units import dimensions, is_measure, is_noun_phrase

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
