"""Labels: what is known of a question besides its text, such as its subject and the level its authors gave it.

A label's value is known by a hash of its text, so that a head needs no list of values: two values are alike if they are
the same, and one that no training question has is like none of them.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import torch

UNKNOWN = 0


def label_codes(names: Sequence[str], labels: Sequence[Mapping[str, str]]) -> torch.Tensor:
    """Codes [questions, names], int32; ``UNKNOWN`` where a question does not have a label.

    Args:
        names: Of the labels, in order.
        labels: Of each question, by name; others than ``names`` are passed over.
    """
    codes = [[_code(str(one[name])) if name in one else UNKNOWN for name in names] for one in labels]
    return torch.tensor(codes, dtype=torch.int32).reshape(len(labels), len(names))


def agreements(codes: torch.Tensor) -> torch.Tensor:
    """How often two questions agree in a label, in [0, 1], [labels]; of codes [questions, labels]."""
    shares = []
    for column in codes.T:
        known = column[column != UNKNOWN]
        counts = known.unique(return_counts=True)[1].double()
        shares.append(float(((counts / max(len(known), 1)) ** 2).sum()))
    return torch.tensor(shares)


def _code(value: str) -> int:
    digest = blake2b(value.strip().encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return 1 + int.from_bytes(digest, "big") % (2**31 - 1)
