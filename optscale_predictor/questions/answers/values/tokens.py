"""Tokens of an answer (numbers, names of mathematics, words, signs), and the tree that an expression is made into.

A comma may group digits or separate answers, and letters may be a word, a unit or a product of variables. What the text
itself cannot tell is an argument here, and ``forms`` tries both.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from optscale_predictor.questions.answers.values.spelling import ROW_END, SET_CLOSES, SET_OPENS, WORD_CLOSES, WORD_OPENS
from optscale_predictor.questions.answers.values.words import is_unit

NUMBER, NAME, SYMBOL, WORD, SIGN = "number", "name", "symbol", "word", "sign"

OPENS, CLOSES = f"([{SET_OPENS}⟨{{", f")]{SET_CLOSES}⟩}}"

#: Functions and constants, as they are written without a backslash.
NAMES = frozenset(
    (
        "sqrt cbrt sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp pi infty "
        "infinity inf gcd lcm max min abs floor ceil frac binom theta alpha beta gamma lambda phi deg"
    ).split()
)
_CALLED = re.compile(r"(?:sqrt|cbrt|arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|ln|exp)$")
SHORT_WORDS = frozenset("am pm or no is to of by an at on we it up if so as th st nd rd".split())

# The order matters: an alternative that comes late is the beginning of one before it, as 1 is of 1,234 and of 1 234.
_NUMBER = re.compile(
    r"""(?P<repeated>\d*\.\d*(?:\\(?:overline|bar|dot)\s*\{?\s*\d+\s*\}?|\(\d+\)(?!\s*[\d(])))
      | (?P<grouped>\d{1,3}(?:,\d{3})+(?![\d])(?:\.\d+)?)
      | (?P<spaced>\d{1,3}(?:\ \d{3})+(?![\d.])(?!\s*[/^]))
      | (?P<plain>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+(?![\w.]))?)""",
    re.VERBOSE,
)
_OTHER = re.compile(
    rf"(?P<command>\\[A-Za-z]+)|(?P<word>{WORD_OPENS}[^{WORD_CLOSES}]*{WORD_CLOSES})|(?P<letters>[A-Za-z]+)"
)
_MOST_EXPONENT = 10_000  # of 10 in 1e5: an exact number has as many digits


class UnreadableError(ValueError):
    """An answer that is of no form known here."""


@dataclass(frozen=True)
class Token:
    """A piece of an answer.

    Attributes:
        kind: ``NUMBER``, ``NAME`` (of a function or constant), ``SYMBOL`` (a variable), ``WORD`` or ``SIGN``.
        text: As written, without backslash.
        value: Of a number.
        spaced: Whether white space stands before it.
        quoted: Of a word: whether it was marked as text, and so is no product of variables.
    """

    kind: str
    text: str
    value: Fraction | None = None
    spaced: bool = False
    quoted: bool = False


def tokenize(text: str, grouped: bool = True, inside: bool = False) -> list[Token]:
    """The tokens of a cleaned text.

    Args:
        text: As ``spelling.clean`` leaves it.
        grouped: Whether ``1,234`` outside brackets is one number; else its comma separates two.
        inside: Whether it is one inside brackets as well.

    Raises:
        UnreadableError: A character is of no token.
    """
    tokens: list[Token] = []
    position = depth = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        spaced = position > 0 and text[position - 1].isspace()
        found, end = _next(text, position, spaced, grouped and (inside or depth == 0))
        tokens += found
        depth += sum(one.kind == SIGN and one.text in OPENS[:-1] for one in found)
        depth -= sum(one.kind == SIGN and one.text in CLOSES[:-1] for one in found)
        position = end
    return tokens


def _next(text: str, position: int, spaced: bool, grouped: bool) -> tuple[list[Token], int]:
    number = _NUMBER.match(text, position)
    apart = number is not None and number["grouped"] and not grouped and not re.search(r",0\d\d", number[0])
    if apart:  # a list has no item 000
        number = re.compile(r"(?P<plain>\d+)").match(text, position)
    if number:
        return [Token(NUMBER, number[0], _value(number), spaced)], number.end()
    other = _OTHER.match(text, position)
    if other is None:
        return _sign(text, position, spaced)
    if other["command"]:
        return [Token(NAME, other[0][1:], None, spaced)], other.end()
    if other["word"]:
        return [Token(WORD, other[0][1:-1], None, spaced, quoted=True)], other.end()
    return _letters(other[0], text, position, spaced), other.end()


def _sign(text: str, position: int, spaced: bool) -> tuple[list[Token], int]:
    if text.startswith("...", position):
        raise UnreadableError("an ellipsis")
    if text[position] in "+-*/^_!=<>≤≥≠≈∈∪∩∖,;:|()[]{}&%°±∓'¤€£¥₹⟨⟩" + SET_OPENS + SET_CLOSES + ROW_END:
        return [Token(SIGN, text[position], None, spaced)], position + 1
    raise UnreadableError(f"{text[position]!r}")


def _letters(run: str, text: str, position: int, spaced: bool) -> list[Token]:
    """A run of letters: a name, a word, or variables side by side."""
    if run in ("Pi", "PI"):
        run = "pi"
    if run in NAMES:
        return [Token(NAME, run, None, spaced)]
    end = position + len(run)
    called = _CALLED.search(run)
    if called and called.start() and text[end : end + 1] in ("(", "\\", "{", "^"):
        return [*_symbols(run[: called.start()], spaced), Token(NAME, called[0])]
    if len(run) == 1:
        return [Token(SYMBOL, run, None, spaced)]
    glued = text[position - 1 : position].isalnum() or text[position - 1 : position] in ("^", "_", ")", "}")
    glued = glued or text[end : end + 1] in ("^", "_", "(")
    if is_unit(run) or run.lower() in SHORT_WORDS or (len(run) > 2 and not glued):
        return [Token(WORD, run, None, spaced)]
    return _symbols(run, spaced)


def _symbols(run: str, spaced: bool) -> list[Token]:
    return [Token(SYMBOL, one, None, spaced and number == 0) for number, one in enumerate(run)]


def _value(found: re.Match[str]) -> Fraction:
    text = found[0]
    if found.groupdict().get("repeated"):
        return _repeating(text)
    text = text.replace(",", "").replace(" ", "")
    _, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent[:9])) > _MOST_EXPONENT:
        raise UnreadableError("too large an exponent")
    return Fraction(text)


def _repeating(text: str) -> Fraction:
    r"""``0.1\overline{6}`` is 1/6: the digits once, less those that do not repeat, over as many nines and zeros."""
    whole, _, rest = text.partition(".")
    once = re.match(r"\d*", rest)
    fixed = once[0] if once else ""
    period = re.sub(r"\D", "", rest[len(fixed) :])
    both, before = int(f"{whole or 0}{fixed}{period}"), int(f"{whole or 0}{fixed}")
    return Fraction(both - before, (10 ** len(period) - 1) * 10 ** len(fixed))


def split(tokens: Sequence[Token], at: str) -> list[list[Token]]:
    """The tokens between the signs in ``at`` that stand outside all brackets; one part where there are none.

    Args:
        tokens: Any tokens.
        at: The signs, one character each.
    """
    parts: list[list[Token]] = [[]]
    for token, depth in zip(tokens, depths(tokens), strict=True):
        if depth == 0 and token.kind == SIGN and token.text in at:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def depths(tokens: Sequence[Token]) -> list[int]:
    r"""How many brackets are open around each token; a bracket itself stands outside its own; ``\begin`` opens one."""
    found, depth = [], 0
    for token in tokens:
        opens = (token.kind == SIGN and token.text in OPENS) or (token.kind == NAME and token.text == "begin")
        closes = (token.kind == SIGN and token.text in CLOSES) or (token.kind == NAME and token.text == "end")
        depth -= closes
        found.append(max(depth, 0))
        depth = max(depth, 0) + opens
    return found


@dataclass(frozen=True)
class Number:
    """An exact number."""

    value: Fraction


@dataclass(frozen=True)
class Symbol:
    """A variable, or a constant: ``pi``, ``e``, ``i``, ``oo``."""

    name: str


@dataclass(frozen=True)
class Call:
    """An operation on expressions: ``add``, ``mul``, ``div``, ``pow``, ``sqrt``, ``sin`` and so on."""

    name: str
    arguments: "tuple[Node, ...]"


Node = Number | Symbol | Call


def negated(node: Node) -> Node:
    """Minus an expression."""
    return Number(-node.value) if isinstance(node, Number) else Call("mul", (Number(Fraction(-1)), node))


def product(left: Node, right: Node) -> Node:
    """Their product; a chain of factors is one node, so that a long one is no deep tree.

    Args:
        left: An expression, which may be a product already.
        right: A factor.
    """
    factors = left.arguments if isinstance(left, Call) and left.name == "mul" else (left,)
    return Call("mul", (*factors, right))
