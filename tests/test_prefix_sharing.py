"""Samples that agree so far share a row of the batch: independent draws all the same, and less to read."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.generators.prefix_sharing import PrefixBatch, draw_tokens
from optscale_predictor.errors import EngineError

CHANCE = 1e-6  # of a test that fails though all is right; in either tail: too even is as wrong as too uneven


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def check_counts(counts, expected):
    """Counts of independent draws, rare outcomes as one."""
    rare = expected < 5
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    if expected[-1] < 5:
        counts, expected = counts[:-1], expected[:-1] * counts[:-1].sum() / expected[:-1].sum()
    assert CHANCE < chisquare(counts, expected * counts.sum() / expected.sum()).pvalue < 1 - CHANCE


class TestDrawTokens:
    ROWS = torch.tensor(
        [[0.0, 0.1, 0.0, 0.6, 0.3, 0.0], [0.5, 0.0, 0.0, 0.0, 0.0, 0.5], [3.0, 1.0, 1.0, 1.0, 2.0, 2.0]]
    )

    def test_each_sample_follows_its_own_row(self):
        row_of = torch.randint(3, (30_000,), generator=seeded(1))
        drawn = draw_tokens(self.ROWS, row_of, seeded())
        for row, probability in enumerate(self.ROWS.double().numpy()):
            counts = np.bincount(drawn[row_of == row].numpy(), minlength=6)
            assert not counts[probability == 0].any()
            check_counts(counts, probability / probability.sum() * counts.sum())

    def test_the_tail_of_a_large_vocabulary_is_drawn_as_often_as_it_should(self):
        probability = torch.full((300, 200_000), 1e-9)  # 2e-4 in all: less than float32 resolves of a sum near one
        probability[:, 0] = 1 - probability[0, 1:].double().sum()
        drawn = draw_tokens(probability, torch.arange(300).repeat_interleave(200), seeded(2))
        assert (drawn >= 0).all() and (drawn < 200_000).all()
        likely = draw_tokens(torch.tensor([[0.5, *[5e-6] * 100_000]]), torch.zeros(40_000, dtype=torch.long), seeded())
        check_counts(np.histogram(likely.numpy(), [0, 1, 50_001, 100_001])[0], np.array([20_000, 10_000, 10_000]))

    def test_a_uniform_number_next_to_one_stays_in_its_row(self, monkeypatch):
        monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.full((400,), 1 - 2**-53, dtype=torch.float64))
        assert (draw_tokens(torch.tensor([[0.2, 0.8, 0.0]]).repeat(400, 1), torch.arange(400), seeded()) == 1).all()

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
    def test_what_is_no_distribution_is_refused(self, value):
        with pytest.raises(EngineError, match="no numbers"):
            draw_tokens(torch.tensor([[0.5, 0.5], [value, value]]), torch.tensor([0, 0]), seeded())


def test_forks_keep_every_samples_tokens():
    rng = np.random.default_rng(0)
    written = [[10 + question] for question in (0, 0, 1, 1, 1, 2)]
    batch = PrefixBatch(torch.tensor([[10], [11], [12]]), torch.ones(3, 1, dtype=torch.long))
    row_of = torch.tensor([0, 0, 1, 1, 1, 2])
    for _ in range(6):
        new = rng.integers(3, size=len(written))
        written = [[*tokens, int(token)] for tokens, token in zip(written, new, strict=True)]
        kept = sorted(rng.choice(len(written), max(3, len(written) - 1), replace=False))
        written, row_of, new = [written[index] for index in kept], row_of[kept], torch.from_numpy(new[kept])
        row_of = batch.fork(row_of, new)
        assert batch.tokens[row_of].tolist() == written
        assert len(batch.tokens) == len({tuple(tokens) for tokens in written})
        assert batch.mask.shape == batch.tokens.shape


@pytest.mark.parametrize("seed", range(20))
def test_rows_keep_their_places_where_they_can(seed):
    rng = np.random.default_rng(seed)
    rows, samples = int(rng.integers(1, 13)), int(rng.integers(1, 13))
    row_of, new = rng.integers(rows, size=samples), rng.integers(2, size=samples)
    batch = PrefixBatch(torch.arange(rows)[:, None], torch.ones(rows, 1, dtype=torch.long))
    batch.fork(torch.from_numpy(row_of), torch.from_numpy(new))
    forks = {*zip(row_of.tolist(), new.tolist(), strict=True)}
    assert {tuple(row) for row in batch.tokens.tolist()} == forks and len(batch.tokens) == len(forks)
    for place, (parent, _) in enumerate(batch.tokens.tolist()):
        # A place that had a sample's beginning and still is one goes on with it.
        assert parent == place or place not in row_of or place >= rows


def generator_of(**sampling):
    return HuggingFaceGenerator("embedded:generator", SamplingParams(**sampling), device="cpu")


def rows_read(generator, requests):
    """Rows of each call of the model, and the samples."""
    seen = []
    hook = generator._model.register_forward_pre_hook(
        lambda _module, _args, inputs: seen.append(len(inputs["input_ids"])), with_kwargs=True
    )
    with hook:
        samples = dict(generator.generate(requests))
    return seen, samples


def test_greedy_samples_of_a_question_are_drawn_once():
    seen, samples = rows_read(generator_of(temperature=0.0), [Request("a", "7+5=", 8), Request("b", "91+8+64=", 8)])
    assert max(seen) == 2
    assert all(len({sample.text for sample in drawn}) == 1 and len(drawn) == 8 for drawn in samples.values())


def test_each_different_beginning_is_read_once():
    seen, samples = rows_read(generator_of(temperature=2.0, max_tokens=30), [Request("a", "12+34+56=", 40)])
    beginnings = set()
    for sample in samples.popitem()[1]:  # a token of this model is a character
        last = sample.num_tokens if sample.finish_reason == "stop" else 30
        beginnings |= {sample.text[:length] for length in range(last)}
    assert sum(seen) == len(beginnings) < 40 * 30 / 2


def test_whole_samples_follow_the_models_probabilities():
    """All continuations of three tokens, their probabilities by the model without a cache."""
    temperature, prompt, num = 1.5, "12+34+56+78=\n", 6000
    generator = generator_of(temperature=temperature, max_tokens=3)
    tokenizer, ends = generator._transcriber.tokenizer, set(generator._ends.tolist())
    open_, probability = {(): 1.0}, {}
    for length in range(3):
        following = {}
        for tokens, chance in open_.items():
            read = torch.tensor([tokenizer(prompt)["input_ids"] + list(tokens)])
            with torch.inference_mode():
                logits = generator._model(input_ids=read, use_cache=False).logits[0, -1].double()
            for token, share in enumerate(torch.softmax(logits / temperature, -1).tolist()):
                done = token in ends or length == 2
                (probability if done else following)[*tokens, token] = chance * share
        open_ = {tokens: chance for tokens, chance in following.items() if chance > 1e-4}
    texts = {}
    for tokens, chance in probability.items():
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        texts[text] = texts.get(text, 0) + chance
    assert sum(texts.values()) > 0.97
    (drawn,) = dict(generator.generate([Request("q", prompt, num)])).values()
    counts = {text: 0 for text in texts}
    for sample in drawn:
        if sample.text in counts:
            counts[sample.text] += 1
    left = num - sum(counts.values())
    check_counts(np.array([*counts.values(), left]), num * np.array([*texts.values(), 1 - sum(texts.values())]))
