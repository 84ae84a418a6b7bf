"""Batches of samples that share prompts, for verifiers that read each prompt once.

A question's samples come together, and its prompt is most of what a short sample is read with: a word problem of fifty
tokens before an answer of twenty.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optscale_predictor.backends.verifiers.length_batches import padded
from optscale_predictor.backends.verifiers.sample_reader import SampleTokens

if TYPE_CHECKING:
    import torch

#: Of all tokens: where sharing prompts saves less, a second pass over the model costs what is saved.
WORTH_SHARING = 0.2


@dataclass
class PromptBatch:
    """Samples and their prompts.

    Attributes:
        prompts: Tokens of each prompt.
        owner: Of each sample, which prompt is its own.
        samples: Tokens of each sample, without its prompt.
        indices: Which sample each is, among all that are read.
    """

    prompts: list[list[int]] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)
    samples: list[list[int]] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)

    def join(self, prompt: list[int], sample: list[int], index: int) -> None:
        """Adds a sample; its prompt too, unless the one before had the same."""
        if not self.prompts or self.prompts[-1] != prompt:
            self.prompts.append(prompt)
        self.owner.append(len(self.prompts) - 1)
        self.samples.append(sample)
        self.indices.append(index)

    def padded(self, device: "torch.device") -> "dict[str, torch.Tensor]":
        """What :meth:`RewardNetwork.after_prompts` takes, by name.

        Args:
            device: Where it goes.
        """
        import torch

        # Turned round twice: padding is to stand on the left, so that a sample follows its prompt at once.
        prompts, prompt_mask = padded([prompt[::-1] for prompt in self.prompts], 0, device)
        tokens, mask = padded(self.samples, 0, device)
        owner = torch.tensor(self.owner, device=device)
        turned = {"prompts": prompts.flip(-1), "prompt_mask": prompt_mask.flip(-1)}
        return {**turned, "owner": owner, "tokens": tokens, "mask": mask}

    def size_with(self, prompt: list[int], sample: list[int]) -> tuple[int, int]:
        """Tokens of prompts with samples, and of samples alone, padding included, were this sample to join."""
        rows = len(self.samples) + 1
        longest = max(len(one) for one in (*self.samples, sample))
        return rows * (max(len(one) for one in (*self.prompts, prompt)) + longest), rows * longest


def share_of_prompts(read: Sequence[SampleTokens], indices: Sequence[int]) -> float:
    """The share of all tokens that need not be read where each prompt is read once, in [0, 1).

    Args:
        read: All samples.
        indices: Those that are read.
    """
    total = sum(len(read[index].tokens) for index in indices)
    prompts = {tuple(read[index].tokens[: read[index].start]) for index in indices}
    saved = sum(read[index].start for index in indices) - sum(map(len, prompts))
    return saved / max(total, 1)


def by_prompt(
    read: Sequence[SampleTokens], indices: Sequence[int], batch_size: int, max_tokens: int, max_sample_tokens: int
) -> Iterator[PromptBatch]:
    """Batches of neighbouring prompt lengths, a question's samples together and the shortest first.

    Args:
        read: All samples.
        indices: Those that are read.
        batch_size: Most samples in a batch, >= 1.
        max_tokens: Most tokens of prompts with samples in a batch of several, padding included.
        max_sample_tokens: Most tokens of samples alone, likewise.
    """
    split: Mapping[int, tuple[list[int], list[int]]] = {
        index: (read[index].tokens[: read[index].start], read[index].tokens[read[index].start :]) for index in indices
    }
    batch = PromptBatch()
    for index in sorted(indices, key=lambda one: (len(split[one][0]), split[one][0], len(split[one][1]))):
        prompt, sample = split[index]
        tokens, sample_tokens = batch.size_with(prompt, sample)
        full = len(batch.samples) == batch_size or tokens > max_tokens or sample_tokens > max_sample_tokens
        if batch.samples and full:
            yield batch
            batch = PromptBatch()
        batch.join(prompt, sample, index)
    if batch.samples:
        yield batch
