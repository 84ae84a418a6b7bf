"""Fitting a policy to labelled pools: what ``optscale fit-policy`` does.

``sample_paths`` replays random orders of recorded samples, ``fit_confidence`` fits how probable each answer is,
``fit_stopping`` what going on is worth, ``held_out_rules`` tries rules on held-out questions, ``accuracy_targets``
measures how sure an answer must be, and ``fit_policy`` puts them together.
``combine_scores`` makes one score of several verifiers' before. Imports recorded samples and the policies.
"""
