"""Draws as a test writes them or chance has them, and what a policy says of them."""

import numpy as np

from optscale_predictor import Prior
from optscale_predictor.policies import Draws, parse_policy

PRIOR = Prior(0.6, 0.2, 3.0)


def drawn(*rows, answers=None, tokens=10.0, prior=PRIOR, width=None, **more):
    """Draws of questions with these scores, each as many as it has."""
    width = width or max(1, *(len(row) for row in rows))
    scores = np.full((len(rows), width), np.nan)
    groups = np.full((len(rows), width), -1)
    for number, row in enumerate(rows):
        scores[number, : len(row)] = row
        groups[number, : len(row)] = range(len(row)) if answers is None else answers[number]
    count = np.array([len(row) for row in rows])
    cost = np.where(np.isnan(scores), np.nan, tokens)
    return Draws(scores, groups, cost, count, prior and prior.broadcast_to(len(rows)), **more)


def some_draws(seed, questions=5, width=9, unusable=0.2):
    """Questions with different numbers of samples, few distinct answers, some samples cut off."""
    rng = np.random.default_rng(seed)
    count = rng.integers(1, width + 1, questions)
    there = np.arange(width) < count[:, None]
    scores = np.where(there, rng.integers(0, 5, (questions, width)) / 4, np.nan)
    answers = np.where(there, rng.integers(-1, 4, (questions, width)), -1)
    tokens = np.where(there, rng.integers(1, 60, (questions, width)), np.nan)
    return Draws(scores, answers, tokens, count, None, usable=there & (rng.random((questions, width)) > unusable))


def decided(text, draws):
    decision = parse_policy(text).decide(draws)
    assert decision.needed.dtype == np.float64 and np.issubdtype(decision.total.dtype, np.integer)
    return decision


def low(count):
    """Scores that reach no target and tell little: spread out between 0.1 and 0.5."""
    return np.linspace(0.1, 0.5, count).tolist()
