"""A cache that grows in place holds what that of transformers does, whatever rows are chosen, and copies what moves."""

from inspect import signature

import pytest
import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from optscale_predictor.backends.growing_cache import GrowingLayer, growing
from optscale_predictor.backends.key_value_cache import cache_argument, cache_of
from optscale_predictor.backends.model_loading import load_pretrained

HEADS, SIZE = 2, 3


def states(rows, tokens, rng):
    return tuple(torch.randn(rows, HEADS, tokens, SIZE, generator=rng) for _ in range(2))


def filled(*layers):
    """A cache whose first model pass is over."""
    cache = DynamicCache()
    cache.layers = list(layers)
    rng = torch.Generator().manual_seed(0)
    for layer in layers:
        layer.update(*states(4, 5, rng))
    return cache


def both(rows=4, tokens=5, seed=0):
    """The same content in transformers' layer and in ours."""
    rng = torch.Generator().manual_seed(seed)
    theirs, content = DynamicLayer(), states(rows, tokens, rng)
    theirs.update(*content)
    ours = DynamicLayer()
    ours.update(*content)
    return theirs, GrowingLayer.of(ours), rng


def same(theirs, ours):
    return torch.equal(theirs.keys, ours.keys) and torch.equal(theirs.values, ours.values)


@pytest.mark.parametrize("seed", range(6))
def test_any_rows_and_tokens_are_those_of_transformers(seed):
    theirs, ours, rng = both(seed=seed)
    for step in range(60):
        rows = len(theirs.keys)
        after = int(torch.randint(1, min(2 * rows, 40) + 1, (), generator=rng))
        # Chosen at random rows are repeated, left out and swapped; every third time most stay where they were.
        chosen = torch.randint(rows, (after,), generator=rng)
        if step % 3 == 0:
            staying = torch.arange(after).clamp(max=rows - 1)
            chosen = torch.where(torch.rand(after, generator=rng) < 0.8, staying, chosen)
        for layer in (theirs, ours):
            layer.reorder_cache(chosen)
        assert same(theirs, ours)
        new = states(after, 1 if step % 7 else 40, rng)
        shown = [layer.update(*new) for layer in (theirs, ours)]
        assert same(theirs, ours) and all(torch.equal(*pair) for pair in zip(*shown, strict=True))
        assert ours.get_seq_length() == theirs.get_seq_length()


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.batch_select_indices(torch.tensor([2, 2, 0])),  # as MiniMax' cache has rows chosen
        lambda layer: layer.batch_repeat_interleave(2),
        lambda layer: layer.crop(-1),
    ],
    ids=["select", "repeat", "crop"],
)
def test_whoever_changes_rows_or_tokens_otherwise_finds_them_so(change):
    theirs, ours, rng = both()
    for _ in range(3):
        for after in (lambda layer: None, lambda layer: layer.reorder_cache(torch.tensor([1, 0, 0]))):
            for layer in (theirs, ours):
                change(layer)
                after(layer)
            new = states(len(theirs.keys), 1, rng)
            for layer in (theirs, ours):
                layer.update(*new)
            assert same(theirs, ours)


def test_rows_that_stay_are_not_copied():
    _, ours, rng = both(rows=4)
    ours.update(*states(4, 1, rng))  # which makes room
    kept = ours.keys.data_ptr(), ours.values.data_ptr()
    for chosen in ([0, 1, 2], [2, 1], [0, 1]):
        ours.reorder_cache(torch.tensor(chosen))
        ours.update(*states(len(chosen), 3, rng))
        assert (ours.keys.data_ptr(), ours.values.data_ptr()) == kept


def test_only_plain_layers_that_hold_something_are_replaced():
    cache = filled(DynamicLayer(), DynamicSlidingWindowLayer(sliding_window=4))
    cache.layers.append(DynamicLayer())
    window, empty = cache.layers[1:]
    growing(cache)
    assert type(cache.layers[0]) is GrowingLayer and cache.layers[1] is window and cache.layers[2] is empty
    ours = cache.layers[0]
    assert growing(cache).layers[0] is ours
    assert growing(None) is None


def test_a_model_reads_on_from_it_as_from_its_own():
    from transformers import AutoModelForCausalLM

    model = load_pretrained(AutoModelForCausalLM, "embedded:generator", "cpu").eval()
    argument = cache_argument(signature(model.forward).parameters)
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randint(2, 18, (3, 6), generator=rng)
    with torch.inference_mode():
        cache = growing(cache_of(model(input_ids=tokens, use_cache=True)))
        for _ in range(70):
            rows = torch.randint(len(tokens), (int(torch.randint(2, 6, (), generator=rng)),), generator=rng)
            tokens = torch.cat([tokens[rows], torch.randint(2, 18, (len(rows), 1), generator=rng)], -1)
            cache.reorder_cache(rows)
            logits = model(input_ids=tokens[:, -1:], **{argument: cache}, use_cache=True).logits[:, -1]
        assert all(type(layer) is GrowingLayer for layer in cache.layers)
        torch.testing.assert_close(logits, model(input_ids=tokens).logits[:, -1], rtol=1e-4, atol=1e-4)
