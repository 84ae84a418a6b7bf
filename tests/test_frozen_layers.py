"""Cached lower layers: the features are those of the whole forward pass, and so are the gradients."""

import pytest
import torch
from training_runs import make_encoder
from transformers import LlamaConfig, LlamaModel, Qwen2Config, Qwen2Model

from optscale_predictor.backends.adapters.lora import LoraSettings
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.model.config import PredictorConfig
from optscale_predictor.predictor.pretrained import OptScalePredictor
from optscale_predictor.predictor.training.frozen_cache import cache_size, fill_cache
from optscale_predictor.predictor.training.frozen_layers import FrozenLayers, first_check

QUESTIONS = ["1+2=", "12+34+56+78=", "9+9=", "10+20+30+40+50+60="]


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """An encoder, a Llama, and a Qwen whose upper layers attend to a window."""
    folder = tmp_path_factory.mktemp("bases")
    found = {"bert": make_encoder(folder / "bert")}
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}
    sizes |= {"num_key_value_heads": 1, "vocab_size": len(make_tokenizer()), "pad_token_id": 0}
    window = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}
    kinds = {"llama": (LlamaModel, LlamaConfig(**sizes)), "qwen": (Qwen2Model, Qwen2Config(**sizes, **window))}
    for name, (kind, config) in kinds.items():
        torch.manual_seed(0)
        kind(config).save_pretrained(folder / name)
        make_tokenizer().save_pretrained(folder / name)
        found[name] = str(folder / name)
    return found


def predictor_on(base, top=1, **settings):
    torch.manual_seed(0)
    found = OptScalePredictor.from_base(PredictorConfig(base, **settings), LoraSettings(4, dropout=0.0, top_layers=top))
    for name, weight in found.named_parameters():
        if "lora_B" in name:  # zero at the start: LoRA would go untested
            torch.nn.init.normal_(weight, std=0.1)
    return found.eval()


@pytest.mark.parametrize("layers", ["last", "all"])
@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("base", ["bert", "llama", "qwen"])
def test_features_and_gradients_are_those_of_the_whole_pass(base, pooling, layers, bases):
    predictor = predictor_on(bases[base], pooling=pooling, layers=layers)
    tokens = predictor.tokenize(QUESTIONS)
    padded, mask = predictor.collate(tokens)
    frozen = FrozenLayers(predictor)
    assert frozen.count == 2
    first_check(frozen, predictor, tokens)
    kept = fill_cache(frozen, predictor, tokens).take(range(4), padded.shape[1])
    found = []
    for pooled in (
        predictor.features(padded, mask).pooled,
        frozen.features(padded, mask, kept["states"], kept["pooled"]).pooled,
    ):
        predictor.zero_grad()
        (pooled * torch.linspace(-1, 1, pooled.shape[1])).sum().backward()
        gradients = [part.grad.clone() for part in predictor.backbone.parameters() if part.grad is not None]
        found.append((pooled.detach(), gradients))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5)
    assert len(found[0][1]) == len(found[1][1]) > 0
    assert all(torch.allclose(*pair, rtol=1e-3, atol=1e-5) for pair in zip(found[0][1], found[1][1], strict=True))


def test_the_frozen_layers_do_not_run(bases):
    predictor = predictor_on(bases["llama"])
    tokens = predictor.tokenize(QUESTIONS)
    padded, mask = predictor.collate(tokens)
    frozen = FrozenLayers(predictor)
    kept = fill_cache(frozen, predictor, tokens).take(range(4), padded.shape[1])
    before = frozen.features(padded, mask, **kept).pooled
    with torch.no_grad():
        for name, weight in predictor.named_parameters():
            if ".layers.0." in name or ".layers.1." in name:
                weight.zero_()
    assert torch.equal(frozen.features(padded, mask, **kept).pooled, before)
    assert not torch.allclose(predictor.features(padded, mask).pooled, before, atol=1e-3)


@pytest.mark.parametrize(("precision", "error"), [("float32", 0.0), ("bfloat16", 2e-2), ("float16", 2e-3)])
def test_what_is_kept_on_the_disk_is_what_is_kept_in_memory(precision, error, bases, tmp_path):
    predictor = predictor_on(bases["bert"], layers="all")
    tokens = predictor.tokenize(QUESTIONS)
    frozen = FrozenLayers(predictor)
    exact = fill_cache(frozen, predictor, tokens).take([2, 0], 6)
    fill_cache(frozen, predictor, tokens, precision, tmp_path)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    again = fill_cache(frozen, predictor, tokens, precision, tmp_path).take([2, 0], 6)
    assert file.stat().st_mtime_ns == written
    assert (again["states"].float() - exact["states"]).abs().max() <= error * exact["states"].abs().max()
    assert torch.equal(again["pooled"], exact["pooled"])
    kept = sum(map(len, tokens)) * 32 * (4 if precision == "float32" else 2)
    assert cache_size(tokens, 32, precision) == kept < file.stat().st_size


def test_other_weights_have_another_file(bases, tmp_path):
    predictor = predictor_on(bases["bert"])
    tokens = predictor.tokenize(QUESTIONS)
    fill_cache(FrozenLayers(predictor), predictor, tokens, "float32", tmp_path)
    with torch.no_grad():
        next(part for part in predictor.backbone.parameters() if not part.requires_grad).mul_(2)
    fill_cache(FrozenLayers(predictor), predictor, tokens, "float32", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_architecture_that_needs_more_than_hidden_states_is_found_out(bases):
    predictor = predictor_on(bases["llama"])
    tokens = predictor.tokenize(QUESTIONS)
    first, last = (predictor.backbone.get_base_model().layers[number] for number in (0, 2))
    caught = []
    first.register_forward_hook(lambda module, args, output: caught.append(output))
    last.register_forward_pre_hook(lambda module, args: (args[0] + caught.pop(),))  # a skip connection over layers
    with pytest.raises(InputError, match="frozen layers cannot be cached for LlamaModel"):
        first_check(FrozenLayers(predictor), predictor, tokens)


def test_where_nothing_can_be_cached_it_says_why(bases):
    with pytest.raises(InputError, match="every layer is tuned"):
        FrozenLayers(predictor_on(bases["bert"], top=None))
    with pytest.raises(InputError, match="attention pooling"):
        FrozenLayers(predictor_on(bases["bert"], pooling="attention", layers="all"))
