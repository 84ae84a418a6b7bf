"""Samples of which nothing but the answers counts, and how they vote."""

from collections import Counter

import numpy as np

from optscale_predictor.replays.recorded_samples import RecordedSamples


def recorded(answers):
    """Samples with the given answers, [questions, samples], all scored alike."""
    answers = np.atleast_2d(answers)
    flat = np.full(answers.shape, 0.5)
    return RecordedSamples(flat, answers, np.ones(answers.shape), np.full(answers.shape, np.nan))


def random_answers(num_questions=80, depth=32, seed=0):
    """Questions from unanimous to undecided over eight answers, with some samples that have none."""
    rng = np.random.default_rng(seed)
    shares = [rng.dirichlet(np.full(8, concentration)) for concentration in np.geomspace(0.05, 5, num_questions)]
    answers = np.array([rng.choice(8, depth, p=share) for share in shares])
    return np.where(rng.random(answers.shape) < 0.1, -1, answers)


def checks(outcomes, question=0):
    """How many samples a question had each time it was decided about."""
    return [count for count, _ in outcomes.trace[question]]


def sorted_votes(answers):
    return sorted(Counter(answer for answer in answers if answer >= 0).values(), reverse=True)
