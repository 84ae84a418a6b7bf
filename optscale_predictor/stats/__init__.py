"""Statistics of scores: distributions and their fits, priors and posteriors, the bound, calibration, the bootstrap.

Imports ``_support`` and ``errors`` only. ``distributions`` stands below ``estimators``, and both below the bound.
"""
