"""Reports: what inference-time scaling methods buy and what they cost, as a page, pictures and tables.

    runs and pools -> what all of them answered -> figures with intervals -> report.html, curve and tokens, tables

:mod:`reading` and :mod:`replaying` turn run records and pools into runs; :mod:`comparison` puts them side by side.
:mod:`resampling`, :mod:`best_of_k`, :mod:`savings`, :mod:`difficulty`, :mod:`promises` and :mod:`wall_time` compute
what is said of them; :mod:`page`, :mod:`pictures` and :mod:`tables` say it. :mod:`replays` has the table and the
picture of a replay of many settings.
"""

from optscale_predictor.evaluation.report.comparison import Comparison, compare
from optscale_predictor.evaluation.report.read_runs import Run, read_record
from optscale_predictor.evaluation.report.replays import markdown_table, replay_pool, write_replay
from optscale_predictor.evaluation.report.report_page import FILES, write_report

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
