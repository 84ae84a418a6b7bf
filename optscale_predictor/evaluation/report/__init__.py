"""Reports: what inference-time scaling methods buy and what they cost, as a page, pictures and tables.

    records and pools -> runs -> what all of them answered -> figures with intervals -> page, pictures, tables, JSON

``read_runs`` turns run records into runs (``run_data``), and ``replayed_runs`` pools; ``comparison`` puts them side by
side, on the questions that all of them answered. ``savings``, ``difficulty``, ``coverage`` and ``run_summary`` compute
what is said of them, ``policy_series`` groups policies that differ in one number, and ``formatting`` writes figures and
sentences. ``report_charts``, ``report_tables``, ``question_details`` and ``pictures`` are what ``report_page`` and
``report_files`` put together; ``run_frontier`` is what an evaluation says when it ends.

Imports ``evaluation.run_record``, ``pages``, ``replays`` and what lies below them.
"""

from optscale_predictor.evaluation.report.comparison import Comparison, compare
from optscale_predictor.evaluation.report.read_runs import read_record
from optscale_predictor.evaluation.report.replayed_runs import replay_pool
from optscale_predictor.evaluation.report.report_files import FILES, write_replay, write_report
from optscale_predictor.evaluation.report.report_tables import markdown_table
from optscale_predictor.evaluation.report.run_data import Run

__all__ = [
    "FILES",
    "Comparison",
    "Run",
    "compare",
    "markdown_table",
    "read_record",
    "replay_pool",
    "write_replay",
    "write_report",
]
