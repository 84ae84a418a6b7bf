"""What a head sees of a question: its pooled hidden states, its words and phrases, and the labels it carries.

*Labels* are what is known of a question besides its text, such as its subject and the level its authors gave it. A
label's value is known by a hash of its text, so that a head needs no list of values: two values are alike if they are
the same, and one that no training question has is like none of them.

*Token n-grams*, weighted by TF-IDF, are the words and phrases a question is made of. Pooled hidden states blur rare
words, and rare words tell a lot about difficulty. n-grams are known by a hash of their tokens, so that a vocabulary is
a list of numbers; two n-grams of one hash are taken for one.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor

from optscale_predictor._support.arrays import Array

UNKNOWN = 0  # the code of a label that is not known

_LONGEST = 3  # tokens of an n-gram
_BITS = 31  # of a hash: non-negative int32
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Fibonacci hashing


class Features(NamedTuple):
    """What a head sees of a batch of questions.

    Attributes:
        pooled: The backbone's pooled hidden states, layer beside layer; single precision.
        tokens: Their tokens.
        mask: 1 at real tokens, 0 at padding.
        labels: Codes (:func:`label_codes`) of what is known of each question besides its text; None where nothing is.
    """

    pooled: Float[Tensor, "questions width"]
    tokens: Int[Tensor, "questions length"]
    mask: Int[Tensor, "questions length"]
    labels: Int[Tensor, "questions labels"] | None = None


def label_codes(names: Sequence[str], labels: Sequence[Mapping[str, str]]) -> Int[Tensor, "questions names"]:
    """Codes of questions' labels, int32; ``UNKNOWN`` where a question does not have a label.

    Args:
        names: Of the labels, in order.
        labels: Of each question, by name; others than ``names`` are passed over.
    """
    codes = [[_code(str(one[name])) if name in one else UNKNOWN for name in names] for one in labels]
    return torch.tensor(codes, dtype=torch.int32).reshape(len(labels), len(names))


def agreements(codes: Int[Tensor, "questions labels"]) -> Float[Tensor, " labels"]:
    """How often two questions, drawn with replacement from those whose label is known, agree in it, in [0, 1]."""
    shares = []
    for column in codes.T:
        known = column[column != UNKNOWN]
        counts = known.unique(return_counts=True)[1].double()
        shares.append(float(((counts / max(len(known), 1)) ** 2).sum()))
    return torch.tensor(shares)


def _code(value: str) -> int:
    digest = blake2b(value.strip().encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return 1 + int.from_bytes(digest, "big") % (2**31 - 1)


class NGramVocabulary:
    """The n-grams of some questions that stand in at least two of them, with their inverse document frequencies.

    Args:
        hashes: Known n-grams, ascending.
        idf: log(1 + questions / questions that have it).
    """

    def __init__(self, hashes: Int[Array[np.int32], " grams"], idf: Float[Array[np.float32], " grams"]) -> None:
        self.hashes, self.idf = hashes, idf

    @classmethod
    def of(cls, questions: Sequence[Sequence[int]]) -> "NGramVocabulary":
        """The vocabulary of questions, each a list of tokens."""
        seen = np.concatenate([np.unique(hashed_ngrams(tokens)) for tokens in questions])
        hashes, counts = np.unique(seen, return_counts=True)
        shared = counts >= 2
        return cls(hashes[shared], np.log1p(len(questions) / counts[shared]).astype(np.float32))

    def __len__(self) -> int:
        """Number of n-grams."""
        return len(self.hashes)

    def weigh(self, questions: Sequence[Sequence[int]]) -> csr_matrix:
        """Weights (1 + log count) idf of each question's known n-grams, of unit length; [questions, grams]."""
        rows, columns, values = [], [], []
        for row, tokens in enumerate(questions):
            hashes, counts = np.unique(hashed_ngrams(tokens), return_counts=True)
            column = np.minimum(np.searchsorted(self.hashes, hashes), max(len(self) - 1, 0))
            known = self.hashes[column] == hashes if len(self) else np.zeros(len(hashes), bool)
            weights = (1 + np.log(counts[known])) * self.idf[column[known]]
            rows.append(np.full(int(known.sum()), row))
            columns.append(column[known])
            values.append(weights / max(float(np.linalg.norm(weights)), 1e-12))
        parts = (np.concatenate(part) if part else np.empty(0) for part in (values, rows, columns))
        data, row_of, column_of = parts
        shape = (len(questions), len(self))
        return csr_matrix((data.astype(np.float32), (row_of.astype(int), column_of.astype(int))), shape=shape)


def hashed_ngrams(tokens: Sequence[int]) -> Int[Array[np.int32], " ngrams"]:
    """Hashes of all runs of one to three tokens."""
    ids = np.asarray(tokens, np.uint64)
    found = []
    state = np.zeros_like(ids)
    for length in range(1, min(_LONGEST, len(ids)) + 1):
        # The hash of a run goes on from that of its beginning.
        beginnings = state[: len(ids) - length + 1]
        state = (beginnings ^ (ids[length - 1 :] + np.uint64(1))) * _MULTIPLIER
        state = state ^ (state >> np.uint64(29))
        found.append((state >> np.uint64(64 - _BITS)).astype(np.int32))
    return np.concatenate(found) if found else np.empty(0, np.int32)
