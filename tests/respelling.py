r"""Gold answers spelled again as language models print them, and answers that are none of them: what judges a reader.

``respellings`` are what a mathematician calls the same answer; ``mutations`` are other answers that look alike. Both
are built from the answer's structure, read here without the package under test, and are the same for the same seed.
Where the structure leaves a doubt (is ``(2,4)`` a point or an interval?) nothing is made that depends on it.
"""

import random
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from respelling_answers import AnswerPen
from respelling_mutating import mutated
from respelling_parsing import Node, read, walk
from respelling_values import fraction_of, symbols

NUMBERS = ("integer", "decimal", "fraction", "mixed number", "root", "pi", "complex", "scientific")
OWN_NAMES = {
    "interval": "interval",
    "union": "interval",
    "in": "inequality",
    "pm": "plus-minus",
    "base": "base numeral",
    "sci": "scientific",
    "percent": "percentage",
    "mixed": "mixed number",
}
UNITS = ("cm", "units", "dollars", "meters", "apples", "hours", "square units", "miles per hour", "students")


class Spelling(NamedTuple):
    """A text of an answer, the kind of the gold it comes from, and what was changed."""

    text: str
    kind: str
    changes: tuple[str, ...]


def kind_of(gold: str) -> str:
    """The kind of a gold answer."""
    return _kind(read(gold))


def _kind(tree: Node) -> str:
    if tree.op in OWN_NAMES:
        return OWN_NAMES[tree.op]
    if tree.op in ("tuple", "list", "set", "matrix", "equation", "word", "choice", "money", "quantity", "other"):
        return tree.op
    if tree.op in ("degrees", "ratio", "time"):
        return tree.op
    parts = list(walk(tree))
    names = {str(part.args[0]) for part in parts if part.op == "sym"}
    if symbols(tree) or any(part.op == "func" for part in parts):
        return "expression"
    if names:
        return "complex" if "i" in names else "pi"
    if any(part.op == "root" for part in parts):
        return "root"
    inner = tree.args[0] if tree.op == "neg" else tree
    if inner.op == "num":
        return "decimal" if "." in inner.args[0] else "integer"
    return "mixed number" if inner.op == "mixed" else "fraction" if inner.op == "frac" else "expression"


def surely_other(answer: str, gold: str) -> bool:
    """Whether one gold answer is surely not another: of values that differ, and not by a unit or a mark alone."""
    one, other = read(answer), read(gold)
    if set(re.findall(r"\d+|[A-Za-z]{3,}", answer)) & set(re.findall(r"\d+|[A-Za-z]{3,}", gold)):
        return False
    values = fraction_of(one), fraction_of(other)
    return None in values or values[0] != values[1]


def respellings(gold: str, count: int = 100, seed: int = 0, loose: bool = True) -> list[Spelling]:
    """Up to ``count`` distinct spellings of the same answer; fewer where the kind does not admit so many.

    ``loose``: also those that are the same only because the gold says what was asked for: a unit or a base left out,
    a unit added. Without a gold they are not one answer.
    """
    tree, rng = read(gold), random.Random(f"respell {seed} {gold}")
    return _distinct(lambda: _respelled(tree, rng, loose), count)


def mutations(gold: str, count: int = 20, seed: int = 0) -> list[Spelling]:
    """Up to ``count`` distinct texts of other answers."""
    tree, rng = read(gold), random.Random(f"mutate {seed} {gold}")
    return _distinct(lambda: _mutation(tree, rng), count)


def _distinct(make: Callable[[], Spelling | None], count: int) -> list[Spelling]:
    found: dict[str, Spelling] = {}
    for _ in range(20 * count):
        if len(found) == count:
            break
        made = make()
        if made is not None:
            found.setdefault(made.text, made)
    return list(found.values())


def _respelled(tree: Node, rng: random.Random, loose: bool) -> Spelling:
    kind, pen = _kind(tree), AnswerPen(rng, loose=loose)
    text = pen.answer(tree)
    may_have_unit = kind in ("integer", "decimal", "fraction", "mixed number") and "whole and part" not in pen.changes
    if loose and may_have_unit and rng.random() < 0.2:
        text = _with_unit(text, pen)
    elif rng.random() < 0.25:
        text = _named(tree, text, pen)
    return Spelling(_wrapped(text, kind, pen), kind, tuple(sorted(pen.changes)))


def _with_unit(text: str, pen: AnswerPen) -> str:
    pen.note("unit added")
    unit = pen.rng.choice(UNITS)
    if not pen.latex:
        return f"{text} {unit}"
    return text + pen.rng.choice(
        (f"\\text{{ {unit}}}", f" \\text{{ {unit}}}", f"\\,\\text{{{unit}}}", f"~\\text{{{unit}}}")
    )


def _named(tree: Node, text: str, pen: AnswerPen) -> str:
    """``x =`` in front of what may have a name; of no name that the answer uses itself."""
    kind = _kind(tree)
    if kind not in (*NUMBERS, "expression", "degrees", "quantity", "money", "percentage", "matrix", "tuple"):
        return text
    used = {str(part.args[0]) for part in walk(tree) if part.op == "sym"}
    names = [name for name in ("x", "n", "N", "k", "S", "A") if name not in used]
    if kind == "tuple":
        names = {2: ["(x, y)", "(a,b)"], 3: ["(x, y, z)", "(a,b,c)"]}.get(len(tree.args), [])
        names = [name for name in names if not used & set(name)]
    if not names:
        return text
    pen.note("name added")
    return pen.rng.choice(names) + pen.rng.choice((" = ", "=")) + text


def _wrapped(text: str, kind: str, pen: AnswerPen) -> str:
    """In none to two of the marks that models put around an answer."""
    for _ in range(pen.rng.choice((0, 1, 1, 2))):
        wraps = list(_wraps(text, kind, pen))
        if wraps:
            text, change = pen.rng.choice(wraps)
            pen.note(change)
    return text


def _wraps(text: str, kind: str, pen: AnswerPen) -> Iterator[tuple[str, str]]:
    simple = all(character in "0123456789.,-" for character in text)
    worded = not pen.latex and re.search("[a-z]{2}", text, re.I)  # words between dollars would be letters multiplied
    if not worded and not any(mark in text for mark in ("$", "\\(", "\\[", "**")):
        yield f"${text}$", "$ $"
        if pen.latex:
            yield f"\\({text}\\)", "\\( \\)"
            yield f"\\[{text}\\]", "\\[ \\]"
            yield f"$${text}$$", "$$ $$"
    if "**" not in text:
        yield f"**{text}**", "bold"
    if text[-1] not in ".!":
        yield f"{text}.", "full stop"
    yield f" {text} ", "spaces around"
    if pen.latex and text[0] not in "$*" and not text.startswith(("\\(", "\\[")):
        yield f"\\,{text}\\,", "\\, around"
        yield f"\\displaystyle {text}", "\\displaystyle"
        yield f"\\boxed{{{text}}}", "boxed again"
        if kind in NUMBERS:
            yield f"{{{text}}}", "braces"
            yield f"\\text{{Answer: }}{text}", "answer named"
        if simple:
            for command in ("text", "textbf", "mathbf", "mathrm", "boldsymbol"):
                yield f"\\{command}{{{text}}}", f"\\{command}"


def _mutation(tree: Node, rng: random.Random) -> Spelling | None:
    made = mutated(tree, rng)
    if made is None:
        return None
    other, change = made
    pen = AnswerPen(rng, loose=False, forms=0.1)
    text = other if isinstance(other, str) else pen.answer(other)
    if rng.random() < 0.3:
        text = _wrapped(text, "mutation", pen)
    return Spelling(text, _kind(tree), (change,))
