"""Questions and their answers: what everything above this folder asks, and how it knows whether a reply is right.

- ``question``: one question, and files of them; ``question_sets``: sets by name; ``arithmetic``: the embedded world's;
- ``golds``: gold answers as files hold them; ``documents``: what lm-eval's documents say of a question;
- ``prompts``: the template around a question; ``near_duplicates``: questions that say the same thing;
- ``answers``: reading the answer out of a text, and comparing it.

It imports nothing of the package but ``_support`` and ``errors``.
"""
