"""Answers that look like another and are not: one thing changed in its tree, held against the values."""

import math
import random
from collections.abc import Callable, Iterator
from fractions import Fraction

from respelling_forms import number
from respelling_parsing import Node, node, walk
from respelling_values import evaluate, fraction_of, same, symbols

Change = tuple[Node | str, str]
OPPOSITES = {"even": "odd", "odd": "even", "yes": "no", "no": "yes", "true": "false", "false": "true"}
OTHER_WORDS = ("east", "west", "north", "parabola", "circle", "ellipse", "undefined", "monday", "green")
REGIONS = ("interval", "union", "in")
SEQUENCES = ("tuple", "list", "set")


def mutated(tree: Node, rng: random.Random) -> Change | None:
    """Another answer and what was changed; None where this draw gave none that is surely another."""
    changes = _changes(tree, rng)
    other, change = rng.choice(changes) if changes else ("", "")
    if isinstance(other, str):
        return (other, change) if other else None
    return (other, change) if same(other, tree) is False else None


def _changes(tree: Node, rng: random.Random) -> list[Change]:
    special: dict[str, Callable[[Node, random.Random], Iterator[Change]]] = {
        "word": _words,
        "choice": _choices,
        "base": _bases,
        "time": _times,
        "sci": _scientific,
        "quantity": _quantities,
        "ratio": _ratios,
        "matrix": _matrices,
    }
    if tree.op == "other":
        return []
    found = list(special[tree.op](tree, rng)) if tree.op in special else []
    if tree.op in ("word", "choice", "base", "time", "sci"):
        return found
    found += _number_changes(tree, rng)
    if tree.op in SEQUENCES:
        found += _sequences(tree, rng)
    if tree.op in REGIONS:
        found += _regions(tree, rng)
    if tree.op == "pm":
        base, by = tree.args
        found.append((by if base is None else node("sum", base, by), "one of two"))
    return found + list(_values(tree, rng))


def _number_changes(tree: Node, rng: random.Random) -> list[Change]:
    """One number, sign, fraction or variable somewhere in the tree changed."""
    named = tree.op == "equation" and tree.args[0].op == "sym"  # of "y = 2x" the name is but a label
    places = [part for part in walk(tree.args[1] if named else tree) if part.op in ("num", "neg", "frac", "sym", "sum")]
    if not places:
        return []
    place = rng.choice(places)
    return [(replaced(tree, place, new), change) for new, change in _local(place, rng, symbols(tree))]


def replaced(tree: Node, old: Node, new: Node) -> Node:
    """The tree with one node (that very object) exchanged."""
    if tree is old:
        return new
    return Node(tree.op, tuple(replaced(part, old, new) if isinstance(part, Node) else part for part in tree.args))


def _local(place: Node, rng: random.Random, names: set[str]) -> Iterator[tuple[Node, str]]:
    if place.op == "num":
        digits = place.args[0]
        at = rng.choice([at for at, character in enumerate(digits) if character.isdigit()])
        yield node("num", digits[:at] + rng.choice("0123456789") + digits[at + 1 :]), "digit changed"
        if digits.isdigit():
            yield number(abs(int(digits) + rng.choice((-1, 1)))), "off by one"
            yield number(int(digits) * 10), "factor of ten"
    elif place.op == "neg":
        yield place.args[0], "sign flipped"
    elif place.op == "frac":
        yield node("frac", *reversed(place.args)), "fraction turned over"
    elif place.op == "sum":
        at = rng.randrange(len(place.args))
        term = place.args[at]
        turned = term.args[0] if term.op == "neg" else node("neg", term)
        yield node("sum", *place.args[:at], turned, *place.args[at + 1 :]), "sign of a term flipped"
        rest = (*place.args[:at], *place.args[at + 1 :])
        yield rest[0] if len(rest) == 1 else node("sum", *rest), "term dropped"
    elif place.args[0] in names and place.args[0] != "i":
        free = [name for name in "abmnqtuwxyz" if name not in names]
        yield node("sym", rng.choice(free)), "variable renamed"


def _values(tree: Node, rng: random.Random) -> Iterator[Change]:
    """Changes of a single value as a whole."""
    if tree.op in (
        *SEQUENCES,
        *REGIONS,
        "matrix",
        "pm",
        "equation",
        "money",
        "percent",
        "degrees",
        "quantity",
        "ratio",
    ):
        return
    yield node("neg", tree), "sign flipped"
    if symbols(tree) or any(part.op == "func" for part in walk(tree)):
        return
    value = fraction_of(tree)
    if value is None:
        found = evaluate(tree, 0, True)
        rounded = f"{complex(found).real:.{rng.choice((2, 3, 4))}f}"
        if isinstance(found, float) and abs(found) < 1e6 and not math.isclose(float(rounded), found, rel_tol=1e-9):
            yield rounded, "rounded"
    elif value.denominator == 1:
        yield f"{value}.{'0' * rng.choice((4, 9))}1", "late decimal"
    else:
        places = rng.choice((1, 2, 3))
        rounded = f"{float(value):.{places}f}"
        yield ("" if Fraction(rounded) == value else rounded), "rounded"


def _sequences(tree: Node, rng: random.Random) -> list[Change]:
    members = list(tree.args)
    at = rng.randrange(len(members)) if members else 0
    dropped = members[:at] + members[at + 1 :]
    extra = number(rng.randrange(2, 99))
    added = [*members[:at], extra, *members[at:]]
    found: list[Change] = [(node(tree.op, *added), "member added")]
    if len(dropped) == 1 and tree.op in ("list", "tuple"):
        found.append((dropped[0], "member dropped"))
    elif dropped:
        found.append((node(tree.op, *dropped), "member dropped"))
    if tree.op == "tuple":
        found.append((node("tuple", *rng.sample(members, len(members))), "order of members"))
    return found


def _regions(tree: Node, rng: random.Random) -> list[Change]:
    intervals = [part for part in walk(tree) if part.op == "interval"]
    place = rng.choice(intervals)
    left, low, high, right = place.args
    found: list[Change] = []
    infinite = {"\\infty"}
    if not infinite & {str(part.args[0]) for part in walk(low)}:
        found.append((replaced(tree, place, node("interval", "([".replace(left, ""), low, high, right)), "bracket"))
    if not infinite & {str(part.args[0]) for part in walk(high)}:
        found.append((replaced(tree, place, node("interval", left, low, high, ")]".replace(right, ""))), "bracket"))
    if tree.op == "union":
        found.append((node("union", *(part for part in tree.args if part is not place)), "interval dropped"))
    return [(_lone(other), change) for other, change in found if isinstance(other, Node)]


def _lone(tree: Node) -> Node:
    return tree.args[0] if tree.op == "union" and len(tree.args) == 1 else tree


def _words(tree: Node, rng: random.Random) -> Iterator[Change]:
    word = tree.args[0]
    letters = "".join(rng.sample(word, len(word)))
    if letters.lower() != word.lower() and " " not in word:
        yield node("word", letters), "letters permuted"
    others = [other for other in OTHER_WORDS if other.lower() not in word.lower() and word.lower() not in other]
    yield node("word", OPPOSITES.get(word.lower(), rng.choice(others))), "another word"
    at = rng.randrange(len(word))
    yield (
        node("word", word[:at] + rng.choice([c for c in "qzxkw" if c != word[at].lower()]) + word[at + 1 :]),
        "letter changed",
    )


def _choices(tree: Node, rng: random.Random) -> Iterator[Change]:
    yield node("choice", rng.choice("ABCDE".replace(tree.args[0], ""))), "another letter"


def _bases(tree: Node, rng: random.Random) -> Iterator[Change]:
    digits, base = tree.args
    yield node("base", digits, str(rng.choice([b for b in range(2, 17) if str(b) != base]))), "base changed"
    at = rng.randrange(len(digits))
    new = rng.choice(
        [digit for digit in "0123456789" if digit != digits[at] and int(digit) < int(base)] or [digits[at]]
    )
    yield node("base", digits[:at] + new + digits[at + 1 :], base), "digit changed"


def _times(tree: Node, rng: random.Random) -> Iterator[Change]:
    hour, minutes, half = tree.args
    yield node("time", hour, minutes, "a" if half == "p" else "p"), "half of the day"
    yield node("time", hour, f"{(int(minutes) + rng.choice((1, 10, 30))) % 60:02}", half), "minutes changed"
    yield node("time", str(int(hour) % 12 + 1), minutes, half), "hour changed"


def _scientific(tree: Node, rng: random.Random) -> Iterator[Change]:
    mantissa, exponent = tree.args
    yield node("sci", mantissa, str(-int(exponent))), "exponent's sign"
    yield node("sci", mantissa, str(int(exponent) + rng.choice((-1, 1)))), "exponent off by one"
    yield node("sci", mantissa[:-1] + rng.choice("123456789"), exponent), "digit changed"


def _quantities(tree: Node, rng: random.Random) -> Iterator[Change]:
    value, unit, exponent = tree.args
    yield node("quantity", value, unit, {"": "2", "2": "3", "3": "2"}.get(exponent, "2")), "unit's exponent"
    yield node("quantity", value, "kg" if unit != "kg" else "cm", exponent), "another unit"


def _ratios(tree: Node, rng: random.Random) -> Iterator[Change]:
    yield node("ratio", *reversed(tree.args)), "ratio turned over"


def _matrices(tree: Node, rng: random.Random) -> Iterator[Change]:
    rows = list(tree.args)
    yield node("matrix", *rng.sample(rows, len(rows))), "rows swapped"
    if len(rows) > 1:
        yield node("matrix", *rows[:-1]), "row dropped"
    if len(rows) == len(rows[0].args) > 1:
        turned = [node("row", *(row.args[at] for row in rows)) for at in range(len(rows))]
        yield node("matrix", *turned), "transposed"
