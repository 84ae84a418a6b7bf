r"""An expression's tree as text, in the ways language models print: LaTeX of several habits, plain text, unicode.

A pen keeps to its habits over one answer, as a model does, and remembers which of them showed (``changes``).
"""

import random
from collections.abc import Sequence

from respelling_parsing import Node

SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
BRACKETS = {"(": ")", "[": "]", "\\{": "\\}", "{": "}"}
MINUS = "\N{MINUS SIGN}"
SUM, TERM, FACTOR = 0, 1, 2


class Pen:
    """Habits of writing, drawn once."""

    def __init__(self, rng: random.Random, family: str | None = None) -> None:
        self.rng = rng
        self.family = family or rng.choices(["latex", "plain", "unicode"], [7, 2, 2])[0]
        self.latex = self.family == "latex"
        self.changes: set[str] = set() if self.latex else {f"{self.family} maths"}
        self._frac = self.habit("\\frac", "\\dfrac", "\\tfrac", "\\frac12", "a/b") if self.latex else "a/b"
        self._root = self.habit("\\sqrt{}", "\\sqrt3", "\\sqrt 3")
        self._times = self.habit("", " ", "\\cdot", "\\times", "\\,") if self.latex else self.habit("", "*", " * ")
        self._gap = self.habit("", " ", "") if rng.random() < 0.5 else " "
        self._brace = self.habit("^{}", "^2") if self.latex else self.habit("^", "**", "^")
        self._big = self.habit("()", "\\left(", "\\bigl(", "\\big(", "\\Big(", "\\left( ") if self.latex else "()"
        self._comma = self.habit(", ", ",", ",\\,", ",\\;", ", \\ ") if self.latex else rng.choice([", ", ","])
        self._thousands = self.habit("", ",", "{,}", "\\,", ",\\!") if self.latex else self.habit("", ",")
        self._minus = (
            self.habit("-", MINUS) if self.latex else rng.choice(["-", MINUS] if self.family == "unicode" else "-")
        )
        self.unit_i = self.habit("i", "\\mathrm{i}") if self.latex else "i"
        self.separates = True  # thousands: not between the members of a list

    def habit(self, usual: str, *others: str) -> str:
        """The usual habit half of the time."""
        return usual if not others or self.rng.random() < 0.5 else self.rng.choice(others)

    def note(self, change: str) -> None:
        if change:
            self.changes.add(change)

    def write(self, tree: Node, level: int = SUM) -> str:
        """The text of an expression that stands in a sum, as a term, or as a factor."""
        text = getattr(self, f"_write_{tree.op}")(*tree.args)
        slashed = tree.op in ("frac", "mixed") and self._frac == "a/b"
        own = {"sum": SUM, "pm": SUM, "neg": SUM if level == FACTOR else TERM, "prod": TERM, "mixed": TERM}
        rank = TERM if slashed else own.get(tree.op, FACTOR)
        if (level > rank) or (level == TERM and tree.op in ("sum", "pm", "neg")):
            return self.enclose("(", text, ")")
        return str(text)

    def enclose(self, opening: str, text: str, closing: str) -> str:
        """A text in brackets of this pen's size; the two need not match."""
        if self._big != "()":
            self.note(self._big.strip())
        gap = " " if self._big.endswith(" ") else ""
        left, right = {
            "()": ("", ""),
            "\\left(": ("\\left", "\\right"),
            "\\left( ": ("\\left", "\\right"),
            "\\bigl(": ("\\bigl", "\\bigr"),
            "\\big(": ("\\big", "\\big"),
            "\\Big(": ("\\Big", "\\Big"),
        }[self._big]
        return f"{left}{opening}{gap}{text}{gap}{right}{closing}"

    def join(self, texts: Sequence[str]) -> str:
        if self._comma not in (", ", ","):
            self.note("comma " + self._comma[1:].strip())
        return self._comma.join(texts)

    def _write_num(self, digits: str) -> str:
        whole, point, rest = digits.partition(".")
        if self.separates and len(whole) > 3 and self._thousands and not whole.startswith("0"):
            self.note(f"thousands {self._thousands}")
            start = len(whole) % 3
            groups = [whole[:start]] * (start > 0) + [whole[at : at + 3] for at in range(start, len(whole), 3)]
            whole = self._thousands.join(groups)
        return whole + point + rest

    def _write_overline(self, whole: str, digits: str) -> str:
        self.note("repeating decimal")
        return f"{whole}\\overline{{{digits}}}"

    def _write_sym(self, name: str) -> str:
        names = {"plain": {"\\infty": "infinity"}, "unicode": {"\\pi": "π", "\\infty": "∞", "\\theta": "θ"}}
        if name == "i" and self.unit_i != "i":
            self.note(self.unit_i)
            return self.unit_i
        return name if self.latex else names[self.family].get(name, name.removeprefix("\\"))

    def _write_neg(self, inner: Node) -> str:
        if self._minus == MINUS:
            self.note("unicode minus")
        return self._minus + self.write(inner, FACTOR if inner.op == "neg" else TERM)

    def _write_sum(self, *terms: Node) -> str:
        text = self.write(terms[0])
        for term in terms[1:]:
            negative = term.op == "neg"
            sign = self._minus if negative else "+"
            text += f"{self._gap}{sign}{self._gap}{self.write(term.args[0] if negative else term, TERM)}"
        return text

    def _write_pm(self, base: Node | None, by: Node) -> str:
        sign = "\\pm " if self.latex else "±"
        return (self.write(base) + self._gap if base else "") + sign + self.write(by, TERM)

    def _write_prod(self, *factors: Node) -> str:
        text, before = "", None
        for factor in factors:
            slashed = factor.op == "frac" and self._frac == "a/b"
            piece = self.enclose("(", self.write(factor), ")") if slashed else self.write(factor, FACTOR)
            text = self._multiplied(text, piece, before, factor) if before else piece
            before = factor
        return text

    def _multiplied(self, text: str, piece: str, before: Node, factor: Node) -> str:
        numeric = piece[0].isdigit() or (factor.op in ("mixed", "frac") and text[-1].isdigit())
        letters = text[-1].isalpha() and piece[0].isalpha()
        function = before.op == "func" or (before.op in ("root", "pow") and not self.latex)
        must = numeric or function or (not self.latex and letters)
        sign = self._times.strip()
        if must and sign in ("", "\\,"):
            sign = {"latex": "\\cdot", "plain": "*", "unicode": "·"}[self.family]
        sign = "·" if sign == "*" and self.family == "unicode" else sign
        self.note(sign)
        if not sign:
            return text + (" " if self._times == " " or letters else "") + piece
        before_sign = " " if self._times.startswith(" ") else ""
        after_sign = " " if before_sign or sign.startswith("\\") else ""
        return f"{text}{before_sign}{sign}{after_sign}{piece}"

    def _write_pow(self, base: Node, exponent: Node) -> str:
        bottom, top = self.write(base, FACTOR), self.write(exponent)
        if base.op in ("frac", "pow", "root", "func") and bottom[-1] != ")":
            bottom = self.enclose("(", bottom, ")")
        if self.latex:
            return f"{bottom}^{top}" if len(top) == 1 and self._brace == "^2" else f"{bottom}^{{{top}}}"
        if self.family == "unicode" and top.isdigit():
            return bottom + top.translate(SUPERSCRIPT)
        return f"{bottom}{self._brace}{top}" if top.isdigit() else f"{bottom}{self._brace}({top})"

    def _write_frac(self, above: Node, below: Node) -> str:
        if self._frac == "a/b":
            self.note("a/b")
            return f"{self.write(above, TERM)}/{self.write(below, FACTOR)}"
        top, bottom = self.write(above), self.write(below)
        if self._frac == "\\frac12" and len(top) == len(bottom) == 1:
            self.note("\\frac12")
            return f"\\frac{top}{bottom}" if top.isdigit() else f"\\frac {top}{bottom}"
        command = "\\frac" if self._frac == "\\frac12" else self._frac
        self.note(command if command != "\\frac" else "")
        return f"{command}{{{top}}}{{{bottom}}}"

    def _write_mixed(self, whole: Node, part: Node) -> str:
        self.note("mixed number")
        gap = self.rng.choice(["", " ", "\\,", "\\ "]) if self.latex else " "
        gap = gap if self._frac != "a/b" or gap else " "
        return f"{self.write(whole)}{gap}{self.write(part)}"

    def _write_root(self, radicand: Node, index: str) -> str:
        inner = self.write(radicand)
        if self.family == "unicode" and index in "23":
            sign = "√" if index == "2" else "∛"
            return f"{sign}{inner}" if radicand.op in ("num", "sym") else f"{sign}({inner})"
        if not self.latex:
            return f"sqrt({inner})" if index == "2" else f"({inner})^(1/{index})"
        if index == "2" and len(inner) == 1 and self._root != "\\sqrt{}":
            self.note(self._root)
            space = " " if inner.isalpha() or self._root == "\\sqrt 3" else ""
            return f"\\sqrt{space}{inner}"
        return f"\\sqrt{{{inner}}}" if index == "2" else f"\\sqrt[{index}]{{{inner}}}"

    def _write_func(self, name: str, argument: Node) -> str:
        inner = self.write(argument)
        name = f"\\{name}" if self.latex else name
        if argument.op == "sym" and self.rng.random() < 0.5:
            return f"{name} {inner}"
        self.note("function's brackets")
        return name + self.enclose("(", inner, ")")
