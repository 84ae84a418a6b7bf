"""Policies run over recorded samples, and settings tuned there."""
