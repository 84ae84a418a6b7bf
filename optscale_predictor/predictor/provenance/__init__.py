"""Which scores a predictor has learnt, and for which engines it may therefore be used."""
