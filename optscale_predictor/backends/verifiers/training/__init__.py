"""Training a verifier on labelled samples: ``optscale train-verifier``, without the pools that the samples lie in.

``labelled_samples`` says what it learns from, ``verifier_module`` is the Lightning module, ``train_verifier`` the whole
path from samples to a folder that ``trained_verifier`` loads. May import the verifiers beside it; no pool.
"""
