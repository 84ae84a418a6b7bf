"""Targets: what a pool says about each question's score distribution, one row a question.

A predictor learns from these rows; a pool of a million samples becomes a table of a few thousand. The pool is read
once (:mod:`pool_scores`), its numbers become one row a question (:mod:`target_table`, :mod:`question_scores`) on one
side of a split (:mod:`splitting`). Beside the Parquet file stand a dataset card and a page of histograms
(:mod:`histogram_page`), put there by :mod:`target_dataset`. May import ``pools``, ``pages``, ``questions``, ``stats``
and what those may; nothing of ``replays``, ``predictor`` or above.
"""

from optscale_predictor.targets.pool_scores import PoolScores, read_pool_scores
from optscale_predictor.targets.question_scores import constant_prior
from optscale_predictor.targets.splitting import SplitRule, split_questions
from optscale_predictor.targets.target_dataset import WrittenDataset, write_dataset
from optscale_predictor.targets.target_table import (
    MEANING,
    SCHEMA,
    make_targets,
    read_provenance,
    tabulate,
    write_targets,
)

__all__ = [
    "MEANING",
    "SCHEMA",
    "PoolScores",
    "SplitRule",
    "WrittenDataset",
    "constant_prior",
    "make_targets",
    "read_pool_scores",
    "read_provenance",
    "split_questions",
    "tabulate",
    "write_dataset",
    "write_targets",
]
