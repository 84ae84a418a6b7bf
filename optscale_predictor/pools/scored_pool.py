"""A pool seen with other scores than its first: another of its columns, or what a combination makes of several.

A pool may hold the scores of several verifiers, and what reads one looks at the column ``score``. Here that column is
the chosen one, and the manifest names its verifier, so that replays, priors and checks of sources need not know.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optscale_predictor.backends.verifiers.combined import COMBINED, ScoreCombination
from optscale_predictor.errors import InputError
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.schema import ScoreColumns

_SEEN = ScoreColumns("score")


def open_pool(folder: str | Path, scores: str = "score") -> Pool:
    """A pool with the scores that are wanted.

    Args:
        folder: The pool's folder, or its name on a hub.
        scores: A column, ``score`` or ``score_NAME``; or ``combined:FOLDER``, what the combination in that folder makes
            of its columns.

    Raises:
        InputError: There is no such pool, column or combination, or other verifiers made the columns than the
            combination was fitted to.
    """
    return Pool(folder) if scores == "score" else ScoredPool(folder, scores)


class ScoredPool(Pool):
    """A pool whose column ``score`` is another one, or a combination of several; its other scores are not seen.

    Args:
        folder: As :class:`Pool` takes it.
        scores: As :func:`open_pool` takes it, or the combination itself.

    Raises:
        InputError: There is no such pool, column or combination, or other verifiers made the columns than the
            combination was fitted to.
    """

    def __init__(self, folder: str | Path, scores: str | ScoreCombination) -> None:
        super().__init__(folder)
        if isinstance(scores, str) and scores.startswith(COMBINED):
            self.score_name = scores
            scores = ScoreCombination.load(scores.removeprefix(COMBINED))
        self._combination = None if isinstance(scores, str) else scores
        names = (scores,) if isinstance(scores, str) else scores.columns
        self.score_name = names[0] if self._combination is None else self.score_name
        self._parts = [ScoreColumns(name) for name in names]
        for part in self._parts:
            if part.name not in self.scores:
                there = ", ".join(self.scores) or "none"
                raise InputError(f"{self.name}: has no scores {part.name!r}; it has: {there}")
        if self._combination is not None:
            self._combination.require_parts([self.scores[name] for name in names])
        made = self.scores[names[0]] if self._combination is None else dict(self._combination.describe())
        self.manifest = {**self.manifest, "scores": {_SEEN.name: made}}

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The committed samples, a shard at a time.

        Args:
            columns: All by default; a score that a shard does not have yet is null.
        """
        names = list(self.schema.names if columns is None else columns)
        seen = [field.name for field in _SEEN.fields]
        others = [name for name in names if name not in seen]
        needed = dict.fromkeys(field.name for part in self._parts for field in part.fields)
        for table in super().tables([*others, *(needed if len(others) < len(names) else ())]):
            found = dict(zip(seen, self._score(table), strict=True)) if len(others) < len(names) else {}
            yield pa.table({name: found.get(name, table[name] if name in others else None) for name in names})

    def _score(self, table: pa.Table) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Score, tokens and refusal of each row. What one part refused or has not scored yet has no score."""
        if self._combination is None:
            score = table[self._parts[0].name]
        else:
            parts = [table[part.name].to_numpy() for part in self._parts]  # null becomes NaN
            score = pa.array(self._combination(np.stack(parts, -1).astype(np.float64)), from_pandas=True)
        tokens = table[self._parts[0].tokens]
        for part in self._parts[1:]:
            tokens = pc.add(tokens, table[part.tokens])
        return score, tokens, pc.coalesce(*(table[part.refusal] for part in self._parts))
