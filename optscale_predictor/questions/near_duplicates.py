"""Near-duplicate questions: which texts say the same thing but for a few characters, or but for their numbers.

Public question sets repeat one another with other spacing, case or punctuation, and fill one sentence in with other
numbers. A question that stands on both sides of a split makes a predictor look better than it is: of MATH questions
that differ in numbers alone, one's mean score tells most of the other's (``docs/experiments/pools.md``). This module
finds such texts, also where comparing every pair would take too long: MinHash (Broder 1997) and locality-sensitive
hashing choose the pairs.
"""

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from jaxtyping import Bool, Int, UInt64
from scipy.cluster.hierarchy import DisjointSet

from optscale_predictor._support.arrays import Array, Bools, Ints
from optscale_predictor.errors import InputError

Shingles = frozenset[str]

_WIDTH = 5  # characters in a shingle
_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?")  # 1,000.5 is one number
_WORD = re.compile(r"[^\W\d_]{2}")
_FEW = 64  # texts of a block that are compared with all before them
_PERMUTATIONS = 300  # hash functions, at most: time and memory grow with them
_MISS = 1e-6  # probability that two texts exactly as similar as the threshold are never compared
_SEED = 1
_REMEMBERED = 256  # texts whose shingles are kept at hand, some 20 KB each


class NearDuplicates:
    """Which of many texts are nearly the same.

    Two texts are near-duplicates where the Jaccard similarity of their sets of character 5-grams (the whole text where
    it is shorter) is at least ``threshold``, after case folding, with every run of white space taken for one space, and
    without the commas in 1,000,000.

    What numbers count for is a choice. With ``same_numbers`` two texts are near-duplicates only if they also hold the
    same numbers in the same order, so that two sums with other numbers are two questions however long the words around
    them are. Without it numbers count for nothing: every number is taken for one and the same, so that texts filled in
    with other numbers are near-duplicates however short they are. A text without a word (two letters in a row), as
    ``23+7=``, is nothing but its numbers, and keeps them either way. Numbers spelled out in words are words.

    No pair is called similar that was not compared exactly. Which pairs are compared at all is certain for the first 64
    texts (of those with the same numbers) and left to MinHash and locality-sensitive hashing for the rest: two texts
    exactly as similar as the threshold are then missed with probability 1e-6, and the more similar the less likely (at
    the default threshold, 1e-15 at 0.9). Hash functions are fixed, and whether two texts are compared does not depend
    on those after them: the same texts give the same pairs, whatever is added behind them.

    Time grows with the texts and with the pairs that are somewhat alike: 10,000 questions of 200 characters take
    seconds, unless most of them fill in one template with words.

    Args:
        texts: The texts, of any number.
        threshold: In (0, 1]; 1 is for equal sets of shingles alone.
        same_numbers: Whether texts with other numbers are different whatever their similarity.

    Raises:
        InputError: The threshold is out of range.
    """

    def __init__(self, texts: Sequence[str], threshold: float = 0.8, same_numbers: bool = True) -> None:
        if not 0 < threshold <= 1:
            raise InputError(f"threshold must lie in (0, 1], got {threshold}")
        self._threshold, self._same_numbers = threshold, same_numbers
        self._texts = [_normalised(text) for text in texts]
        # Made anew where they are needed: those of all texts at once would take more memory than anything else.
        self._shingles = lru_cache(_REMEMBERED)(self._make_shingles)

    def __len__(self) -> int:
        """Number of texts."""
        return len(self._texts)

    def candidates(self) -> Iterator[tuple[int, list[int]]]:
        """The index of each text with those of the texts before it that may be similar; each after all of them."""
        blocks: dict[tuple[str, ...], list[int]] = {}
        for index, text in enumerate(self._texts):
            blocks.setdefault(self._numbers(text), []).append(index)
        for block in blocks.values():
            yield from self._candidates(block)

    def similar(self, one: int, other: int) -> bool:
        """Whether two texts that :meth:`candidates` pairs are as similar as the threshold asks.

        Args:
            one: Index of a text.
            other: Index of another.
        """
        first, second = self._shingles(one), self._shingles(other)
        few, many = sorted((len(first), len(second)))
        if few / many < self._threshold:  # even a subset would not be enough
            return False
        shared = len(first & second)
        return shared / (few + many - shared) >= self._threshold

    def _make_shingles(self, member: int) -> Shingles:
        text = self._texts[member]
        return _shingles(text if self._same_numbers else _without_numbers(text))

    def _numbers(self, text: str) -> tuple[str, ...]:
        return tuple(_NUMBER.findall(text)) if self._same_numbers else ()

    def _candidates(self, block: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """Texts with equal shingles are compared with the first of them, and that one alone with others."""
        first: dict[bytes, int] = {}
        equal = [first.setdefault(_digest(self._shingles(member)), member) for member in block]
        before = self._before([member for member, one in zip(block, equal, strict=True) if member == one])
        for member, one in zip(block, equal, strict=True):
            yield next(before) if member == one else (member, [one])

    def _before(self, block: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        shape = _bands_and_rows(self._threshold)
        few = len(block) if shape is None else _FEW
        yield from ((member, list(block[:index])) for index, member in enumerate(block[:few]))
        if shape is not None and len(block) > few:
            yield from self._alike(block, few, *shape)

    def _alike(self, block: Sequence[int], few: int, bands: int, rows: int) -> Iterator[tuple[int, list[int]]]:
        """Those after the first ``few``, with the texts before them whose MinHashes agree with theirs on a band."""
        from datasketch import MinHash  # type: ignore[import-untyped]

        encoded = ([shingle.encode("utf-8", "surrogatepass") for shingle in self._shingles(one)] for one in block)
        hashes = MinHash.generator(encoded, num_perm=bands * rows, seed=_SEED)
        signature = np.stack([_band_hashes(minhash.hashvalues, bands, rows) for minhash in hashes])
        shared = np.stack([_repeated(band) for band in signature.T], -1)
        buckets: dict[tuple[int, int], list[int]] = {}
        for index, member in enumerate(block):
            # A band that no other text has needs no bucket: most bands, where texts are unlike.
            keys = [(band, int(signature[index, band])) for band in np.flatnonzero(shared[index]).tolist()]
            if index >= few:
                yield member, sorted({other for key in keys for other in buckets.get(key, ())})
            for key in keys:
                buckets.setdefault(key, []).append(member)


def group_near_duplicates(
    texts: Sequence[str], threshold: float = 0.8, *, same_numbers: bool = True
) -> Int[Ints, " texts"]:
    """Puts texts that are near-duplicates, or linked by a chain of such pairs, into one group.

    Args:
        texts: The texts, of any number.
        threshold: The Jaccard similarity of their 5-grams from which two texts are near-duplicates, in (0, 1].
        same_numbers: Whether texts with other numbers are different whatever their similarity; else all numbers count
            as one and the same.

    Returns:
        The group of each text; groups are numbered from 0 in the order of their first texts.

    Raises:
        InputError: The threshold is out of range.
    """
    found, groups = NearDuplicates(texts, threshold, same_numbers), DisjointSet(range(len(texts)))
    for member, others in found.candidates():
        for other in others:
            # Texts already linked need no comparison: it cannot change the groups.
            if not groups.connected(member, other) and found.similar(member, other):
                groups.merge(member, other)
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(groups[member], len(numbers)) for member in range(len(texts))], np.int64)


def _normalised(text: str) -> str:
    """Without case, with single spaces, and with 1,000 written as 1000."""
    return _NUMBER.sub(lambda number: number[0].replace(",", ""), " ".join(text.casefold().split()))


def _without_numbers(text: str) -> str:
    """The text with one and the same number for all; as it is where it is nothing but numbers."""
    return _NUMBER.sub("0", text) if _WORD.search(text) else text


def _shingles(text: str) -> Shingles:
    return frozenset(text[start : start + _WIDTH] for start in range(max(1, len(text) - _WIDTH + 1)))


def _digest(shingles: Shingles) -> bytes:
    """Equal for equal sets."""
    return blake2b("\0".join(sorted(shingles)).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _band_hashes(values: Array[np.unsignedinteger], bands: int, rows: int) -> UInt64[Array[np.uint64], " bands"]:
    """One number a band, equal for equal bands; unlike bands that share one cost a comparison in vain."""
    # datasketch's hashes have 32 or 64 bits, by its version; 64 here in any case, so that unlike bands rarely collide.
    weights = np.arange(rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
    return np.asarray((values.astype(np.uint64).reshape(bands, rows) * weights).sum(-1, dtype=np.uint64))


def _repeated(values: UInt64[Array[np.uint64], " values"]) -> Bool[Bools, " values"]:
    """Which values occur more than once."""
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(count[index] > 1)


def _bands_and_rows(threshold: float) -> tuple[int, int] | None:
    """How to cut MinHashes so that pairs at the threshold are missed with probability at most ``_MISS``.

    Texts of similarity s agree on a band of r rows with probability s^r, and on none of b bands with (1 - s^r)^b. The
    most rows that leave enough bands make the fewest false candidates. None where even single rows are too few.
    """
    likely = min(threshold, 0.99)  # at 1 a single band would do, and the logarithm below would not
    for rows in range(_PERMUTATIONS // 2, 0, -1):
        bands = max(2, math.ceil(math.log(_MISS) / math.log1p(-(likely**rows))))
        if bands * rows <= _PERMUTATIONS:
            return bands, rows
    return None
