"""Adaptive-Consistency, beta rule: stop once the leading answer beats its runner-up (arXiv 2305.11860, sec. 3).

With v1 and v2 votes for the two, the leader's share among them is Beta(v1 + 1, v2 + 1) under a uniform prior; the rule
stops once P(share > 1/2) reaches the confidence: after four equal answers at 0.95.

Adaptive-Consistency, Dirichlet rule: stop once the leading answer beats all others (arXiv 2305.11860, sec. 3).

The shares of the (at most five) leading answers are Dirichlet(v + 1); the rule stops once P(the leader's is the
largest) reaches the confidence. Shares of a Dirichlet are ratios of independent Gammas, so that probability is
E[prod_i P(g_i < g_1)], one integral over the leader's Gamma; the authors' code estimates it by Monte Carlo.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import gammainc, gammaincinv

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.policies._agreement import ConsistencyRule, beats_runner_up


@dataclass(frozen=True)
class AscBeta(ConsistencyRule):
    """See the module; settings as :class:`ConsistencyRule`."""

    name: ClassVar[str] = "asc_beta"

    def _lead(self, votes: Ints) -> Floats:
        return beats_runner_up(votes)


ANSWERS = 5  # leading answers compared, as in the authors' code
_NODES, _WEIGHTS = (array / 2 for array in leggauss(48))
_NODES = _NODES + 0.5
_WEIGHTS = _WEIGHTS * 6 * _NODES * (1 - _NODES)
_SHARES = _NODES**2 * (3 - 2 * _NODES)  # of the leader's distribution, closer together towards its tails


@dataclass(frozen=True)
class AscDirichlet(ConsistencyRule):
    """See the module; settings as :class:`ConsistencyRule`."""

    name: ClassVar[str] = "asc_dirichlet"

    def _lead(self, votes: Ints) -> Floats:
        # A question's answers so far are few kinds of vote tables: each is integrated once.
        padded = np.zeros((len(votes), ANSWERS), np.int64)
        padded[:, : votes.shape[1]] = votes[:, :ANSWERS]
        kinds, place = np.unique(padded, axis=0, return_inverse=True)
        return largest_share(kinds)[place.reshape(-1)]


def largest_share(votes: Ints) -> Floats:
    """P(the first answer's share is the largest), votes [tables, answers]; an answer without votes is not compared.

    A lone answer is compared with one unseen answer, as the beta rule does.
    """
    compared = votes[:, 1:] > 0
    compared[:, 0] = True
    leader = gammaincinv(votes[:, :1] + 1, _SHARES)
    smaller = gammainc(votes[:, 1:, None] + 1, leader[:, None])
    return np.asarray(np.where(compared[..., None], smaller, 1.0).prod(1) @ _WEIGHTS)
