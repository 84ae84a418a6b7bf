r"""Gold answers as files and data sets hold them: texts, numbers, booleans, and lists of those.

:func:`gold_text` makes one text of any of them, :func:`gold_answer` the bare answer. Everything that reads golds calls
one of the two, so that a question has the same gold whether it comes from a file, a data set, a pool or lm-eval.
"""

from collections.abc import Sequence
from decimal import Decimal

from optscale_predictor.errors import InputError
from optscale_predictor.questions.answers import extract_gold, marked_answer, normalise


def gold_text(value: object, location: str) -> str | None:
    """The text of a gold answer; None where there is none (a null, a blank text).

    A text stays as it is, worked solution or not. A number is written out, without exponent and without a fraction of
    zeros: ``1e16`` is ``10000000000000000``, ``1e-5`` is ``0.00001``, ``2.0`` is ``2``. A boolean is ``True`` or
    ``False``. A list is all its elements, ``2, 3``; a list of one is that one.

    Args:
        value: As JSON, or ``datasets``, gives it.
        location: Where it stands, for the error: ``FILE:LINE``.

    Raises:
        InputError: It is an object, a number that is not finite, or a list that is empty, nested or has gaps.
    """
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return _of_list(value, location)
    if isinstance(value, str | bool):
        return str(value).strip() or None
    if isinstance(value, int | float | Decimal):
        written = number_text(value)
        if written is None:
            raise InputError(f"{location}: the gold answer must be a finite number, got {value}")
        return written
    raise InputError(f"{location}: the gold answer must be a text, a number or a list of those, got {_named(value)}")


def gold_answer(value: object, location: str, worked: bool = False) -> str | None:
    r"""The bare answer of a gold; None where there is none.

    A worked solution marks its answer, with ``####`` or ``\boxed{}`` for example; without a mark the answer is not
    known. One line without a mark is the answer itself.

    Args:
        value: As JSON, or ``datasets``, gives it: a text, a number, a boolean, None, or a list of those.
        location: Where it stands, for the error: ``FILE:LINE``.
        worked: Whether it is a worked solution, however short. A text of several lines always is one.

    Raises:
        InputError: It is an object, a number that is not finite, or a list that is empty, nested or has gaps.
    """
    text = gold_text(value, location)
    if text is None:
        return None
    if worked or "\n" in text:
        return marked_answer(text)
    return extract_gold(text) or None


def _of_list(values: Sequence[object], location: str) -> str:
    if any(isinstance(one, list | tuple) for one in values):
        raise InputError(f"{location}: the gold answer is a list within a list")
    texts = [gold_text(one, location) for one in values]
    if not texts or None in texts:
        raise InputError(f"{location}: the gold answer is a list {'with a gap in it' if texts else 'of nothing'}")
    known = [text for text in texts if text is not None]
    # Each element loses its own commas before they are joined: 1,000 and 2 would read as three numbers otherwise.
    return known[0] if len(known) == 1 else ", ".join(normalise(extract_gold(text)) for text in known)


def number_text(value: int | float | Decimal) -> str | None:
    """A number written out without an exponent, as short as gives it back; None where it is not finite."""
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        return None
    written = format(number, "f")
    written = written.rstrip("0").rstrip(".") if "." in written else written
    return "0" if written == "-0" else written


def _named(value: object) -> str:
    shown = repr(value)
    kind = "an object" if isinstance(value, dict) else type(value).__name__
    return f"{kind} ({shown if len(shown) <= 60 else shown[:57] + '...'})"
