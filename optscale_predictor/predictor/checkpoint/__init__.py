"""Checkpoints: saving, loading, merging and publishing a predictor, and the card that says what was measured of it.

Imports the network and its config; nothing of training. What anybody may have written is checked before it is believed.
"""
