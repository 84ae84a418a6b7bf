"""The last matches of a pattern in a text of any length, without a search of all of it.

Patterns of words take half a microsecond a character, and a sample that repeats itself may have tens of millions. Texts
are searched from their end, a piece at a time, and a piece only where one of the pattern's words occurs.
"""

import re
from collections.abc import Iterator, Sequence

_PIECE = 2**16  # characters that are searched at once
_OVERLAP = 200  # more than any match has


def last_matches(
    pattern: re.Pattern[str], words: Sequence[str], text: str, most: int, start: int = 0
) -> Iterator[re.Match[str]]:
    """The last matches of a pattern, the very last first.

    Args:
        pattern: Its matches are shorter than ``_OVERLAP`` characters.
        words: In small letters; every match has one of them.
        text: What is searched.
        most: Matches that are wanted at most, >= 1.
        start: Where the earliest match may begin.
    """
    found, end = 0, len(text)
    while end > start and found < most:
        first = max(start, end - _PIECE)
        # From a little earlier: what a match before the piece has taken is not a match's beginning.
        matches = _matches(pattern, words, text, max(start, first - _OVERLAP), end)
        for match in reversed([one for one in matches if first <= one.start() < end][found - most :]):
            found += 1
            yield match
        end = first


def _matches(
    pattern: re.Pattern[str], words: Sequence[str], text: str, start: int, end: int
) -> Iterator[re.Match[str]]:
    """The matches between two places, and those that begin before the second and end behind it."""
    behind = min(end + _OVERLAP, len(text))
    piece = text[start:behind].casefold()
    if not any(word in piece for word in words):
        return
    for match in pattern.finditer(text, start, behind):
        if match.end() < behind or behind == len(text):  # else it may have taken the piece's end for the text's
            yield match
