"""Batches of whole questions, some samples of each: pairs of right and wrong samples need both in one batch."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.utils.data import Dataset

from optscale_predictor._support.arrays import Bools, Ints
from optscale_predictor._support.training_loop.length_buckets import BucketLoader, LengthBuckets
from optscale_predictor.backends.verifiers.length_batches import padded
from optscale_predictor.backends.verifiers.prompt_batches import PromptBatch
from optscale_predictor.backends.verifiers.sample_reader import SampleTokens

Batch = dict[str, Tensor]
"""``tokens`` and ``mask`` [samples, length]; ``correct`` and ``question`` [samples]. Where prompts are read once, what
``RewardNetwork.after_prompts`` takes beside them; else ``start`` [samples]."""


class QuestionBatches(Dataset[Batch]):
    """Gives out batches of questions; which of a question's samples are in it changes from epoch to epoch.

    Args:
        read: The samples' tokens.
        correct: Whether each sample is right.
        rows: Indices of each question's samples, one at least.
        samples: Most samples of a question, >= 2.
        tokens_per_batch: Tokens in a batch at most, padding included, >= 1.
        padding: The token that pads.
        seed: Of samples and order.
        shares_prompts: Whether a question's prompt is read once for all of its samples, which have tokens then.

    Attributes:
        buckets: The order of the batches.
    """

    def __init__(
        self,
        read: Sequence[SampleTokens],
        correct: Bool[Bools, " samples"],
        rows: Sequence[Int[Ints, " some"]],
        samples: int,
        tokens_per_batch: int,
        padding: int,
        seed: int,
        shares_prompts: bool = False,
    ) -> None:
        self.read, self.correct, self.padding, self._shares = read, correct, padding, shares_prompts
        self._rows, self._samples, self._seed = list(rows), samples, seed
        # What a question takes at most, whichever of its samples are drawn: the cuts are the same in every epoch.
        self.buckets = LengthBuckets([self._most_tokens(some) for some in self._rows], 1, seed, tokens_per_batch)

    def _most_tokens(self, some: Int[Ints, " some"]) -> int:
        read: list[SampleTokens] = [self.read[index] for index in some.tolist()]
        number = min(self._samples, len(some))
        if not self._shares:
            return number * max(len(one.tokens) for one in read)
        return max(one.start for one in read) + number * max(len(one.tokens) - one.start for one in read)

    def loader(self) -> BucketLoader:
        """What a trainer takes."""
        return BucketLoader(self, self.buckets)

    def __len__(self) -> int:
        """Number of questions."""
        return len(self._rows)

    def __getitem__(self, questions: list[int]) -> Batch:
        """The batch of these questions, in the epoch that the order of batches is in."""
        drawn = [self.draw(question, self.buckets.epoch) for question in questions]
        chosen = [index for one in drawn for index in one.tolist()]
        return {
            **(self._after_prompts(chosen) if self._shares else self._whole(chosen)),
            "correct": torch.from_numpy(self.correct[chosen]),
            "question": torch.repeat_interleave(torch.tensor(list(map(len, drawn)))),
        }

    def _whole(self, chosen: Sequence[int]) -> Batch:
        tokens, mask = padded([self.read[index].tokens for index in chosen], self.padding, torch.device("cpu"))
        return {"tokens": tokens, "mask": mask, "start": torch.tensor([self.read[index].start for index in chosen])}

    def _after_prompts(self, chosen: Sequence[int]) -> Batch:
        batch = PromptBatch()
        for index in chosen:
            one = self.read[index]
            batch.join(one.tokens[: one.start], one.tokens[one.start :], index)
        return batch.padded(torch.device("cpu"))

    def draw(self, question: int, epoch: int) -> Int[Ints, " some"]:
        """Which of a question's samples an epoch has: any, but right and wrong ones where there are both.

        Args:
            question: Its place among the questions.
            epoch: Of the run, >= 0.
        """
        rng = np.random.default_rng([self._seed, 3, epoch, question])
        order = rng.permutation(self._rows[question])
        chosen, rest = order[: self._samples], order[self._samples :]
        other = rest[self.correct[rest] != self.correct[chosen[0]]]
        if len(other) and len(np.unique(self.correct[chosen])) == 1:
            chosen[-1] = other[0]  # else the question would have no pair to learn from
        return chosen
