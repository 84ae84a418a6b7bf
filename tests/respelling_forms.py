"""Other trees of the same answer: a fraction as a decimal, terms in another order, a root rationalised.

Every form is held against the values before it is used (:func:`respelling_values.same`), so a slip here costs a
spelling and mislabels none.
"""

import random
from collections.abc import Iterator
from fractions import Fraction

from respelling_parsing import Node, node
from respelling_values import fraction_of, same

Form = tuple[Node, str]
ONE = node("num", "1")


def another_form(tree: Node, rng: random.Random, latex: bool, alone: bool = True) -> Form:
    """The expression in another form of equal value, with the change's name; the expression itself where none is.

    ``alone``: nothing stands beside it that a sum or a fraction over one would be odd with (a unit, other members).
    """
    found = [form for form in _forms(tree, rng, latex) if form[0] != tree and same(form[0], tree)]
    found = [form for form in found if alone or form[1] not in ("over one", "whole and part")]
    return rng.choice(found) if found else (tree, "")


def _forms(tree: Node, rng: random.Random, latex: bool) -> Iterator[Form]:
    value = fraction_of(tree)
    if value is not None:
        yield from _rational_forms(tree, value, rng, latex)
    yield from _irrational_forms(tree)
    if tree.op == "sum" or (tree.op == "prod" and all(factor.op == "sum" for factor in tree.args)):
        yield node(tree.op, *rng.sample(tree.args, len(tree.args))), "order of terms"
    for place, part in enumerate(tree.args):
        if isinstance(part, Node) and part.op in ("sum", "prod", "frac", "root"):
            for inner, change in _irrational_forms(part):
                yield node(tree.op, *tree.args[:place], inner, *tree.args[place + 1 :]), change


def number(value: int | str, negative: bool = False) -> Node:
    return node("neg", node("num", str(value))) if negative else node("num", str(value))


def _rational_forms(tree: Node, value: Fraction, rng: random.Random, latex: bool) -> Iterator[Form]:
    above, below, negative = abs(value.numerator), value.denominator, value < 0
    decimal = terminating(abs(value))
    if below == 1:
        yield number(above, negative), "as an integer"
        yield number(f"{above}.0", negative), "trailing zeros"
        yield number(f"{above}.00", negative), "trailing zeros"
        yield _signed(node("frac", number(above), ONE), negative), "over one"
        return
    yield _signed(node("frac", number(above), number(below)), negative), "as a fraction"
    factor = rng.choice((2, 3, 5))
    yield _signed(node("frac", number(above * factor), number(below * factor)), negative), "fraction not reduced"
    if negative:
        yield node("frac", number(above, True), number(below)), "sign in the numerator"
        yield node("frac", number(above), number(below, True)), "sign in the denominator"
    if above > below:
        part = node("frac", number(above % below), number(below))
        yield _signed(node("mixed", number(above // below), part), negative), "mixed number"
        if not negative:
            yield node("sum", number(above // below), part), "whole and part"
    if decimal:
        yield number(decimal, negative), "as a decimal"
        yield number(decimal + "0", negative), "trailing zeros"
        if decimal.startswith("0."):
            yield number(decimal[1:], negative), "no leading zero"
    elif latex and (repeated := repeating(abs(value))):
        yield _signed(node("overline", *repeated), negative), "repeating decimal"


def _signed(tree: Node, negative: bool) -> Node:
    return node("neg", tree) if negative else tree


def terminating(value: Fraction) -> str:
    """The exact decimal of at most 8 places; empty where there is none."""
    places = next((places for places in range(9) if (value * 10**places).denominator == 1), None)
    if places is None:
        return ""
    digits = str(int(value * 10**places)).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def repeating(value: Fraction) -> tuple[str, str] | None:
    """The decimal up to where it repeats, and a period of at most 6 digits."""
    rest, digits, seen = value.numerator % value.denominator, "", dict[int, int]()
    while rest and rest not in seen and len(digits) < 9:
        seen[rest] = len(digits)
        digits += str(rest * 10 // value.denominator)
        rest = rest * 10 % value.denominator
    start = seen.get(rest)
    if start is None or len(digits) - start > 6:
        return None
    return f"{value.numerator // value.denominator}.{digits[:start]}", digits[start:]


def _irrational_forms(tree: Node) -> Iterator[Form]:
    if tree.op == "neg" and tree.args[0].op == "frac":
        above, below = tree.args[0].args
        if above.op != "sum":
            yield node("frac", node("neg", above), below), "sign in the numerator"
    if tree.op == "frac" and tree.args[1].op == "num":
        yield from _split_fractions(*tree.args)
    if tree.op == "prod" and len(tree.args) == 2 and tree.args[0].op == "num" and tree.args[1].op == "root":
        factor, (radicand, index) = fraction_of(tree.args[0]), tree.args[1].args
        inner = fraction_of(radicand)
        if factor and inner and factor.denominator == inner.denominator == 1 and factor < 1000:
            yield node("root", number(int(factor ** int(index) * inner)), index), "factor under the root"


def _split_fractions(above: Node, below: Node) -> Iterator[Form]:
    if above.op == "sum":
        parts = (node("frac", term.args[0] if term.op == "neg" else term, below) for term in above.args)
        signs = (term.op == "neg" for term in above.args)
        yield node("sum", *(_signed(part, sign) for part, sign in zip(parts, signs, strict=True))), "term by term"
    if above.op == "prod" and above.args[0].op == "num":
        yield node("prod", node("frac", above.args[0], below), *above.args[1:]), "factor in front"
    if above.op in ("root", "sym", "pow"):
        yield node("prod", node("frac", ONE, below), above), "factor in front"
    if above.op == "root" and above.args == (below, "2"):
        yield node("frac", ONE, above), "not rationalised"
