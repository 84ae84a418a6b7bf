r"""Gold answers read into a tree, for writing them again in other ways; knows nothing of how the package reads answers.

A node is an operation with its arguments. Numbers and expressions: ``num`` (a decimal as text), ``sym``, ``neg``,
``frac``, ``mixed``, ``root`` (radicand, index), ``pow``, ``prod``, ``sum``, ``pm`` (base or None, difference),
``func``, ``overline`` (whole and repeating digits). Whole answers: ``interval`` (bracket, low, high, bracket),
``union``, ``in`` (variable, set), ``tuple``, ``list``, ``set``, ``matrix`` (of ``row``), ``equation``, ``base``,
``word``, ``choice``, ``money``, ``percent``, ``quantity`` (value, unit, exponent), ``degrees``, ``sci``, ``ratio``,
``time``, and ``other`` for what is none of these.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple


class Node(NamedTuple):
    """An operation and its arguments: nodes, or text."""

    op: str
    args: tuple[Any, ...]


def node(op: str, *args: Any) -> Node:
    return Node(op, args)


NUMBER = r"-?(?:\d+(?:\.\d+)?|\.\d+)"
TOKEN = re.compile(r"\\[a-zA-Z]+|\d+(?:\.\d+)?|\.\d+|[a-zA-Z]|[-+*/^(){}\[\],=<>|]")
FUNCTIONS = ("\\sin", "\\cos", "\\tan", "\\cot", "\\sec", "\\csc")
SYMBOLS = ("\\pi", "\\infty", "\\theta", "\\alpha", "\\beta")


class Unreadable(Exception):
    """The text is no expression that the parser knows."""


def read(gold: str) -> Node:
    """The tree of a gold answer (of a worked solution: of what follows its last ``####``)."""
    bare = gold.rpartition("####")[2].strip()
    text = _clean(bare)
    for reader in (_marked, _measured, _text, _collection):
        try:
            found = reader(text)
        except Unreadable:
            continue
        if found is not None:
            return found
    return node("other", bare)


def _clean(text: str) -> str:
    text = re.sub(r",\\!\s*", "", text).replace("{,}", "")
    text = re.sub(r"(?<!\\)\\(?:(?:left|right|bigl|bigr|displaystyle)(?![a-zA-Z])|[!,;])", "", text)
    text = re.sub(r"\\[dt]frac", r"\\frac", text).replace("\\mbox", "\\text")
    text = re.sub(r"(?<!\\)\\ ", " ", text)
    text = text.replace("\\leq", "\\le").replace("\\geq", "\\ge").strip("$ ").rstrip(".").strip()
    return text.replace(",", "") if re.fullmatch(r"(?:\\\$)?-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text) else text


def _marked(text: str) -> Node | None:
    """What a mark of its own tells: a matrix, a time, a ratio, a numeral's base."""
    if matrix := re.fullmatch(r"\\begin\{([pb])matrix\}(.*)\\end\{\1matrix\}", text, re.S):
        rows = [row.split("&") for row in matrix[2].strip().removesuffix("\\\\").split("\\\\")]
        return node("matrix", *(node("row", *(expression(cell) for cell in row)) for row in rows))
    if time := re.fullmatch(r"(\d{1,2}):(\d\d)\s*(?:\\text\{)?\s*([ap])\.?m\.?\}?", text, re.I):
        return node("time", time[1], time[2], time[3].lower())
    if re.fullmatch(r"\d+(?::\d+)+", text) and not re.fullmatch(r"\d{1,2}:\d\d", text):
        return node("ratio", *(node("num", part) for part in text.split(":")))
    if base := re.fullmatch(r"([0-9A-F]+)_\{?(\d+)\}?", text):
        return node("base", base[1], base[2])
    return None


def _measured(text: str) -> Node | None:
    """A value with what it is measured in."""
    if money := re.fullmatch(rf"\\?\$\s*({NUMBER})", text):
        return node("money", expression(money[1]))
    if power := re.fullmatch(rf"({NUMBER})(?:\s*(?:\\times|\\cdot)\s*10\^\{{?(-?\d+)\}}?|[eE]([-+]?\d+))", text):
        return node("sci", power[1], str(int(power[2] or power[3])))
    if percent := re.fullmatch(r"(.+?)\s*\\?%", text):
        return node("percent", expression(percent[1]))
    if degrees := re.fullmatch(r"(.+?)\s*(?:\^\\circ|\^\{\\circ\}|°|\\text\{ ?degrees\})", text):
        return node("degrees", expression(degrees[1]))
    if quantity := re.fullmatch(r"(.*\d.*?)\s*\\text\{\s*([a-zA-Z ]+?)\s*\}(?:\^\{?(\d)\}?)?", text):
        return node("quantity", expression(quantity[1]), quantity[2], quantity[3] or "")
    return None


def _text(text: str) -> Node | None:
    if choice := re.fullmatch(r"(?:\\text(?:bf)?\{)?\(?([A-E])\)?\}?", text):
        return node("choice", choice[1])
    if word := re.fullmatch(r"\\text\{\s*([a-zA-Z][a-zA-Z ]+?)\s*\}|([a-zA-Z]{3,}(?: [a-zA-Z]+)*)", text):
        return node("word", word[1] or word[2])
    return None


def _collection(text: str) -> Node:
    if inside := re.fullmatch(r"([a-zA-Z])\s*\\in(?![a-zA-Z])(.+)", text):
        return node("in", node("sym", inside[1]), _region(inside[2].strip()))
    if "\\cup" in text:
        return _region(text)
    if braces := re.fullmatch(r"\\\{(.*)\\\}", text, re.S):
        return node("set", *(expression(part) for part in split(braces[1])))
    if re.fullmatch(r"[\[(].*[\])]", text) and len(parts := split(text[1:-1])) > 1:
        if len(parts) == 2 and ("[" in text[0] or "]" in text[-1] or "\\infty" in text):
            return _region(text)
        return node("tuple", *(expression(part) for part in parts))
    if bound := re.search(r"\\le(?![a-z])|\\ge(?![a-z])|[<>]", text):
        return _inequality(text, bound[0])
    if text.count("=") == 1:
        return node("equation", *(expression(side) for side in text.split("=")))
    if len(parts := split(text)) > 1:
        return node("list", *(expression(part) for part in parts))
    return expression(text)


def _region(text: str) -> Node:
    intervals = []
    for part in re.split(r"\\cup(?![a-z])", text):
        part = part.strip()
        ends = split(part[1:-1])
        if len(ends) != 2 or part[0] not in "[(" or part[-1] not in "])":
            raise Unreadable
        intervals.append(node("interval", part[0], *(expression(end) for end in ends), part[-1]))
    return intervals[0] if len(intervals) == 1 else node("union", *intervals)


def _inequality(text: str, sign: str) -> Node:
    """``x <= a`` alone; a chain is left as it is."""
    left, _, right = text.partition(sign)
    variable, bound = expression(left), expression(right)
    if variable.op != "sym" or any(item.op == "sym" and item.args[0] != "\\pi" for item in walk(bound)):
        raise Unreadable
    low, high = node("neg", node("sym", "\\infty")), node("sym", "\\infty")
    closed = sign.startswith("\\")
    if sign in ("<", "\\le"):
        return node("in", variable, node("interval", "(", low, bound, "]" if closed else ")"))
    return node("in", variable, node("interval", "[" if closed else "(", bound, high, ")"))


def split(text: str) -> list[str]:
    """The parts between commas that stand in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def walk(tree: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield tree
    for argument in tree.args:
        if isinstance(argument, Node):
            yield from walk(argument)


def expression(text: str) -> Node:
    """The tree of an expression; :class:`Unreadable` where it is none."""
    tokens = TOKEN.findall(text)
    if not tokens or "".join(tokens) != re.sub(r"\s+", "", text):
        raise Unreadable(text)
    reader = _Expression(tokens)
    found = reader.sum()
    if reader.left():
        raise Unreadable(text)
    return found


class _Expression:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0

    def left(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _next(self, expected: str = "") -> str:
        token = self.left()
        if not token or (expected and token != expected):
            raise Unreadable(token)
        self._place += 1
        return token

    def sum(self) -> Node:
        terms: list[Node] = []
        while not terms or self.left() in ("+", "-", "\\pm"):
            sign = self._next() if self.left() in ("+", "-", "\\pm") else ""
            term = self._product()
            if sign == "\\pm":
                base = None if not terms else _joined("sum", terms)
                terms = [node("pm", base, term)]
            else:
                terms.append(node("neg", term) if sign == "-" else term)
        return _joined("sum", terms)

    def _product(self) -> Node:
        factors = [self._power()]
        while (token := self.left()) and token not in ("+", "-", "\\pm", ")", "}", "]", ",", "="):
            if token in ("\\cdot", "\\times", "*"):
                self._next()
                factors.append(self._power())
            elif token == "/":
                self._next()
                factors = [node("frac", _joined("prod", factors), self._power())]
            else:
                factor = self._power()
                mixed = len(factors) == 1 and _is_integer(factors[0]) and _is_plain_fraction(factor)
                factors = [node("mixed", factors[0], factor)] if mixed else [*factors, factor]
        return _joined("prod", factors)

    def _power(self) -> Node:
        base = self._atom()
        if self.left() != "^":
            return base
        self._next()
        return node("pow", base, self._group())

    def _group(self) -> Node:
        """What a command or a ``^`` takes: braces, or one character."""
        if self.left() == "{":
            self._next()
            inner = self.sum()
            self._next("}")
            return inner
        token = self.left()
        if token.isdigit() and len(token) > 1:
            self._tokens[self._place : self._place + 1] = [token[0], token[1:]]
        return self._atom()

    def _atom(self) -> Node:
        token = self._next()
        if token[0].isdigit() or token[0] == ".":
            return node("num", token)
        if token == "\\frac":
            return node("frac", self._group(), self._group())
        if token == "\\sqrt":
            index = self._index()
            return node("root", self._group(), index)
        if token in FUNCTIONS:
            return node("func", token[1:], self._power())
        if token == "(":
            inner = self.sum()
            self._next(")")
            return inner
        if token.isalpha() or token in SYMBOLS:
            return node("sym", token)
        raise Unreadable(token)

    def _index(self) -> str:
        if self.left() != "[":
            return "2"
        self._next()
        index = self._next()
        self._next("]")
        return index


def _joined(op: str, parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else node(op, *parts)


def _is_integer(tree: Node) -> bool:
    return tree.op == "num" and str(tree.args[0]).isdigit()


def _is_plain_fraction(tree: Node) -> bool:
    return tree.op == "frac" and _is_integer(tree.args[0]) and _is_integer(tree.args[1])
