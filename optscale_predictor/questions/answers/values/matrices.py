r"""Matrices and vectors: LaTeX's environments, brackets in brackets, and sums of i, j and k."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from optscale_predictor.questions.answers.values.evaluation import evaluate
from optscale_predictor.questions.answers.values.kinds import Bracketed, Matrix, Scalar, Value
from optscale_predictor.questions.answers.values.spelling import ROW_END
from optscale_predictor.questions.answers.values.tokens import NAME, Number, Token, UnreadableError, depths, split

_ENVIRONMENTS = ("pmatrix", "bmatrix", "matrix", "Bmatrix", "smallmatrix", "array")
_BASIS = ("basisi", "basisj", "basisk")


def is_matrix(tokens: Sequence[Token]) -> bool:
    r"""Whether the tokens are one environment of a matrix, from ``\begin`` to ``\end``."""
    name = _environment(tokens)
    return name in _ENVIRONMENTS and tokens[-1].text == "}" and all(depth > 0 for depth in depths(tokens)[1:-4])


def _environment(tokens: Sequence[Token]) -> str:
    if tokens[0].kind != NAME or tokens[0].text != "begin" or len(tokens) < 4 or tokens[1].text != "{":
        return ""
    name = ""
    for token in tokens[2:]:
        if token.text == "}":
            return name
        name += token.text
    return ""


def read_matrix(tokens: Sequence[Token], read: Callable[[Sequence[Token]], Value]) -> Matrix:
    """The matrix of an environment; ``read`` reads an entry.

    Raises:
        UnreadableError: Its rows are of different lengths, or an entry is of no known form.
    """
    start = 1 + _find(tokens, "}")
    if _environment(tokens) == "array" and [one.text for one in tokens[start : start + 1]] == ["{"]:
        start += 1 + _find(tokens[start:], "}")
    end = len(tokens) - 1 - _find(tokens[::-1], "end")
    rows = [row for row in split(tokens[start:end], ROW_END) if row]
    return _rectangular([[read(cell) for cell in split(row, "&")] for row in rows])


def _find(tokens: Sequence[Token], text: str) -> int:
    for number, token in enumerate(tokens):
        if token.text == text:
            return number
    raise UnreadableError(f"{text!r} is missing")


def read_nested(items: Sequence[Value]) -> Matrix | None:
    """``[[1, 2], [3, 4]]``: the matrix whose rows are these items; None where they are no rows."""
    rows = [
        one.items for one in items if isinstance(one, Bracketed) and (one.opens, one.closes) in (("[", "]"), ("(", ")"))
    ]
    if len(rows) != len(items) or len({len(row) for row in rows}) != 1:
        return None
    return Matrix(tuple(rows))


def vector_of_sum(scalar: Scalar) -> Matrix | None:
    """A sum of multiples of the unit vectors i, j and k as a column; None where it is none."""
    if not scalar.names & {*_BASIS} or scalar.names - {*_BASIS}:
        return None
    nothing = {name: Fraction(0) for name in _BASIS}
    try:
        if evaluate(scalar.node, nothing) != 0:
            return None
        return Matrix(tuple((_constant(evaluate(scalar.node, nothing | {name: Fraction(1)})),) for name in _BASIS))
    except UnreadableError:
        return None


def _constant(value: object) -> Scalar:
    if not isinstance(value, Fraction):
        raise UnreadableError("not exact")
    return Scalar(Number(value))


def _rectangular(rows: Sequence[Sequence[Value]]) -> Matrix:
    if not rows or len({len(row) for row in rows}) != 1:
        raise UnreadableError("rows of different lengths")
    return Matrix(tuple(tuple(row) for row in rows))


def entries(value: Matrix | Bracketed) -> tuple[Value, ...] | None:
    """The entries of a vector, whichever way it is written; None of a matrix of several rows and columns."""
    if isinstance(value, Bracketed):
        return value.items
    if len(value.rows) == 1:
        return value.rows[0]
    return tuple(row[0] for row in value.rows) if len(value.rows[0]) == 1 else None
