r"""The grammar of expressions: from tokens to a tree, sums and products by precedence.

The grammar is that of answers, LaTeX and plain at once: ``\frac12``, ``2\sqrt3``, ``20 * sqrt(13)``, ``2cos(a)``,
``\log_2 8``, ``|{-3}|``, ``5!``, ``\binom{10}{3}``; a whole number before a fraction is a mixed number.
"""

from collections.abc import Sequence
from fractions import Fraction

from optscale_predictor.questions.answers.values.commands import FUNCTIONS, GREEK, OPENERS, PAIRS, Commands
from optscale_predictor.questions.answers.values.tokens import (
    NAME,
    NUMBER,
    SHORT_WORDS,
    SIGN,
    SYMBOL,
    WORD,
    Call,
    Node,
    Number,
    Symbol,
    Token,
    UnreadableError,
    negated,
    product,
)
from optscale_predictor.questions.answers.values.words import is_unit

_DEEPEST = 40  # nested brackets, powers and functions: well below Python's limit, part of which the caller has used


def parse_expression(tokens: Sequence[Token]) -> Node:
    """The expression that all of the tokens make.

    Raises:
        UnreadableError: They make none.
    """
    node, rest = parse_prefix(tokens)
    if rest:
        raise UnreadableError(f"after an expression: {rest[0].text!r}")
    return node


def parse_prefix(tokens: Sequence[Token]) -> tuple[Node, Sequence[Token]]:
    """The longest expression at the beginning, and what follows it.

    Raises:
        UnreadableError: There is none.
    """
    parser = _Parser(tokens)
    node = parser.sum()
    return node, parser.rest()


class _Parser(Commands):
    """Recursive descent, one method a level of precedence."""

    _depth = 0

    def sum(self) -> Node:
        """Terms with their signs."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnreadableError("nested too deeply")
        terms = [self._term()]
        while self._sign("+") or self._sign("-"):
            negative = self._take() == "-"
            term = self._term()
            terms.append(negated(term) if negative else term)
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Call("add", tuple(terms))

    def _term(self) -> Node:
        """Factors; side by side they are multiplied."""
        negative = False
        while self._sign("+") or self._sign("-"):
            negative ^= self._take() == "-"
        node = self.power()
        while True:
            if self._sign("*"):
                node = self.joined("mul", node)
            elif self._sign("/"):
                node = self.joined("div", node)
            elif self.starts_factor():
                node = product(node, self.power())  # side by side: 2x, 3(4)
            else:
                return negated(node) if negative else node

    def joined(self, name: str, node: Node) -> Node:
        self._take()
        negative = False
        while self._sign("-") or self._sign("+"):
            negative ^= self._take() == "-"
        right = self.power()
        right = negated(right) if negative else right
        return product(node, right) if name == "mul" else Call(name, (node, right))

    def starts_factor(self) -> bool:
        token = self._peek()
        if token is None:
            return False
        if token.kind == SIGN:
            following = self._tokens[self.position + 1 : self.position + 2]
            if token.spaced and following and following[0].kind == WORD:  # a remark
                return False
            return token.text in "([{" or (token.text == "|" and not self._bars)
        if token.kind == NUMBER:
            return self.position > 0 and self._tokens[self.position - 1].kind != NUMBER
        return token.kind == SYMBOL or token.text in FUNCTIONS | GREEK | OPENERS

    def power(self) -> Node:
        node = self._postfix(self.atom())
        if self._sign("^"):
            self._take()
            node = self._postfix(Call("pow", (node, self.exponent())))
        return node

    def exponent(self) -> Node:
        negative = False
        while self._sign("-") or self._sign("+"):
            negative ^= self._take() == "-"
        node = self.atom(short=True)
        if self._sign("^"):
            self._take()
            node = Call("pow", (node, self.exponent()))
        return negated(node) if negative else node

    def _postfix(self, node: Node) -> Node:
        for _ in range(_DEEPEST):
            if self._sign("!"):
                node = Call("factorial", (node,))
            elif self._sign("°"):
                node = Call("degree", (node,))
            elif self._sign("%") and self._is_inner():  # a final one is the answer's own
                node = Call("div", (node, Number(Fraction(100))))
            else:
                return node
            self._take()
        raise UnreadableError("too many signs behind a number")

    def _is_inner(self) -> bool:
        """Whether something other than words follows the next sign."""
        following = self._tokens[self.position + 1 : self.position + 2]
        return bool(following) and following[0].kind != WORD

    def atom(self, short: bool = False) -> Node:
        token = self._peek()
        if token is None:
            raise UnreadableError("an expression ends too early")
        if token.kind == NUMBER and token.value is not None:
            return self._number(short)
        if token.kind == SYMBOL or (token.kind == NAME and token.text in GREEK | {"pi"}):
            self.position += 1
            return self._subscripted(token.text)
        if token.kind == WORD and _is_product(token):
            self.position += 1
            return Call("mul", tuple(Symbol(one) for one in token.text))
        if token.kind == NAME:
            return self._named(token.text)
        if token.kind == SIGN and token.text in PAIRS:
            return self._bracketed(token.text)
        raise UnreadableError(f"no expression begins with {token.text!r}")

    def _number(self, short: bool) -> Node:
        token = self._tokens[self.position]
        value = token.value if token.value is not None else Fraction(0)
        self.position += 1
        mixed = None if short else self._mixed(value)
        return Number(value) if mixed is None else mixed

    def _mixed(self, whole: Fraction) -> Node | None:
        r"""``2\frac12`` and ``2 1/2``: the sum of a whole number and a fraction of whole numbers."""
        if whole.denominator != 1 or "." in self._tokens[self.position - 1].text:
            return None
        before, token = self.position, self._peek()
        try:
            if token is not None and token.kind == NAME and token.text == "frac":
                fraction: Node = self._named("frac")
            elif token is not None and token.kind == NUMBER and self._is_plain_fraction():
                above, below = token.value, self._tokens[self.position + 2].value
                self.position += 3
                fraction = Call("div", (Number(above or Fraction(0)), Number(below or Fraction(1))))
            else:
                return None
        except UnreadableError:
            self.position = before
            return None
        if _is_of_whole_numbers(fraction):
            return Call("add", (Number(whole), fraction))
        self.position = before
        return None

    def _is_plain_fraction(self) -> bool:
        three = self._tokens[self.position : self.position + 3]
        return [one.kind for one in three] == [NUMBER, SIGN, NUMBER] and three[1].text == "/" and three[0].spaced


def _is_product(token: Token) -> bool:
    """Whether letters that look like a word may be variables side by side."""
    word = token.quoted or token.text.lower() in SHORT_WORDS or is_unit(token.text)
    return not word and token.text.isalpha() and len(token.text) <= 3


def _is_of_whole_numbers(node: Node) -> bool:
    """Whether a fraction is one of positive whole numbers."""
    if not isinstance(node, Call) or node.name != "div":
        return False
    parts = [part.value for part in node.arguments if isinstance(part, Number)]
    return len(parts) == 2 and all(part.denominator == 1 and part > 0 for part in parts)
