r"""Expressions: a tree, and the grammar that reads one from tokens.

The grammar is that of answers, LaTeX and plain at once: ``\frac12``, ``2\sqrt3``, ``20 * sqrt(13)``, ``2cos(a)``,
``\log_2 8``, ``|{-3}|``, ``5!``, ``\binom{10}{3}``; a whole number before a fraction is a mixed number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from optscale_predictor.answers.tokens import NAME, NUMBER, SIGN, SYMBOL, WORD, Token, UnreadableError

_DEEPEST = 40  # nested brackets, powers and functions
_CIRCULAR = ("sin", "cos", "tan", "cot", "sec", "csc")
_FUNCTIONS = frozenset(
    (*_CIRCULAR, *["arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "log", "ln", "lg", "exp", "gcd", "lcm", "max", "min", "abs", "floor", "ceil"])
)
_GREEK = frozenset(
    ["alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "iota", "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "varphi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega", "ell"]
)
_INFINITE = ("infty", "infinity", "inf")
_PAIRS = {"(": ")", "[": "]", "{": "}", "|": "|"}
_ROUNDING = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil")}


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


class _Parser:
    """Recursive descent, one method a level of precedence."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self.place = 0
        self._depth = 0
        self._bars = 0

    def rest(self) -> Sequence[Token]:
        """What was not read."""
        return self._tokens[self.place :]

    def sum(self) -> Node:
        """Terms with their signs."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnreadableError("nested too deeply")
        terms = [self._term()]
        while self._sign("+") or self._sign("-"):
            negative = self._take() == "-"
            term = self._term()
            terms.append(_negated(term) if negative else term)
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Call("add", tuple(terms))

    def _term(self) -> Node:
        """Factors; side by side they are multiplied."""
        negative = False
        while self._sign("+") or self._sign("-"):
            negative ^= self._take() == "-"
        node = self._power()
        while True:
            if self._sign("*"):
                node = self._joined("mul", node)
            elif self._sign("/"):
                node = self._joined("div", node)
            elif self._starts_factor():
                node = Call("mul", (node, self._power()))
            else:
                return _negated(node) if negative else node

    def _joined(self, name: str, node: Node) -> Node:
        self._take()
        negative = False
        while self._sign("-") or self._sign("+"):
            negative ^= self._take() == "-"
        right = self._power()
        return Call(name, (node, _negated(right) if negative else right))

    def _starts_factor(self) -> bool:
        token = self._peek()
        if token is None:
            return False
        if token.kind == SIGN:
            following = self._tokens[self.place + 1 : self.place + 2]
            if following and following[0].kind == WORD:  # a remark
                return False
            return token.text in "([{" or (token.text == "|" and not self._bars)
        if token.kind == NUMBER:
            return self.place > 0 and self._tokens[self.place - 1].kind != NUMBER
        return token.kind == SYMBOL or token.text in _FUNCTIONS | _GREEK | _OPENERS

    def _power(self) -> Node:
        node = self._postfix(self._atom())
        if self._sign("^"):
            self._take()
            node = self._postfix(Call("pow", (node, self._exponent())))
        return node

    def _exponent(self) -> Node:
        negative = False
        while self._sign("-") or self._sign("+"):
            negative ^= self._take() == "-"
        node = self._atom(short=True)
        if self._sign("^"):
            self._take()
            node = Call("pow", (node, self._exponent()))
        return _negated(node) if negative else node

    def _postfix(self, node: Node) -> Node:
        while True:
            if self._sign("!"):
                node = Call("factorial", (node,))
            elif self._sign("°"):
                node = Call("degree", (node,))
            elif self._sign("%") and self.place + 1 < len(self._tokens):  # a final one is the answer's own
                node = Call("div", (node, Number(Fraction(100))))
            else:
                return node
            self._take()

    def _atom(self, short: bool = False) -> Node:
        token = self._peek()
        if token is None:
            raise UnreadableError("an expression ends too early")
        if token.kind == NUMBER and token.value is not None:
            return self._number(short)
        if token.kind == SYMBOL or (token.kind == NAME and token.text in _GREEK | {"pi"}):
            self.place += 1
            return self._subscripted(token.text)
        if token.kind == WORD and _is_product(token):
            self.place += 1
            return Call("mul", tuple(Symbol(one) for one in token.text))
        if token.kind == NAME:
            return self._named(token.text)
        if token.kind == SIGN and token.text in _PAIRS:
            return self._bracketed(token.text)
        raise UnreadableError(f"no expression begins with {token.text!r}")

    def _number(self, short: bool) -> Node:
        token = self._tokens[self.place]
        value = token.value if token.value is not None else Fraction(0)
        self.place += 1
        mixed = None if short else self._mixed(value)
        return Number(value) if mixed is None else mixed

    def _mixed(self, whole: Fraction) -> Node | None:
        r"""``2\frac12`` and ``2 1/2``: the sum of a whole number and a fraction of whole numbers."""
        if whole.denominator != 1 or "." in self._tokens[self.place - 1].text:
            return None
        before, token = self.place, self._peek()
        try:
            if token is not None and token.kind == NAME and token.text == "frac":
                fraction: Node = self._named("frac")
            elif token is not None and token.kind == NUMBER and self._is_plain_fraction():
                above, below = token.value, self._tokens[self.place + 2].value
                self.place += 3
                fraction = Call("div", (Number(above or Fraction(0)), Number(below or Fraction(1))))
            else:
                return None
        except UnreadableError:
            self.place = before
            return None
        if _is_proper(fraction):
            return Call("add", (Number(whole), fraction))
        self.place = before
        return None

    def _is_plain_fraction(self) -> bool:
        three = self._tokens[self.place : self.place + 3]
        return [one.kind for one in three] == [NUMBER, SIGN, NUMBER] and three[1].text == "/" and three[0].spaced

    def _subscripted(self, name: str) -> Node:
        while self._sign("'"):
            self._take()
            name += "'"
        if not self._sign("_"):
            return Symbol(name)
        self._take()
        return Symbol(f"{name}_{self._subscript()}")

    def _subscript(self) -> str:
        token = self._peek()
        if token is None:
            raise UnreadableError("a subscript is missing")
        self.place += 1
        if not (token.kind == SIGN and token.text == "{"):
            return token.text
        text = ""
        while not self._sign("}"):
            inner = self._peek()
            if inner is None:
                raise UnreadableError("a subscript never ends")
            text += inner.text
            self.place += 1
        self._take()
        return text

    def _named(self, name: str) -> Node:
        self.place += 1
        if name in _INFINITE:
            return Symbol("oo")
        if name.startswith("basis"):
            return Symbol(name)
        if name == "frac":
            above = self._argument()
            return Call("div", (above, self._argument()))
        if name == "sqrt":
            return self._root()
        if name == "cbrt":
            return Call("root", (self._argument(), Number(Fraction(3))))
        if name == "binom":
            above = self._argument()
            return Call("binomial", (above, self._argument()))
        if name in _ROUNDING:
            return self._rounded(*_ROUNDING[name])
        if name in ("overline", "bar", "hat", "vec", "tilde"):
            raise UnreadableError(f"a bar over something: {name}")
        if name in _FUNCTIONS:
            return self._called(name)
        raise UnreadableError(f"unknown command {name!r}")

    def _argument(self) -> Node:
        r"""What a command takes: a group, or one character (``\frac12`` is a half)."""
        token = self._peek()
        if token is not None and token.kind == SIGN and token.text in "{(":
            return self._bracketed(token.text)
        if token is not None and token.kind == NUMBER and token.text.isdigit() and len(token.text) > 1:
            first, rest = token.text[0], token.text[1:]
            # The number is cut in two; what follows sees its second part.
            self._tokens = [
                *self._tokens[: self.place],
                Token(NUMBER, first, Fraction(int(first))),
                Token(NUMBER, rest, Fraction(int(rest))),
                *self._tokens[self.place + 1 :],
            ]
        return self._atom(short=True)

    def _root(self) -> Node:
        index: Node | None = None
        if self._sign("["):
            index = self._bracketed("[")
        token = self._peek()
        if token is not None and token.kind == NUMBER:  # \sqrt 13 and √13 are of the whole number
            self.place += 1
            radicand: Node = Number(token.value or Fraction(0))
        else:
            radicand = self._argument()
        return Call("sqrt", (radicand,)) if index is None else Call("root", (radicand, index))

    def _rounded(self, closes: str, name: str) -> Node:
        inner = self.sum()
        token = self._peek()
        if token is None or token.text != closes:
            raise UnreadableError(f"{name} never closes")
        self.place += 1
        return Call(name, (inner,))

    def _called(self, name: str) -> Node:
        base, exponent = None, None
        if name == "log" and self._sign("_"):
            self._take()
            base = self._atom(short=True)
        if self._sign("^"):
            self._take()
            exponent = self._exponent()
        arguments = self._arguments(name)
        if name in _CIRCULAR:
            arguments = tuple(_in_radians(one) for one in arguments)
        if exponent == Number(Fraction(-1)) and name in _CIRCULAR:
            return Call(f"arc{name}", arguments)
        node = Call(name, arguments if base is None else (*arguments, base))
        return node if exponent is None else Call("pow", (node, exponent))

    def _arguments(self, name: str) -> "tuple[Node, ...]":
        """What a function is of: what stands in brackets, else the product that follows, as in ``sin 2x``."""
        if self._sign("("):
            self._take()
            found = [self.sum()]
            while self._sign(","):
                self._take()
                found.append(self.sum())
            self._close(")")
            return tuple(found)
        node = self._power()
        while (token := self._peek()) is not None and self._starts_factor() and token.text not in _FUNCTIONS:
            if token.kind == SIGN:
                break
            node = Call("mul", (node, self._power()))
        if self._sign("/") and name in _CIRCULAR and self.place + 1 < len(self._tokens):
            if self._tokens[self.place + 1].kind == NUMBER:  # cos pi/3, and not log 5/log 2
                node = self._joined("div", node)
        return (node,)

    def _bracketed(self, opens: str) -> Node:
        self._take()
        self._bars += opens == "|"
        inner = self.sum()
        self._bars -= opens == "|"
        self._close(_PAIRS[opens])
        return Call("abs", (inner,)) if opens == "|" else inner

    def _close(self, sign: str) -> None:
        if not self._sign(sign):
            raise UnreadableError(f"{sign!r} is missing")
        self._take()

    def _peek(self) -> Token | None:
        return self._tokens[self.place] if self.place < len(self._tokens) else None

    def _sign(self, text: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == SIGN and token.text == text

    def _take(self) -> str:
        self.place += 1
        return self._tokens[self.place - 1].text


_OPENERS = frozenset(("frac", "sqrt", "cbrt", "binom", "pi", *_ROUNDING, *_INFINITE, "basisi", "basisj", "basisk"))


def _negated(node: Node) -> Node:
    return Number(-node.value) if isinstance(node, Number) else Call("mul", (Number(Fraction(-1)), node))


def _is_product(token: Token) -> bool:
    """Whether letters that look like a word may be variables side by side."""
    return not token.quoted and token.text.isalpha() and len(token.text) <= 4


def _is_proper(node: Node) -> bool:
    if not (isinstance(node, Call) and node.name == "div"):
        return False
    above, below = node.arguments
    numbers = isinstance(above, Number) and isinstance(below, Number)
    return numbers and above.value.denominator == below.value.denominator == 1 and 0 < above.value < below.value  # type: ignore[union-attr]


def _in_radians(node: Node) -> Node:
    """Degrees inside a circular function are an angle; elsewhere they are a unit."""
    if not isinstance(node, Call):
        return node
    if node.name == "degree":
        return Call("mul", (node.arguments[0], Call("div", (Symbol("pi"), Number(Fraction(180))))))
    return Call(node.name, tuple(_in_radians(one) for one in node.arguments))
