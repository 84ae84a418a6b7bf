"""P(this answer is right | scores, agreement, lengths, prior): a conditional logit over a question's distinct answers.

Either one of the answers drawn is right or none is. Each answer has a utility that is linear in its features, "none"
one that is linear in the question's, and the probabilities are their softmax (McFadden, Conditional Logit Analysis of
Qualitative Choice Behavior, 1974). A score, a vote and a length thus speak of one answer against the others of the same
question, which is what a selection needs, and the same fit says how sure the choice is. With a dozen weights it can be
fitted to forty questions.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.policies._policy import Draws
from optscale_predictor.policies.fitted.answer_features import AnswerTable, ScoreEvidence, answer_table


@dataclass(frozen=True)
class Confidence:
    """What is believed of the answers of a batch of questions.

    Attributes:
        table: The distinct answers.
        right: P(right) of each group, in [0, 1].
        none: P(no answer drawn so far is right) of each question, in [0, 1].
        leader: The group that is most probably right; -1 where a question has none.
        chosen: The leader's sample with the best score, the earliest of equals; 0 where a question has no group.
    """

    table: AnswerTable
    right: Float[Floats, " groups"]
    none: Float[Floats, " questions"]
    leader: Int[Ints, " questions"]
    chosen: Int[Ints, " questions"]

    @property
    def of_leader(self) -> Float[Floats, " questions"]:
        """P(the leading answer is right); 0 where there is none."""
        return np.where(self.leader >= 0, np.append(self.right, 0.0)[self.leader], 0.0)

    @property
    def of_runner_up(self) -> Float[Floats, " questions"]:
        """P(the next answer is right); 0 where there is none."""
        others = self.right.copy()
        others[self.leader[self.leader >= 0]] = 0.0
        return self.table.max_by_question(others, 0.0)


@dataclass(frozen=True, eq=False)
class ConfidenceModel:
    """The weights of the conditional logit.

    Attributes:
        evidence: What a score says of a sample.
        answer_weights: Of ``GROUP_FEATURES``.
        none_weights: Of ``QUESTION_FEATURES``.
    """

    evidence: ScoreEvidence
    answer_weights: Float[Floats, " group_features"]
    none_weights: Float[Floats, " question_features"]

    def __call__(self, draws: Draws) -> Confidence:
        """How probable each distinct answer is.

        Args:
            draws: The samples so far.
        """
        table = answer_table(draws, self.evidence)
        right, none = choice_probabilities(
            table, table.features @ self.answer_weights, table.question_features @ self.none_weights
        )
        leader = _leaders(table, right)
        return Confidence(table, right, none, leader, _best_of(draws.scores, table.group == leader[:, None]))


def choice_probabilities(
    table: AnswerTable, utility: Float[Floats, " groups"], none: Float[Floats, " questions"]
) -> tuple[Float[Floats, " groups"], Float[Floats, " questions"]]:
    """Softmax over each question's answers and "none of them".

    Args:
        table: Which groups are whose.
        utility: Of each group, finite.
        none: Utility of "none of them", finite.
    """
    highest = np.maximum(table.max_by_question(utility, -np.inf), none)
    weight, rest = np.exp(utility - highest[table.question]), np.exp(none - highest)
    total = table.sum_by_question(weight) + rest
    return weight / total[table.question], rest / total


def _leaders(table: AnswerTable, right: Floats) -> Ints:
    """Each question's most probable group, of equals the one drawn first; -1 where it has none."""
    leads = np.flatnonzero(right == table.max_by_question(right, -np.inf)[table.question])
    leader = np.full(len(table.group), -1)
    leader[table.question[leads][::-1]] = leads[::-1]  # groups lie in the order drawn: the first one is written last
    return leader


def _best_of(scores: Floats, member: Bools) -> Ints:
    return np.asarray(np.argmax(np.where(member & ~np.isnan(scores), scores, -np.inf), -1))
