"""Answers of several parts as text: tuples, sets, lists, regions, equations, matrices."""

import random

from respelling_forms import another_form
from respelling_parsing import Node, node
from respelling_values import fraction_of, symbols
from respelling_writing import Pen


class CollectionPen(Pen):
    """Writes whole answers. ``loose``: may leave out or convert what another question would need (units, bases)."""

    def __init__(self, rng: random.Random, family: str | None = None, loose: bool = True, forms: float = 0.4) -> None:
        super().__init__(rng, family)
        self._loose, self._forms = loose, forms

    def answer(self, tree: Node) -> str:
        """The text of a whole answer."""
        writer = getattr(self, f"_answer_{tree.op}", None)
        return str(writer(*tree.args)) if writer else self.entry(tree)

    def entry(self, tree: Node, alone: bool = True) -> str:
        """An expression by itself or among others, in its own form or another one."""
        if self.rng.random() < self._forms:
            tree, change = another_form(tree, self.rng, self.latex, alone)
            self.note(change)
        return self.write(tree)

    def entries(self, trees: tuple[Node, ...]) -> list[str]:
        self.separates = False  # "1,234,5" would be read in more than one way
        return [self.entry(tree, alone=False) for tree in trees]

    def pick(self, *options: tuple[str, str]) -> str:
        """One of texts that have the names of their changes."""
        text, change = self.rng.choice(options)
        self.note(change)
        return text

    def words(self, text: str) -> str:
        return f"\\text{{{text}}}" if self.latex else text

    def _answer_tuple(self, *trees: Node) -> str:
        return self.enclose("(", self.join(self.entries(trees)), ")")

    def _answer_set(self, *trees: Node) -> str:
        texts = self._members(trees)
        return self.enclose("\\{", self.join(texts), "\\}") if self.latex else f"{{{self.join(texts)}}}"

    def _answer_list(self, *trees: Node) -> str:
        texts = self._members(trees)
        way = self.rng.choice(("plain", "plain", "plain", "set", "and", "named"))
        if way == "set":
            self.note("list in braces")
            return self.enclose("\\{", self.join(texts), "\\}") if self.latex else f"{{{self.join(texts)}}}"
        if way == "and":
            self.note("and")
            return self.join(texts[:-1]) + self.words(" and ") + texts[-1]
        if way == "named" and not set().union(*map(symbols, trees)):
            self.note("named members")
            joint = self.rng.choice((", ", self.words(" or ")))
            return joint.join(f"x = {text}" for text in texts)
        return self.join(texts)

    def _answer_pm(self, base: Node | None, by: Node) -> str:
        return self._answer_list(node("pm", base, by)) if self.rng.random() < 0.5 else self.write(node("pm", base, by))

    def _members(self, trees: tuple[Node, ...]) -> list[str]:
        """Members in any order, a plus-minus as itself or as its two values."""
        members: list[Node] = []
        for tree in trees:
            both = tree.op == "pm" and (len(trees) == 1 or self.rng.random() < 0.5)
            members += self._both(*tree.args) if both else [tree]
        shuffled = self.rng.sample(members, len(members))
        if len(shuffled) > 1 and shuffled != list(trees):
            self.note("order of members")
        return self.entries(tuple(shuffled))

    def _both(self, base: Node | None, by: Node) -> list[Node]:
        self.note("plus-minus written out")
        if base is None:
            return [by, node("neg", by)]
        return [node("sum", base, by), node("sum", base, node("neg", by))]

    def _answer_in(self, variable: Node, region: Node) -> str:
        name = str(variable.args[0])
        way = self.rng.choice(("inequality", "in", "region"))
        if way == "inequality":
            self.note("as an inequality")
            return self.inequality(region, name)
        if way == "region":
            self.note("membership left out")
            return self._region(region)
        return f"{name} \\in {self._region(region)}" if self.latex else f"{name} ∈ {self._region(region)}"

    def _answer_interval(self, *args: object) -> str:
        return self._answer_region(Node("interval", args))

    def _answer_union(self, *intervals: Node) -> str:
        return self._answer_region(node("union", *intervals))

    def _answer_region(self, region: Node) -> str:
        if self.rng.random() < 0.6:
            return self._region(region)
        return self._answer_in(node("sym", self.rng.choice("xyt")), region)

    def _region(self, region: Node) -> str:
        if region.op == "union":
            parts = self.rng.sample(region.args, len(region.args))
            self.note("order of intervals" if parts != list(region.args) else "")
            cup = " \\cup " if self.latex else " U " if self.family == "plain" else " \N{UNION} "
            return cup.join(self._region(part) for part in parts)
        left, low, high, right = region.args
        ends = self.entries((low, high))
        if high == node("sym", "\\infty") and self.rng.random() < 0.2:
            self.note("+infinity")
            ends[1] = "+" + ends[1]
        return self.enclose(left, self.join(ends), right)

    def inequality(self, region: Node, name: str) -> str:
        """A region as conditions on a variable."""
        if region.op == "union":
            return self.words(" or ").join(self.inequality(part, name) for part in region.args)
        left, low, high, right = region.args
        bottom, top = self.entries((low, high))
        below, above = (self._at_most() if closed else "<" for closed in (left == "[", right == "]"))
        if high == node("sym", "\\infty"):
            turned = self.rng.random() < 0.5
            return f"{bottom} {below} {name}" if turned else f"{name} {self._turned(below)} {bottom}"
        if low == node("neg", node("sym", "\\infty")):
            turned = self.rng.random() < 0.5
            return f"{top} {self._turned(above)} {name}" if turned else f"{name} {above} {top}"
        return f"{bottom} {below} {name} {above} {top}"

    def _at_most(self) -> str:
        latex, plain = ("\\le", "\\leq", "\\leqslant"), ("<=",)
        return self.rng.choice(latex if self.latex else plain if self.family == "plain" else ("≤",))

    def _turned(self, sign: str) -> str:
        return sign.replace("<", ">").replace("≤", "≥").replace("\\le", "\\ge")

    def _answer_equation(self, left: Node, right: Node) -> str:
        sides = [left, right]
        if left.op == "sym" and self._loose and self.rng.random() < 0.3:
            self.note("name left out")
            return self.entry(right)
        if right == node("num", "0") and left.op == "sum" and self.rng.random() < 0.3:
            sides = self._constant_moved(left, right)
        if self.rng.random() < 0.3:
            self.note("sides swapped")
            sides.reverse()
        gap = self.rng.choice(("", " ", " "))
        return f"{self.entry(sides[0])}{gap}={gap}{self.entry(sides[1])}"

    def _constant_moved(self, left: Node, right: Node) -> list[Node]:
        constants = [term for term in left.args if fraction_of(term) is not None]
        rest = [term for term in left.args if fraction_of(term) is None]
        if len(constants) != 1 or not rest:
            return [left, right]
        self.note("constant on the other side")
        moved = constants[0].args[0] if constants[0].op == "neg" else node("neg", constants[0])
        return [rest[0] if len(rest) == 1 else node("sum", *rest), moved]

    def _answer_matrix(self, *rows: Node) -> str:
        cells = [self.entries(row.args) for row in rows]
        vector = len(cells) > 1 and all(len(row) == 1 for row in cells)
        if vector and self.rng.random() < 0.35:
            return self._vector([row[0] for row in cells])
        if not self.latex:
            self.note("nested brackets")
            return "[" + ", ".join(f"[{', '.join(row)}]" for row in cells) + "]"
        joint, gap = self.rng.choice(((" \\\\ ", " "), ("\\\\", ""), ("\\\\ ", " "))), self.rng.choice((" & ", "&"))
        body = joint[1] + joint[0].join(gap.join(row) for row in cells) + joint[1]
        array = f"\\begin{{array}}{{{'c' * len(cells[0])}}}{body}\\end{{array}}"
        return self.pick(
            (f"\\begin{{pmatrix}}{body}\\end{{pmatrix}}", ""),
            (f"\\begin{{bmatrix}}{body}\\end{{bmatrix}}", "bmatrix"),
            (f"\\left({array}\\right)", "array"),
            (f"\\left[{array}\\right]", "array"),
        )

    def _vector(self, texts: list[str]) -> str:
        joined = ", ".join(texts)
        angles = f"\\langle {joined} \\rangle" if self.latex else f"⟨{joined}⟩"
        return self.pick((f"({joined})", "as a tuple"), (f"[{joined}]", "as a list"), (angles, "in angle brackets"))
