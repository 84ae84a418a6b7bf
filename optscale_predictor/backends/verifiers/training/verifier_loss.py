"""The loss of a verifier: is the sample right, and is it better than the question's wrong ones?

Binary cross-entropy on P(right) makes rewards log-odds that compare across questions. It can be lowered far by knowing
which questions are hard, which is of no use where one of a question's samples is to be chosen. So a second part, the
Bradley-Terry loss (1952) on all pairs of a right and a wrong sample of one question, is blind to questions.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def verifier_losses(
    rewards: Float[Tensor, " samples"],
    correct: Bool[Tensor, " samples"],
    question: Int[Tensor, " samples"],
    pair_weight: float,
) -> Float[Tensor, " questions"]:
    """One loss for each of a batch's questions, in the order of their numbers.

    A question's cross-entropy is the mean over its samples, its pairs' loss that over its pairs, 0 without any.

    Args:
        rewards: Log-odds that each sample is right.
        correct: Whether it is.
        question: Which of the batch's questions it answers.
        pair_weight: Weight of the loss on pairs, >= 0.
    """
    _, place = question.unique(return_inverse=True)
    number = int(place.max()) + 1
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(rewards, correct.float(), reduction="none")
    losses = _means(entropy, place, number)
    better, worse = torch.nonzero((place[:, None] == place) & correct[:, None] & ~correct, as_tuple=True)
    if not pair_weight or not len(better):
        return losses
    lost = torch.nn.functional.softplus(rewards[worse] - rewards[better])
    return losses + pair_weight * _means(lost, place[better], number)


def _means(values: Tensor, place: Tensor, number: int) -> Tensor:
    """Means of the values at each of so many places; 0 where there is none."""
    zeros = torch.zeros(number, dtype=values.dtype, device=values.device)
    counts = zeros.index_add(0, place, torch.ones_like(values))
    return zeros.index_add(0, place, values) / counts.clamp(min=1)
