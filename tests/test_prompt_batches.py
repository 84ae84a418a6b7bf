"""Samples that share prompts: each prompt is read once, and the rewards are those of reading it with every sample."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from optscale_predictor.backends.adapters.lora import LoraSettings, tune
from optscale_predictor.backends.key_value_cache import cache_argument, cache_of
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.verifiers import trained_verifier
from optscale_predictor.backends.verifiers.prompt_batches import by_prompt, share_of_prompts
from optscale_predictor.backends.verifiers.reward_network import RewardNetwork
from optscale_predictor.backends.verifiers.sample_reader import SampleTokens
from optscale_predictor.backends.verifiers.trained_verifier import read_rewards
from optscale_predictor.backends.verifiers.training.question_batches import QuestionBatches
from optscale_predictor.backends.verifiers.training.verifier_loss import verifier_losses
from optscale_predictor.backends.verifiers.training.verifier_module import VerifierModule


@pytest.fixture(scope="module")
def network():
    """LoRA updates that do something, and a head that looks at everything."""
    torch.manual_seed(0)
    base = tune(load_pretrained(AutoModelForCausalLM, "embedded:generator", "cpu"), LoraSettings(rank=2, alpha=4))
    found = RewardNetwork(base, "decoder").eval()
    for name, part in found.named_parameters():
        if "lora_B" in name or name in ("states.weight", "states.bias", "signals.weight"):
            torch.nn.init.normal_(part, std=0.3)
    return found


def samples_of(prompts, seed=0):
    """Per prompt its length and its samples' lengths; their tokens are drawn."""
    rng = np.random.default_rng(seed)
    found = []
    for length, samples in prompts:
        prompt = rng.integers(1, 18, length).tolist()
        found += [SampleTokens([*prompt, *rng.integers(1, 18, one).tolist()], length) for one in samples]
    return found


def one_by_one(network, read):
    with torch.inference_mode():
        return [
            float(
                network(
                    torch.tensor([one.tokens]), torch.ones(1, len(one.tokens), dtype=int), torch.tensor([one.start])
                )
            )
            for one in read
        ]


def tokens_read(network, read, **options):
    """The rewards, and how many tokens the model was given for them, padding included."""
    counted = []
    hook = network.base.get_base_model().register_forward_pre_hook(
        lambda _, __, inputs: counted.append(inputs["input_ids"].numel()), with_kwargs=True
    )
    found = read_rewards(network, read, 0, **options)
    hook.remove()
    return found, sum(counted)


PROMPTS = [(9, [3, 5, 1, 4]), (30, [6, 2, 2, 7, 5]), (12, [4]), (30, [1, 8])]


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_rewards_are_those_of_each_sample_read_alone(network, batch_size):
    read = samples_of(PROMPTS)
    mixed = [read[index] for index in np.random.default_rng(1).permutation(len(read))]
    found, _ = tokens_read(network, mixed, batch_size=batch_size)
    np.testing.assert_allclose(found, one_by_one(network, mixed), atol=2e-4)
    assert np.ptp(found) > 0.1


def test_a_prompt_is_read_once_for_all_its_samples(network):
    read = samples_of([(40, [5] * 16), (40, [5] * 16)])
    found, counted = tokens_read(network, read)
    assert counted == 2 * 40 + 32 * 5
    np.testing.assert_allclose(found, one_by_one(network, read), atol=2e-4)


def test_prompts_that_are_not_shared_are_read_with_their_samples(network):
    read = samples_of([(20, [4])] * 6)
    found, counted = tokens_read(network, read)
    assert counted == 6 * 24
    np.testing.assert_allclose(found, one_by_one(network, read), atol=2e-4)


def test_what_is_refused_is_not_read_and_a_sample_without_a_token_has_a_reward(network):
    read = samples_of([(25, [0, 3, 4, 0, 2, 6])])
    done = []
    found, _ = tokens_read(network, read, skip={2: "too long"}, done=done.append)
    expected = one_by_one(network, read)
    assert np.isnan(found[2]) and sum(done) == 5
    kept = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(found[kept], np.array(expected)[kept], atol=2e-4)


def test_a_model_whose_cache_cannot_be_shared_out_reads_all(network, monkeypatch):
    read = samples_of(PROMPTS)
    monkeypatch.setattr("optscale_predictor.backends.verifiers.reward_network.can_choose_rows", lambda _: False)
    found, _ = tokens_read(network, read)
    np.testing.assert_allclose(found, one_by_one(network, read), atol=2e-4)


def test_logits_of_a_large_vocabulary_bound_the_batch(network, monkeypatch):
    read, sizes = samples_of([(10, [4] * 8)]), []
    monkeypatch.setattr(trained_verifier, "_MOST_LOGITS", 8 * network.vocabulary)
    read_rewards(network, read, 0, done=sizes.append)
    assert sizes == [2] * 4


@given(
    prompts=st.lists(st.tuples(st.integers(1, 6), st.lists(st.integers(1, 5), max_size=5)), max_size=6),
    batch_size=st.integers(1, 5),
    most=st.integers(1, 40),
)
def test_batches_hold_every_sample_once_and_no_more_than_they_may(prompts, batch_size, most):
    read = samples_of(prompts)
    seen = []
    for batch in by_prompt(read, range(len(read)), batch_size, most, most):
        assert len(batch.indices) <= batch_size
        longest = [max(map(len, batch.prompts)), max(map(len, batch.samples))]
        assert len(batch.indices) == 1 or len(batch.indices) * sum(longest) <= most
        for index, owner, sample in zip(batch.indices, batch.owner, batch.samples, strict=True):
            assert [*batch.prompts[owner], *sample] == read[index].tokens
        seen += batch.indices
    assert sorted(seen) == list(range(len(read)))


def test_the_share_of_prompts_counts_each_once():
    read = [SampleTokens([1, 2, 3, one], 3) for one in range(4)] + [SampleTokens([7, 8], 1)]
    assert share_of_prompts(read, range(5)) == 9 / 18
    assert share_of_prompts(read, [0, 4]) == 0 == share_of_prompts(read, [])


def gradients(network, batch):
    """Of the loss of one training batch, by parameter."""
    module = SimpleNamespace(network=network)
    rewards = VerifierModule._rewards(module, batch)
    network.zero_grad()
    verifier_losses(rewards, batch["correct"], batch["question"], 1.0).sum().backward()
    return {name: part.grad.clone() for name, part in network.named_parameters() if part.requires_grad}


@pytest.mark.parametrize("tokens_per_batch", [60, 4000])
def test_training_learns_the_same_from_prompts_that_are_read_once(network, tokens_per_batch):
    read = samples_of([(9, [3, 5, 1, 4]), (30, [6, 2, 2, 7]), (12, [4, 4, 1, 2])])
    correct, rows = np.arange(12) % 3 == 0, np.split(np.arange(12), 3)
    summed, counted = [], []
    for shares in (False, True):
        batches = QuestionBatches(read, correct, rows, 4, tokens_per_batch, 0, 0, shares)
        found = [(gradients(network, batch), batch) for batch in batches.loader()]
        assert all(("prompts" in batch) == shares for _, batch in found)
        summed.append({name: sum(one[name] for one, _ in found) for name in found[0][0]})
        counted.append(sum(int(batch[name].sum()) for _, batch in found for name in batch if name.endswith("mask")))
    assert counted == [
        sum(len(one.tokens) for one in read),
        9 + 30 + 12 + sum(len(one.tokens) - one.start for one in read),
    ]
    for name, value in summed[0].items():
        torch.testing.assert_close(
            summed[1][name], value, rtol=2e-3, atol=2e-4, msg=lambda said, name=name: name + said
        )
    assert any(value.abs().max() > 1e-2 for name, value in summed[0].items() if "lora_A" in name)


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_a_cache_is_known_by_its_former_name_and_by_its_new_one(name):
    cache = object()
    assert cache_argument({"input_ids", name}) == name
    assert cache_of(SimpleNamespace(logits=0, **{name: cache})) is cache and cache_of({name: cache}) is cache
    assert cache_of(SimpleNamespace(logits=0)) is None
