"""Pools: every sample of every question, on disk, in a form that survives being killed.

A pool is a folder:

- ``manifest.json``: what made it (generator, sampling, prompt; a verifier for each score) and its fingerprint;
- ``questions.jsonl``: the questions, as ``questions.question.read_questions`` reads them;
- ``samples-000000.parquet`` and so on, the shards: one row a sample, columns as in :mod:`schema`;
- ``journal.jsonl``: rows and checksum of each shard and of the questions; ``runs.jsonl``: what each run did and cost.

A shard is written under another name, synced, and renamed, so it is there whole or not at all: a kill loses at most
the samples not yet committed, and a rerun draws just those. Scoring replaces shard after shard in the same way. One
process writes at a time. The ``datasets`` library and pandas read the shards as they are.

:mod:`pool` reads (:mod:`scored_pool` with another of its scores, or several as one) and :mod:`writer` adds; both use
:mod:`journal`, :mod:`shards`, :mod:`manifest` and the lock. What is done with whole pools lies in modules named after
it: :mod:`info`, :mod:`validation`, :mod:`repair`, :mod:`merging`, :mod:`exporting`, :mod:`publishing`, and the folders
``importing`` (samples that others drew) and ``preparation`` (drawing and scoring). May import ``backends``, ``pages``,
``questions``, ``stats`` and what those may; nothing of ``targets`` or above.
"""

from optscale_predictor.pools._lock import lock_pool
from optscale_predictor.pools.manifest import update_manifest
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.schema import SCHEMA, ScoreColumns, pool_schema
from optscale_predictor.pools.scored_pool import ScoredPool, open_pool
from optscale_predictor.pools.shards import read_shard, write_shard, write_table
from optscale_predictor.pools.writer import PoolWriter

__all__ = [
    "SCHEMA",
    "Pool",
    "PoolWriter",
    "ScoreColumns",
    "ScoredPool",
    "lock_pool",
    "open_pool",
    "pool_schema",
    "read_shard",
    "update_manifest",
    "write_shard",
    "write_table",
]
