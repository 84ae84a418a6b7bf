"""Training of a predictor: data module, lightning module, and the command."""
