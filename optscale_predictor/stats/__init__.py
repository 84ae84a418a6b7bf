"""Statistics of scores: distributions, fits, the bound, calibration, bootstrap and intervals.

Imports ``_support`` only.
"""
