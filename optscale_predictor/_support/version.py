"""The version of the installed package, which is made from git's tags when it is built.

A module of its own, since importlib.metadata takes longer to import than all else that ``optscale --help`` needs.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("optscale-predictor")
except PackageNotFoundError:  # the sources on PYTHONPATH, installed nowhere
    __version__ = "0+unknown"
