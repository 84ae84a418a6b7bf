"""Fine-tuning of a generator on questions with worked solutions: what ``optscale train-generator`` runs.

May import the rest of ``backends.generators`` and what that may; torch and Lightning are loaded here.
"""
