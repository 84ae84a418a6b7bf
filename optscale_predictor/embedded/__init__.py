"""The embedded world: arithmetic questions, a small language model that answers some of them, a fallible verifier.

It is small enough for two CPU cores and real all the same: samples are really drawn, the verifier was trained on the
generator's own labelled samples and errs, accuracy really grows with the number of samples. ``build`` remakes its two
models from a seed.
"""
