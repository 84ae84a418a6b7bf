"""What the cards of pools, targets and predictors share: the hub's metadata at their top.

A card is a repository's ``README.md``. Its first lines are YAML between two lines of dashes, which the hub and
``datasets`` read (https://huggingface.co/docs/hub/repositories-cards); ``huggingface_hub`` writes the YAML.
"""

import re
from typing import TYPE_CHECKING

from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from huggingface_hub import CardData

_LICENSE = re.compile(r"(?=.*[a-z])[a-z0-9][a-z0-9.+-]*")
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")


def front_matter(data: "CardData", license_needs: str | None = None) -> str:
    """The first lines of a card.

    Args:
        data: What they say; fields that are None are left out.
        license_needs: Whose terms a licence has to respect, for a comment that asks for one. None: no comment.
    """
    comment = f"# license: (fill in what {license_needs} allow)\n" if license_needs else ""
    return f"---\n{data.to_yaml().strip()}\n{comment}---\n"


def size_category(rows: int) -> str:
    """The hub's category of a data set of so many rows, >= 0."""
    return _SIZES[min(max(len(str(rows)) - 3, 0), len(_SIZES) - 1)]


def require_license(license: str | None) -> None:
    """Checks the name of a licence before anything is written.

    Raises:
        InputError: It is not None, and cannot be one of the hub's names.
    """
    if license is not None and not _LICENSE.fullmatch(license):
        raise InputError(f"license must be a hub name as mit or cc-by-4.0, got {license!r}")
