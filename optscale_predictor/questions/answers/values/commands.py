r"""The part of the grammar that a name or a bracket decides: what ``\frac``, ``\sqrt``, ``\log_2`` and functions take.

``expressions`` holds the other part, sums and products by precedence. The two call each other, so they are one parser
in two classes: this one leaves the levels of precedence to its subclass.
"""

from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction

from optscale_predictor.questions.answers.values.tokens import (
    NUMBER,
    SIGN,
    Call,
    Node,
    Number,
    Symbol,
    Token,
    UnreadableError,
    product,
)


class Cursor:
    """Reads tokens one by one.

    Args:
        tokens: What is read.

    Attributes:
        position: The number of the next token.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self.position = 0

    def rest(self) -> Sequence[Token]:
        """What was not read."""
        return self._tokens[self.position :]

    def _close(self, sign: str) -> None:
        if not self._sign(sign):
            raise UnreadableError(f"{sign!r} is missing")
        self._take()

    def _peek(self) -> Token | None:
        return self._tokens[self.position] if self.position < len(self._tokens) else None

    def _sign(self, text: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == SIGN and token.text == text

    def _take(self) -> str:
        self.position += 1
        return self._tokens[self.position - 1].text


_CIRCULAR = ("sin", "cos", "tan", "cot", "sec", "csc")
FUNCTIONS = frozenset(
    (*_CIRCULAR, *"arcsin arccos arctan sinh cosh tanh log ln lg exp gcd lcm max min abs floor ceil".split())
)
GREEK = frozenset(
    (
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi "
        "rho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi "
        "Omega ell"
    ).split()
)
_INFINITE = ("infty", "infinity", "inf")
_APPLIED = ("f", "g", "h")  # letters that stand for functions
PAIRS = {"(": ")", "[": "]", "{": "}", "|": "|"}
_ROUNDING = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil")}
OPENERS = frozenset(("frac", "sqrt", "cbrt", "binom", "pi", *_ROUNDING, *_INFINITE, "basisi", "basisj", "basisk"))


class Commands(Cursor):
    """The part of the grammar that is told by a name or a bracket; the levels of precedence are a subclass's."""

    _bars = 0

    @abstractmethod
    def sum(self) -> Node:
        """Terms with their signs."""

    @abstractmethod
    def power(self) -> Node:
        """A factor with its exponent."""

    @abstractmethod
    def exponent(self) -> Node:
        """What stands behind ``^``."""

    @abstractmethod
    def atom(self, short: bool = False) -> Node:
        """The smallest piece; a ``short`` one is no mixed number."""

    @abstractmethod
    def joined(self, name: str, node: Node) -> Node:
        """``node``, and what it is multiplied or divided by.

        Args:
            name: ``mul`` or ``div``; its sign is the next token.
            node: What stands before the sign.
        """

    @abstractmethod
    def starts_factor(self) -> bool:
        """Whether a further factor follows."""

    def _named(self, name: str) -> Node:
        self.position += 1
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
        if name in FUNCTIONS:
            return self._called(name)
        raise UnreadableError(f"unknown command {name!r}")

    def _argument(self) -> Node:
        r"""What a command takes: a group, or one character (``\frac12`` is a half)."""
        token = self._peek()
        if token is not None and token.kind == SIGN and token.text in "{(":
            return self._bracketed(token.text)
        if token is not None and token.kind == NUMBER and token.text.isdecimal() and len(token.text) > 1:
            first, rest = token.text[0], token.text[1:]
            # LaTeX takes one digit: \frac12 is a half. The number is cut in two; what follows sees its second part.
            self._tokens = [
                *self._tokens[: self.position],
                Token(NUMBER, first, Fraction(int(first))),
                Token(NUMBER, rest, Fraction(int(rest))),
                *self._tokens[self.position + 1 :],
            ]
        return self.atom(short=True)

    def _root(self) -> Node:
        index: Node | None = None
        if self._sign("["):
            index = self._bracketed("[")
        token = self._peek()
        if token is not None and token.kind == NUMBER:  # \sqrt 13 and √13 are of the whole number
            self.position += 1
            radicand: Node = Number(token.value or Fraction(0))
        else:
            radicand = self._argument()
        return Call("sqrt", (radicand,)) if index is None else Call("root", (radicand, index))

    def _rounded(self, closes: str, name: str) -> Node:
        inner = self.sum()
        token = self._peek()
        if token is None or token.text != closes:
            raise UnreadableError(f"{name} never closes")
        self.position += 1
        return Call(name, (inner,))

    def _called(self, name: str) -> Node:
        base, exponent = None, None
        if name == "log" and self._sign("_"):
            self._take()
            base = self.atom(short=True)
        if self._sign("^"):
            self._take()
            exponent = self.exponent()
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
        node = self.power()
        while (token := self._peek()) is not None and self.starts_factor() and token.text not in FUNCTIONS:
            if token.kind == SIGN:
                break
            node = product(node, self.power())
        following = self._tokens[self.position + 1 : self.position + 2]
        if self._sign("/") and name in _CIRCULAR and following and following[0].kind == NUMBER:
            node = self.joined("div", node)  # cos pi/3, and not log 5/log 2
        return (node,)

    def _bracketed(self, opens: str) -> Node:
        self._take()
        self._bars += opens == "|"
        inner = self.sum()
        self._bars -= opens == "|"
        self._close(PAIRS[opens])
        return Call("abs", (inner,)) if opens == "|" else inner

    def _subscripted(self, name: str) -> Node:
        while self._sign("'"):
            self._take()
            name += "'"
        if name.rstrip("'") in _APPLIED and self._sign("(") and not self._tokens[self.position].spaced:
            return Symbol(name + self._application())
        if not self._sign("_"):
            return Symbol(name)
        self._take()
        return Symbol(f"{name}_{self._subscript()}")

    def _application(self) -> str:
        """What a function without a name in mathematics is of, as written: ``(4)`` of ``f(4)``."""
        text, depth = "", 0
        while True:
            token = self._peek()
            if token is None:
                raise UnreadableError("a bracket never closes")
            self.position += 1
            text += token.text
            depth += (token.text in "([") - (token.text in ")]")
            if not depth:
                return text

    def _subscript(self) -> str:
        token = self._peek()
        if token is None:
            raise UnreadableError("a subscript is missing")
        self.position += 1
        if not (token.kind == SIGN and token.text == "{"):
            return token.text
        text = ""
        while not self._sign("}"):
            inner = self._peek()
            if inner is None:
                raise UnreadableError("a subscript never ends")
            text += inner.text
            self.position += 1
        self._take()
        return text


def _in_radians(node: Node) -> Node:
    """Degrees inside a circular function are an angle; elsewhere they are a unit."""
    if not isinstance(node, Call):
        return node
    if node.name == "degree":
        return Call("mul", (node.arguments[0], Call("div", (Symbol("pi"), Number(Fraction(180))))))
    return Call(node.name, tuple(_in_radians(one) for one in node.arguments))
