"""Adaptive-Consistency: stop once the leading answer is the most frequent one beyond doubt (arXiv 2305.11860, sec. 3).

The beta rule compares the leader with its runner-up alone. The Dirichlet rule compares it with all others: the shares
of the (at most five) leading answers are Dirichlet(v + 1) for votes v. Shares of a Dirichlet are ratios of independent
Gammas, so the probability that the leader's is the largest is E[prod_i P(g_i < g_1)], one integral over the leader's
Gamma; the authors' code estimates it by Monte Carlo.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int
from numpy.polynomial.legendre import leggauss
from scipy.special import gammainc, gammaincinv

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.policies._agreement import ConsistencyRule, beats_runner_up

ANSWERS = 5  # leading answers compared, as in the authors' code
_NODES, _WEIGHTS = (array / 2 for array in leggauss(48))
_NODES = _NODES + 0.5
_WEIGHTS = _WEIGHTS * 6 * _NODES * (1 - _NODES)
_SHARES = _NODES**2 * (3 - 2 * _NODES)  # of the leader's distribution, closer together towards its tails


@dataclass(frozen=True)
class AscBeta(ConsistencyRule):
    """Stops once the leading answer beats its runner-up: at 0.95, after four equal answers.

    Attributes:
        confidence: Probability from which it stops, in (0, 1).
        max_samples: Cap, >= 1.
        step: Samples between decisions: ``one``, ``auto`` (one, while free places of the engine draw further ones
            ahead), ``double`` (as many again as drawn), or ``jump`` (as many as it takes to stop if all agree with the
            leader; never more samples than ``one``).
    """

    name: ClassVar[str] = "asc_beta"

    def _lead(self, votes: Ints) -> Floats:
        return beats_runner_up(votes)


@dataclass(frozen=True)
class AscDirichlet(ConsistencyRule):
    """Stops once the leading answer beats all others.

    Attributes:
        confidence: Probability from which it stops, in (0, 1).
        max_samples: Cap, >= 1.
        step: Samples between decisions: ``one``, ``auto`` (one, while free places of the engine draw further ones
            ahead), ``double`` (as many again as drawn), or ``jump`` (as many as it takes to stop if all agree with the
            leader; never more samples than ``one``).
    """

    name: ClassVar[str] = "asc_dirichlet"

    def _lead(self, votes: Ints) -> Floats:
        # Thousands of questions have a few dozen vote tables between them: each is integrated once.
        padded = np.zeros((len(votes), ANSWERS), np.int64)
        padded[:, : votes.shape[1]] = votes[:, :ANSWERS]
        tables, table_of = np.unique(padded, axis=0, return_inverse=True)
        return largest_share(tables)[table_of.ravel()]


def largest_share(votes: Int[Ints, "tables answers"]) -> Float[Floats, " tables"]:
    """The probability that the first answer's share is the largest.

    Args:
        votes: The leading answers' votes, most first. An answer without votes is not compared, but a lone answer is
            compared with one unseen answer, as the beta rule does.
    """
    compared = votes[:, 1:] > 0
    compared[:, 0] = True
    leader = gammaincinv(votes[:, :1] + 1, _SHARES)
    smaller = gammainc(votes[:, 1:, None] + 1, leader[:, None])
    return np.asarray(np.where(compared[..., None], smaller, 1.0).prod(1) @ _WEIGHTS)
