"""Stopping and selection fitted on labelled pools: how sure is the leading answer, and does another sample pay?

``answer_features`` describes each distinct answer of a question, ``confidence_model`` turns that into the probability
that it is right, ``stopping_features`` describes what was drawn as a whole, ``boosted_trees`` and ``stopping_model``
say what going on is worth at a price, ``model_files`` keeps all of it in a folder, and ``fitted_policy`` is the policy.
Fitting them is ``replays.fitting``. Imports the protocol of policies and the statistics.
"""
