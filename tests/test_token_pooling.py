"""Pooling: what stands at padding counts for nothing, on whichever side it is."""

import pytest
import torch

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.model.backbone import AttentionPooling, make_pooling

POOLINGS = ("mean", "last", "attention")


def make(name):
    pooling = make_pooling(name, 8)
    if isinstance(pooling, AttentionPooling):
        torch.nn.init.normal_(pooling.query)
    return pooling


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_counts_for_nothing(name, side):
    torch.manual_seed(0)
    pooling, states = make(name), torch.randn(1, 5, 8)
    padding = torch.full((1, 3, 8), torch.nan)
    parts = [padding, states] if side == "left" else [states, padding]
    mask = torch.ones(1, 8, dtype=torch.long)
    mask[0, slice(0, 3) if side == "left" else slice(5, 8)] = 0
    alone = pooling(states, torch.ones(1, 5, dtype=torch.long))
    assert torch.allclose(pooling(torch.cat(parts, 1), mask), alone, atol=1e-6)


def test_what_each_takes():
    torch.manual_seed(0)
    states, mask = torch.randn(2, 4, 8), torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]])
    mean, last, attention = (make_pooling(name, 8)(states, mask) for name in POOLINGS)
    assert torch.allclose(mean[0], states[0, :3].mean(0), atol=1e-6)
    assert torch.equal(last[0], states[0, 2]) and torch.equal(last[1], states[1, 3])
    assert torch.allclose(attention, mean, atol=1e-6)  # untrained, it attends to all alike


def test_attention_agrees_with_torch():
    torch.manual_seed(0)
    pooling, states = make("attention"), torch.randn(3, 6, 8)
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [0] * 2 + [1] * 4])
    query = pooling.query.expand(3, 1, 8)
    expected = torch.nn.functional.scaled_dot_product_attention(query, states, states, mask[:, None].bool())
    assert torch.allclose(pooling(states, mask), expected[:, 0], atol=1e-6)


def test_half_precision_is_summed_in_single():
    states = torch.full((1, 4096, 8), 1.001, dtype=torch.bfloat16)
    pooled = make("mean")(states, torch.ones(1, 4096, dtype=torch.long))
    assert pooled.dtype == torch.float32
    assert float(pooled[0, 0]) == pytest.approx(float(states[0, 0, 0]), rel=1e-6)


def test_an_unknown_pooling_is_named():
    with pytest.raises(InputError, match="got 'max'"):
        make_pooling("max", 8)
