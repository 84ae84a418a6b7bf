"""The version of this package, for everything that says what made it."""

__version__ = "0.1.0"
