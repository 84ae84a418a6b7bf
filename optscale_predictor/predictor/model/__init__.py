"""The network of a predictor and its settings: language model, LoRA updates, pooling, head.

Imports the heads, the losses' types and what lies below the package; nothing of checkpoints or training.
"""
