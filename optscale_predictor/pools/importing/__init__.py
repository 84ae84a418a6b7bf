"""Pools made of samples that others drew: the paper's JSON, JSON lines, lm-eval's logged samples.

One module a format; each turns a file into :class:`Item` after :class:`Item`, a question with its samples.
"""

from optscale_predictor.pools.importing._objects import Item
from optscale_predictor.pools.importing.into_pool import FORMATS, Imported, import_pool

__all__ = ["FORMATS", "Imported", "Item", "import_pool"]
