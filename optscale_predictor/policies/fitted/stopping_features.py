"""What of a question's draws says whether another sample is worth its tokens."""

import numpy as np
from jaxtyping import Float
from scipy.special import betainc, betaincc

from optscale_predictor._support.arrays import Floats
from optscale_predictor.policies._policy import Draws
from optscale_predictor.policies.fitted.answer_features import QUESTION_FEATURES
from optscale_predictor.policies.fitted.confidence_model import Confidence

STOPPING_FEATURES = (
    "log_samples",
    "leader",
    "runner_up",
    "none",
    "log_odds_of_lead",
    "best_evidence",
    "log_mean_tokens",
    "prior_mean",
    "prior_std",
)
_SUREST = 12.0  # log-odds beyond which a lead is no surer


def stopping_features(draws: Draws, found: Confidence) -> Float[Floats, "questions features"]:
    """The features of each question, as ``STOPPING_FEATURES`` names them; finite.

    Args:
        draws: The samples so far, at least one of each question.
        found: What is believed of their answers.
    """
    table = found.table
    of_question = table.question_features
    best = np.where(table.group >= 0, table.evidence, -_SUREST).max(-1)
    return np.stack(
        [
            np.log(draws.count),
            found.of_leader,
            found.of_runner_up,
            found.none,
            lead_log_odds(*_votes(found)),
            best,
            *(of_question[:, QUESTION_FEATURES.index(name)] for name in ("log_mean_tokens", "prior_mean", "prior_std")),
        ],
        -1,
    )


def lead_log_odds(
    leading: Float[Floats, " questions"], second: Float[Floats, " questions"]
) -> Float[Floats, " questions"]:
    """Log-odds that the leading answer is more frequent than its runner-up, under a uniform prior of their shares.

    The stopping statistic of adaptive consistency (Aggarwal et al., 2023), at most 12.

    Args:
        leading: Votes of the leading answer, >= 0.
        second: Votes of the next, >= 0.
    """
    ahead, behind = betaincc(leading + 1, second + 1, 0.5), betainc(leading + 1, second + 1, 0.5)
    return np.asarray(np.minimum(np.log(ahead) - np.log(np.maximum(behind, 1e-300)), _SUREST))


def _votes(found: Confidence) -> tuple[Floats, Floats]:
    """Votes of the most frequent answer and of the next."""
    table = found.table
    votes = np.where(table.answered, table.votes, 0.0)
    leading = table.max_by_question(votes, 0.0)
    leads = np.flatnonzero((votes == leading[table.question]) & (votes > 0))
    rest = votes.copy()
    _, earliest = np.unique(table.question[leads], return_index=True)
    rest[leads[earliest]] = 0.0
    return leading, table.max_by_question(rest, 0.0)
