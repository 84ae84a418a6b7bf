"""Questions drawn from a conjugate prior over truncated normals, by means that share nothing with the quadrature."""

import numpy as np

from optscale_predictor import TruncatedNormal
from optscale_predictor.stats.distributions.truncated_normal_fit import fit_moments
from optscale_predictor.stats.quadrature import expectation


def draw_members(mu, sigma, strength, count, rng, steps=400):
    """``count`` truncated normals from the density exp(strength (eta . t - A(eta))): as many Metropolis chains."""
    mode = fit_moments(mu, sigma**2)
    covariance = expectation(mode.a, mode.b).covariance
    bend = covariance[1, 1] / sigma**4 - covariance[0, 1] ** 2 / sigma**6
    tilt = -(2 * mu + covariance[0, 1] / sigma**2)
    place, now = np.zeros((2, count)), np.full(count, -np.inf)
    for _ in range(steps):
        # Steps of every size, along either coordinate or both: the density has long tails.
        step = (
            rng.standard_normal((2, count)) * np.exp(rng.uniform(-3, 3.5, (2, count))) * (rng.random((2, count)) < 0.7)
        )
        trial = place + step / np.sqrt(strength) * np.array([[1.0], [1 / np.sqrt(bend)]])
        members = _members(mode, trial, tilt, sigma)
        new = strength * (members.log_prob(mu) + (members.b - mode.b) * sigma**2)
        taken = np.log(rng.random(count)) < new - now
        place, now = np.where(taken, trial, place), np.where(taken, new, now)
    return _members(mode, place, tilt, sigma)


def _members(mode, place, tilt, sigma):
    across, along = place
    return TruncatedNormal.from_natural(mode.a + across / sigma + tilt * along / sigma**2, mode.b + along / sigma**2)


def draw_scores(members, num_samples, rng, points=1500):
    """Scores [members, num_samples], by inversion on a grid that is dense where each member has its mass."""
    scores, unit = np.empty((len(members.a), num_samples)), np.linspace(0, 1, points)
    for row, (a, b) in enumerate(zip(members.a, members.b, strict=True)):
        peaks = (0.0, 1.0) if b >= 0 else (float(np.clip(-a / (2 * b), 0, 1)),)
        layers = [peak + (2 * unit - 1) * 40 / max(abs(a + 2 * b * peak), np.sqrt(2 * abs(b)), 1.0) for peak in peaks]
        x = np.unique(np.clip(np.concatenate([*layers, unit]), 0, 1))
        exponent = a * x + b * x**2
        density = np.exp(exponent - exponent.max())
        below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(x))])
        scores[row] = np.interp(rng.random(num_samples) * below[-1], below, x)
    return scores
