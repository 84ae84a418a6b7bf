"""The embedded world: a small language model that answers arithmetic questions, and a fallible verifier of its answers.

It is small enough for two CPU cores and real all the same: samples are really drawn, the verifier was trained on the
generator's own labelled samples and errs, accuracy really grows with the number of samples. ``build`` remakes the two
models from a seed, ``train_generator`` trains them; their questions are ``questions.arithmetic``.

It may import everything below the command line; nothing imports it. The shipped weights are read by
``backends.model_loading``, under the name ``embedded``.
"""
