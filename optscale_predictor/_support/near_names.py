"""The name that somebody who mistyped one may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

_CLOSE = 0.6  # of difflib's ratio: a letter left out, doubled or swapped in a short word


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'optscale'?``, to end an error with; empty where nothing known is near.

    Args:
        name: What was given.
        known: The names that there are.
    """
    near = get_close_matches(_plain(name), spelled := {_plain(one): one for one in known}, n=1, cutoff=_CLOSE)
    return f"; did you mean {spelled[near[0]]!r}?" if near else ""


def _plain(name: str) -> str:
    """Capitals and the kind of dash tell no names apart here."""
    return name.lower().replace("-", "_")
