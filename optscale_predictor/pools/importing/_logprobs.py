"""Log-probabilities in files of samples: of a sample a pool keeps all of the numbers, or none of them."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from optscale_predictor.backends.token_logprobs import COLUMNS, SELF_CERTAINTY

_LOG = logging.getLogger(__name__)

#: What scores of log-probabilities need of every sample that has any.
_NEEDED = tuple(name for name in COLUMNS if name != SELF_CERTAINTY)


class ImportedLogprobs:
    """Whether the samples of an import bring numbers that a pool can keep, found out as they are read.

    Samples without any are no hindrance: generators have samples that they tell nothing of.
    """

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._partial = ""

    @property
    def kept(self) -> bool:
        """Whether the pool is to keep them."""
        return bool(self._names) and not self._partial

    def note(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Looks at samples.

        Args:
            rows: Of the pool's columns, each with its key.
        """
        for row in rows:
            given = [name for name in COLUMNS if row.get(name) is not None]
            self._names.update(dict.fromkeys(given))
            missing = [name for name in _NEEDED if name not in given]
            if given and missing and not self._partial:
                self._partial = f"sample {row['sample_index']} of question {row['question_id']!r} lacks {missing[0]}"

    def tell(self) -> None:
        """Says which numbers are left out of the pool, and why."""
        if self._partial:
            names = ", ".join(self._names)
            _LOG.warning(f"{names}: ignored, since a pool keeps {', '.join(_NEEDED)} or none: {self._partial}")
