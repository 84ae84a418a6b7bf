"""Pools: every sample of every question, on disk, in a form that survives being killed.

A pool is a folder:

- ``manifest.json``: what made it (generator, sampling, prompt, verifier) and the format's number;
- ``questions.jsonl``: the questions, as ``questions.read_questions`` reads them;
- ``samples-000000.parquet`` and so on: one row a sample, columns as in :data:`SCHEMA`.

A shard is written under another name, synced, and renamed, so it is there whole or not at all: a kill loses at most
the samples not yet committed, and a rerun draws just those. Scoring replaces shard after shard in the same way. One
process writes at a time. The ``datasets`` library and pandas read the shards as they are.
"""

from optscale_predictor.pools._files import lock_pool
from optscale_predictor.pools.manifest import update_manifest
from optscale_predictor.pools.pool import Pool
from optscale_predictor.pools.shards import SCHEMA, read_shard, write_shard
from optscale_predictor.pools.writer import PoolWriter

__all__ = ["SCHEMA", "Pool", "PoolWriter", "lock_pool", "read_shard", "update_manifest", "write_shard"]
