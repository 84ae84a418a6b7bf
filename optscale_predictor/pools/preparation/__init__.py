"""Data preparation: fill a pool with samples, then score them; both continue where they stopped.

:mod:`fill_pool` draws, :mod:`score_pool` scores, :mod:`cost_estimate` says beforehand what either costs; ``ray`` does
both on a cluster. May import ``pools``, ``backends`` and what those may.
"""

from optscale_predictor.pools.preparation.fill_pool import generate_pool
from optscale_predictor.pools.preparation.score_pool import first_refusal, score_pool

__all__ = ["first_refusal", "generate_pool", "score_pool"]
