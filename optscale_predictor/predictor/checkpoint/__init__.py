"""Checkpoints of a predictor: written, read, checked, merged, published."""
