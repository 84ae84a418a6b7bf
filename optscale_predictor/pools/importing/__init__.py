"""Pools made of samples that others drew: the paper's JSON, JSON lines, lm-eval's logged samples.

A reader of a format turns a file into :class:`ImportedSamples`, one a question or a line. May import the folders that
``pools`` may, and of ``pools`` everything but ``preparation``.
"""

from optscale_predictor.pools.importing._objects import ImportedSamples
from optscale_predictor.pools.importing.into_pool import FORMATS, ImportResult, import_pool

__all__ = ["FORMATS", "ImportResult", "ImportedSamples", "import_pool"]
