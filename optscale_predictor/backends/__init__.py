"""Backends: the generators that draw samples, the verifiers that score them, and how both are reached."""
