"""Targets: what a pool says about each question's score distribution, one row a question.

A predictor learns from these rows; a pool of a million samples becomes a table of a few thousand. The pool is read once
(:mod:`gathering`), its numbers become one row a question (:mod:`table`) on one side of a split (:mod:`splitting`), and
beside the Parquet file stand a dataset card (:mod:`card`) and a page of histograms (:mod:`page`), put there by
:mod:`writing`.
"""

from optscale_predictor.targets.gathering import Gathered, gather
from optscale_predictor.targets.splitting import SplitRule, split_questions
from optscale_predictor.targets.target_columns import MEANING, SCHEMA
from optscale_predictor.targets.target_table import (
    constant_prior,
    make_targets,
    read_provenance,
    tabulate,
    write_targets,
)
from optscale_predictor.targets.write_targets import Written, write_dataset

__all__ = [
    "MEANING",
    "SCHEMA",
    "Gathered",
    "SplitRule",
    "Written",
    "constant_prior",
    "gather",
    "make_targets",
    "read_provenance",
    "split_questions",
    "tabulate",
    "write_dataset",
    "write_targets",
]
