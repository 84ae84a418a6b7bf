"""The predictor's network: valid priors always, the same alone and in company, on every kind of backbone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_backbones import KINDS, save_backbone

from optscale_predictor import OptScalePredictor
from optscale_predictor.backends.adapters.lora import LoraSettings
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.model.config import PredictorConfig, ScoreSource

QUESTIONS = ["1+2=", "12+34+56+78=", "9+9=", "10+20+30+40+50+60="]
POOLINGS = ("mean", "last", "attention")


def untrained(base, **settings):
    """A predictor whose LoRA updates and pooling are not the zeros they start as: else they would go untested."""
    torch.manual_seed(0)
    predictor = OptScalePredictor.from_base(PredictorConfig(base, **settings), LoraSettings(rank=4))
    for name, weight in predictor.named_parameters():
        if "lora_B" in name or "query" in name:
            torch.nn.init.normal_(weight, std=0.3)
    torch.nn.init.normal_(predictor.head.weight, std=0.3)
    return predictor.eval()


@pytest.fixture(scope="module", params=KINDS)
def base(request, tmp_path_factory):
    return save_backbone(tmp_path_factory.mktemp("base") / request.param, request.param)


def table(prior):
    return np.stack([prior.mean, prior.std, np.log(prior.strength)])


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layers", ["last", "all"])
def test_a_prediction_does_not_depend_on_its_neighbours(base, pooling, layers):
    predictor = untrained(base, pooling=pooling, layers=layers)
    together = table(predictor.predict(QUESTIONS))
    alone = np.concatenate([table(predictor.predict([question])) for question in QUESTIONS], -1)
    assert together == pytest.approx(alone, abs=2e-5)
    assert len({round(value, 5) for value in together[0]}) == len(QUESTIONS)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_on_the_left_is_as_good(base, pooling):
    predictor = untrained(base, pooling=pooling)
    tokens, mask = predictor.collate(predictor.tokenize(QUESTIONS))
    shifts = (mask.shape[1] - mask.sum(-1)).tolist()
    left = [torch.stack([row.roll(shift) for row, shift in zip(part, shifts, strict=True)]) for part in (tokens, mask)]
    assert not torch.equal(left[1], mask)
    with torch.inference_mode():
        for here, there in zip(predictor(tokens, mask), predictor(*left), strict=True):
            assert here.numpy() == pytest.approx(there.numpy(), rel=1e-4)


def test_half_precision_agrees(base):
    predictor = untrained(base)
    single = table(predictor.predict(QUESTIONS))
    predictor.backbone.to(torch.bfloat16)
    assert table(predictor.predict(QUESTIONS)) == pytest.approx(single, abs=0.1)


def test_every_layer_counts(base):
    predictor = untrained(base, layers="all")
    assert len(predictor.poolings) == 3  # embeddings and two layers
    pooled = predictor.pool(predictor.tokenize(QUESTIONS))
    assert pooled.shape == (4, 96)
    hidden = predictor.backbone(**predictor.tokenizer(QUESTIONS[0], return_tensors="pt"), output_hidden_states=True)
    expected = torch.cat([states[0].mean(0) for states in hidden.hidden_states])
    assert pooled[0].numpy() == pytest.approx(expected.detach().numpy(), abs=1e-5)


EMBEDDED = untrained("embedded:generator")


@settings(max_examples=25)
@given(question=st.text(max_size=80))
def test_any_text_gets_a_valid_prior(question):
    prior = EMBEDDED.predict([question])
    assert 0 < prior.mean[0] < 1 and prior.strength[0] >= 1
    assert 0 < prior.std[0] <= np.sqrt(prior.mean[0] * (1 - prior.mean[0]))


def test_top_layers_alone_are_tuned():
    config = PredictorConfig("embedded:generator")
    whole, top = (OptScalePredictor.from_base(config, LoraSettings(4, top_layers=layers)) for layers in (None, 1))
    tuned = [{name for name, part in one.backbone.named_parameters() if part.requires_grad} for one in (whole, top)]
    assert tuned[1] and tuned[1] < tuned[0]
    last = whole.backbone.config.num_hidden_layers - 1
    assert all(f"layers.{last}." in name for name in tuned[1])


def test_several_sources_are_told_apart():
    predictor = untrained("embedded:generator", sources=[ScoreSource("small"), ScoreSource("large")])
    small, large = (predictor.predict(QUESTIONS, source=name) for name in ("small", "large"))
    assert not np.allclose(small.mean, large.mean)
    with pytest.raises(InputError, match="one of small, large: name one"):
        predictor.predict(QUESTIONS)
    with pytest.raises(InputError, match="got 'other'"):
        EMBEDDED.predict(QUESTIONS, source="other")


def test_bad_requests_are_one_line():
    with pytest.raises(InputError, match="batch_size must be >= 1, got 0"):
        EMBEDDED.predict(QUESTIONS, batch_size=0)
    with pytest.raises(InputError, match="for each of 4 questions, got 1"):
        EMBEDDED.predict(QUESTIONS, labels=[{}])
    for wrong in ({"rank": 0}, {"alpha": 0}, {"dropout": 1.0}, {"top_layers": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            LoraSettings(**wrong)
