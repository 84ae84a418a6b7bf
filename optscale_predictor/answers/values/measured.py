"""Numbers with what stands behind them: per cent, degrees, units, nouns, remarks in brackets."""

import re
from collections.abc import Sequence

from optscale_predictor.answers.values.expressions import parse_expression, parse_prefix
from optscale_predictor.answers.values.kinds import Percent, Quantity, Scalar, Value
from optscale_predictor.answers.values.nodes import Call
from optscale_predictor.answers.values.tokens import NAME, NUMBER, SIGN, WORD, Token, UnreadableError, tokenize
from optscale_predictor.answers.values.units import dimensions

#: Signs and names of money that stand before the number.
CURRENCIES = {
    "¤": "dollar",
    "€": "euro",
    "£": "sterling",
    "¥": "yen",
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
    scalar = Scalar(node)
    if isinstance(node, Call) and node.name == "degree":
        scalar = Scalar(node.arguments[0])
        rest = [Token(WORD, "degree"), *rest]
    if not rest or _is_remark(rest):
        return scalar
    if rest[0].text == "%" or (rest[0].kind == WORD and rest[0].text.lower() in ("percent", "pct")):
        return Percent(scalar)
    if rest[0].kind == WORD and _is_unit_phrase(rest):
        return Quantity(scalar, " ".join(token.text for token in rest).replace("^ ", "^"))
    raise UnreadableError(f"after a number: {rest[0].text!r}")


def _is_remark(rest: Sequence[Token]) -> bool:
    words = any(token.kind == WORD for token in rest)
    numbers = any(token.kind == NUMBER for token in rest)
    return rest[0].text == "(" and rest[-1].text == ")" and words and not numbers and len(rest) < 12


def _is_unit_phrase(rest: Sequence[Token]) -> bool:
    """Whether what follows a number is words, with the powers and strokes of units; no further value."""
    signs = all(token.text in "^/*{}()-.,'" for token in rest if token.kind == SIGN)
    powers = all(n and rest[n - 1].text in "^{-" for n, token in enumerate(rest) if token.kind == NUMBER)
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
