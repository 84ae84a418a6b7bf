"""Reward models that ``optscale train-verifier`` made: a language model with LoRA updates and a head, in a folder."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor._support.devices import choose_device
from optscale_predictor.backends.adapters.base_model import folder_name
from optscale_predictor.backends.model_source import ModelSource
from optscale_predictor.backends.verifiers.cpu_threads import reading_threads
from optscale_predictor.backends.verifiers.length_batches import BATCH_TOKENS, by_length, padded, too_long
from optscale_predictor.backends.verifiers.prompt_batches import WORTH_SHARING, by_prompt, share_of_prompts
from optscale_predictor.backends.verifiers.reward_network import RewardNetwork
from optscale_predictor.backends.verifiers.sample_reader import SampleReader, SampleTokens
from optscale_predictor.backends.verifiers.score_maps import LogisticMap, RewardVerifier
from optscale_predictor.backends.verifiers.verifier import Answered
from optscale_predictor.backends.verifiers.verifier_files import (
    content_version,
    load_verifier,
    load_verifier_config,
    verifier_folder,
)
from optscale_predictor.errors import InputError

_MOST_LOGITS = 2**28  # in one batch, a gibibyte: a vocabulary is large


class TrainedVerifier(RewardVerifier):
    """Scores samples by a trained verifier.

    Args:
        model: Its folder, or the hub id of one.
        batch_size: Samples in one batch, >= 1.
        device: A torch device; ``auto`` takes CUDA where there is one.

    Raises:
        InputError: There is no such folder, a part of it is missing or does not fit, or the base model is not here or
            another one than it was trained on.
    """

    def __init__(self, model: str, batch_size: int = 256, device: str = "auto") -> None:
        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        folder = verifier_folder(model)
        self._name, self._batch_size = model, batch_size
        self._config = load_verifier_config(folder)
        self._version = content_version(folder, self._config)
        self.score_map: LogisticMap | None = self._config.score_map
        network, tokenizer = load_verifier(folder, self._config)
        self._reader = SampleReader(tokenizer, self._config)
        self._network = network.to(choose_device(device))

    def describe_model(self) -> Mapping[str, object]:
        """What a pool's manifest records, without the map; ``version`` names the content, whatever the folder."""
        base = folder_name(self._config.base_model)
        own = {"adapter": "trained_verifier", "model": self._name, "version": self._version, "base": base}
        return {**own, **ModelSource.from_json(self._config.base_source).description}

    def rewards(self, items: Sequence[Answered]) -> tuple[Floats, Ints, dict[int, str]]:
        """Log-odds that samples are right [items] (NaN where refused), tokens read [items], and refusals by index."""
        read = [self._reader(item) for item in items]
        lengths = [len(one.tokens) for one in read]
        refusals = too_long(lengths, self._config.max_length)
        found = read_rewards(self._network, read, self._reader.padding, refusals, self._batch_size)
        return found, np.array(lengths, np.int64), refusals


@torch.inference_mode()
def read_rewards(
    network: RewardNetwork,
    read: Sequence[SampleTokens],
    padding: int,
    skip: Mapping[int, str] | None = None,
    batch_size: int = 256,
    done: Callable[[int], object] = lambda samples: None,
) -> Floats:
    """Rewards of tokenised samples, in their order; NaN for those that are skipped.

    Batches hold texts of neighbouring lengths. Where samples share prompts and the model can, each prompt is read once.

    Args:
        network: In evaluation mode.
        read: The samples.
        padding: The token that pads.
        skip: Indices to leave out.
        batch_size: Most samples in a batch, >= 1.
        done: Called with how many samples were read, batch by batch.
    """
    found = np.full(len(read), np.nan)
    wanted = [index for index in range(len(read)) if index not in (skip or {})]
    # A sample without a token has nothing that is read after its prompt.
    after = [index for index in wanted if len(read[index].tokens) > read[index].start]
    shares = network.shares_prefixes and share_of_prompts(read, after) >= WORTH_SHARING
    left = set(wanted) - (_read_after_prompts(network, read, after, batch_size, found, done) if shares else set())
    most = max(1, min(BATCH_TOKENS, _MOST_LOGITS // network.vocabulary))
    apart = {index: "" for index in range(len(read)) if index not in left}
    for batch in by_length([len(one.tokens) for one in read], batch_size, apart, most):
        tokens, mask = padded([read[index].tokens for index in batch], padding, network.device)
        start = torch.tensor([read[index].start for index in batch], device=network.device)
        with reading_threads(network, tokens.numel()):
            found[batch] = network(tokens, mask, start).double().cpu().numpy()
        done(len(batch))
    return found


def _read_after_prompts(
    network: RewardNetwork,
    read: Sequence[SampleTokens],
    indices: Sequence[int],
    batch_size: int,
    found: Floats,
    done: Callable[[int], object],
) -> set[int]:
    """Writes the rewards of samples into ``found``, each prompt read once; returns which."""
    written: set[int] = set()
    most = max(1, _MOST_LOGITS // network.vocabulary)
    for batch in by_prompt(read, indices, batch_size, BATCH_TOKENS, most):
        with reading_threads(network, sum(len(read[index].tokens) for index in batch.indices)):
            rewards = network.after_prompts(**batch.padded(network.device))
        if rewards is None:
            return written
        found[batch.indices] = rewards.double().cpu().numpy()
        written.update(batch.indices)
        done(len(batch.indices))
    return written
