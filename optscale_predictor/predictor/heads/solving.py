"""Solving a Gaussian-process head on the training questions, and once more without each fold of them.

A question that helped to solve the head is predicted better than a new one. So noise, strength and, in training, the
LoRA updates are judged on predictions from coefficients solved without the question's fold; near-duplicates share a
fold. With Q = (K + noise)^-1 and alpha = Q y, the residuals of a fold f solved without it are Q_ff^-1 alpha_f, and the
other questions' coefficients alpha - Q_:f Q_ff^-1 alpha_f (Rasmussen and Williams 2006, section 5.4.2, in blocks).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import digamma
from torch import Tensor

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.predictor.heads.gaussian_process import GaussianProcessHead
from optscale_predictor.predictor.losses import Observed
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics
from optscale_predictor.stats.estimators.evidence import log_evidence
from optscale_predictor.stats.estimators.prior import Prior
from optscale_predictor.stats.estimators.standard_posterior import LEAST_COUNT

FOLDS = 10
NOISES = (0.03, 0.1, 0.3, 1.0, 3.0)  # variances of noise tried, in units of the kernel's own
_STRENGTH_NOISE = 10.0  # a squared residual is one draw of what its output smooths
_MOST_JUDGED = 1500  # questions by which the strength is fitted


@dataclass
class CrossFit:
    """What the training of a head needs beside it.

    Attributes:
        coefficients: Solved without each fold, zero at its own questions.
        fold: Of each training question, in [0, FOLDS).
        predicted: Its mean, standard deviation and strength from coefficients solved without its fold.
    """

    coefficients: Float[Tensor, "folds anchors outputs"]
    fold: Int[Tensor, " questions"]
    predicted: Float[Tensor, "questions 3"]


def solve_head(
    head: GaussianProcessHead,
    pooled: Float[Tensor, "questions width"],
    tokens: Sequence[Sequence[int]],
    source: Sequence[int],
    observed: Observed,
    folds: Sequence[int],
    labels: Int[Tensor, "questions labels"] | None = None,
) -> CrossFit:
    """Solves a head; where it is new, also its coordinates.

    Args:
        head: Sized for these questions by ``head_sizes``; changed in place.
        pooled: Pooled hidden states.
        tokens: Of each question.
        source: Whose scores each question's are, by index.
        observed: What was seen of the scores.
        folds: Of each question, in [0, FOLDS); near-duplicates in one.
        labels: Codes of each question's labels; None where the head has none.
    """
    head.hold_texts(tokens, source, torch.zeros_like(head.labels) if labels is None else labels)
    if not bool(head.projection.any()):
        _set_coordinates(head, pooled)
    with torch.no_grad():
        head.anchors.copy_(head.project(pooled))
        kernel = _kernel_matrix(head).double().cpu().numpy()
    fold = np.asarray(folds)
    targets = np.stack([observed.mean.double().cpu().numpy(), observed.std.double().cpu().numpy()], -1)
    offset = targets.mean(0)
    spread = targets.std(0).clip(1e-9)
    # Features change little from one epoch to the next: their noise is judged once.
    noises = [float(head.noise)] if head.noise > 0 else list(NOISES)
    best, noise = _least_residuals(kernel, (targets - offset) / spread, noises, _uncertainty(observed, spread), fold)
    head.noise.fill_(noise)
    left_out = targets - best.residuals * spread
    strength, shift = _solve_strength(kernel, targets, left_out, observed, fold)
    whole = np.concatenate([best.whole * spread, strength.whole], -1)
    parts = np.concatenate([best.parts * spread, strength.parts], -1)
    predicted = np.concatenate([_possible(left_out), LEAST_COUNT + np.exp(strength.residuals)], -1)
    head.coefficients.copy_(torch.from_numpy(whole))
    head.offset.copy_(torch.tensor([*offset, shift]))
    device = head.coefficients.device
    coefficients = torch.from_numpy(parts).float().to(device)
    return CrossFit(coefficients, torch.from_numpy(fold).to(device), torch.from_numpy(predicted))


@dataclass
class _Fit:
    """Coefficients [anchors, outputs], the same without each fold [folds, ...], and left-out residuals."""

    whole: Floats
    parts: Floats
    residuals: Floats


def _least_residuals(
    kernel: Floats, targets: Floats, noises: Sequence[float], unsure: Floats, fold: Ints
) -> tuple[_Fit, float]:
    """The fit whose noise predicts best without each question's fold, and that noise."""
    fits = [_cross_fit(kernel, targets, noise * unsure, fold) for noise in noises]
    chosen = int(np.argmin([(fit.residuals**2).mean() for fit in fits]))
    return fits[chosen], noises[chosen]


def _cross_fit(kernel: Floats, targets: Floats, noise: Floats, fold: Ints) -> _Fit:
    """Coefficients of all questions and of all but each fold, at the cost of one factorisation (module's formulas)."""
    lower = torch.linalg.cholesky(torch.from_numpy(kernel + np.diag(noise)))
    inverse = torch.cholesky_inverse(lower).numpy()
    whole = inverse @ targets
    parts, residuals = np.zeros((FOLDS, *whole.shape)), np.zeros_like(whole)
    for number in range(FOLDS):
        own = np.flatnonzero(fold == number)
        if own.size:
            residuals[own] = np.linalg.solve(inverse[np.ix_(own, own)], whole[own])
        parts[number] = whole - inverse[:, own] @ residuals[own]
        parts[number, own] = 0.0
    return _Fit(whole, parts, residuals)


def _solve_strength(
    kernel: Floats, targets: Floats, left_out: Floats, observed: Observed, fold: Ints
) -> tuple[_Fit, float]:
    """The third output: log strength = shift + slope (smoothed log precision), by the evidence of left-out scores.

    In place of residuals the fit has each question's log strength, solved without its fold.
    """
    mean, std = _possible(left_out).T
    surprise = np.log((targets[:, 0] - mean) ** 2 / std**2 + 1e-4) - (digamma(0.5) + np.log(2))
    smooth = _cross_fit(kernel, (surprise - surprise.mean())[:, None], np.full(len(mean), _STRENGTH_NOISE), fold)
    expected = surprise - smooth.residuals[:, 0]
    # The evidence costs an integral a question, and two numbers are fitted: some of very many questions are enough.
    rows = np.random.default_rng(0).permutation(len(mean))[:_MOST_JUDGED]
    counts = observed.count.double().cpu().numpy()
    seen = ScoreStatistics(counts[rows], targets[rows, 0], targets[rows, 1] ** 2)

    # The slope may not be negative: questions that surprised would then be trusted more.
    def log_beyond(at: Floats) -> Floats:
        return np.asarray(np.clip(at[0] - max(at[1], 0.0) * (expected - surprise.mean()), -6.0, 9.0))

    def loss(at: Floats) -> float:
        strength = LEAST_COUNT + np.exp(log_beyond(at)[rows])
        return -float(log_evidence(Prior.expecting(mean[rows], std[rows], strength), seen).mean())

    shift = float(np.clip(-surprise.mean(), -2.0, 4.0))
    corners = np.array([[shift, 0.0], [shift + 1, 0.0], [shift, 1.0]])
    # A simplex needs no gradient: the loss is flat where strengths are clipped.
    options: Any = {"initial_simplex": corners, "xatol": 0.05, "fatol": 1e-4, "maxfev": 60}
    found = minimize(loss, corners[0], method="Nelder-Mead", options=options).x
    slope = max(float(found[1]), 0.0)
    return _Fit(-slope * smooth.whole, -slope * smooth.parts, log_beyond(found)[:, None]), float(found[0])


def _possible(moments: Floats) -> Floats:
    """Moments [questions, 2] moved to where scores in [0, 1] can have them."""
    mean = np.clip(moments[:, 0], 0.01, 0.99)
    most = np.sqrt(mean * (1 - mean))
    return np.stack([mean, np.clip(moments[:, 1], 0.02 * most, 0.98 * most)], -1)


def _uncertainty(observed: Observed, spread: Floats) -> Floats:
    """By how much each target's noise exceeds that of a perfectly known one, >= 1, [questions]."""
    errors = np.stack([observed.mean_error.double().cpu().numpy(), observed.std_error.double().cpu().numpy()], -1)
    return np.asarray(1 + np.nan_to_num((errors / spread) ** 2).mean(-1))


def _set_coordinates(head: GaussianProcessHead, pooled: Tensor) -> None:
    """Standardised pooled states, rotated to their principal components, at a median squared distance of one."""
    states = pooled.double()
    center, scale = states.mean(0), states.std(0)
    # A feature that is the same for all would be blown up to noise: it is left out, by an infinite scale.
    scale = torch.where(scale > 1e-4, scale, torch.inf)
    standard = (states - center) / scale
    projection = _principal_directions(standard, head.projection.shape[1]) / scale[:, None]
    some = (states[:2000] - center) @ projection  # all pairs of more would not fit in memory
    distance = torch.pdist(some).pow(2).median().clamp(min=1e-12)
    with torch.no_grad():
        head.center.copy_(center)
        head.projection.copy_(projection / distance.sqrt())


def _principal_directions(standard: Tensor, rank: int) -> Tensor:
    """Orthonormal directions of the largest variance, [width, rank], from the smaller matrix of products."""
    questions, width = standard.shape
    directions: Tensor
    if width <= questions:
        directions = torch.linalg.eigh(standard.T @ standard)[1].flip(-1)[:, :rank]
        return directions
    # All layers of a decoder side by side are wider than there are questions.
    values, vectors = torch.linalg.eigh(standard @ standard.T)
    length = values.flip(-1)[:rank].clamp(min=0).sqrt()
    directions = standard.T @ vectors.flip(-1)[:, :rank]
    return directions / torch.where(length > 1e-9 * length[0], length, torch.inf)


def _kernel_matrix(head: GaussianProcessHead) -> Tensor:
    """Kernel of the anchors with one another, [anchors, anchors]."""
    grams = head.gram_matrix().to_dense()
    return head.combine(head.anchors, grams, head.lengths, head.sources, head.labels)
