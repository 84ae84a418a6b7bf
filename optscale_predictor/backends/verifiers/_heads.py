"""How process reward models are loaded: the right class for a layout, and every tensor of it from its files.

transformers fills a head that is missing from a checkpoint with random numbers and a warning; a verifier of random
numbers looks like any other. So what was loaded is held against what the layout needs, name by name and shape by
shape. Two published heads are no transformers class of their own: Qwen's (``score``, two layers, defined by code in
its repository) and Skywork's (``v_head.summary``, one layer). Both are built here on transformers' own backbone and
read from the safetensors, which needs no code of the repository.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from optscale_predictor.backends.model_loading import load_pretrained, read_config, read_tensors
from optscale_predictor.backends.verifiers.layouts import Layout
from optscale_predictor.errors import InputError

_VALUE_HEAD = "v_head.summary."
_TWO_LAYERS = "score."


class Reader:
    """A loaded model that gives the layout's numbers at every token.

    Attributes:
        device: Where it runs.
        context: Most tokens that it reads.
    """

    def __init__(self, model: Any, outputs: Callable[[Any], torch.Tensor], labels: int, name: str) -> None:
        self._model, self._outputs, self._labels, self._name = model.eval(), outputs, labels, name
        config = model.config.get_text_config()
        config.use_cache = False  # nothing is generated, and the keys of a large batch take gigabytes
        self.device: torch.device = next(model.parameters()).device
        self.context = int(getattr(config, "max_position_embeddings", None) or 1 << 30)

    def __call__(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Raw outputs [rows, tokens, labels] of token ids and their mask, each [rows, tokens]."""
        found = self._outputs(self._model(input_ids=tokens, attention_mask=mask))
        if found.shape != (*tokens.shape, self._labels):
            raise InputError(
                f"verifier {self._name!r}: its head gives outputs of shape {tuple(found.shape)} for "
                f"{tuple(tokens.shape)} tokens; the layout reads {self._labels} numbers a token"
            )
        return found


def load_reader(model: str, layout: Layout, device: str, trust_remote_code: bool) -> Reader:
    """Loads a model for its layout.

    Raises:
        InputError: Something of it is missing, or of another shape than the layout reads.
    """
    if layout.candidates is not None:
        return _language_model(model, layout.candidates, device, trust_remote_code)
    config = read_config(model)
    architectures = config.get("architectures") or [""]
    if architectures[0].endswith("ForTokenClassification"):
        return _token_classifier(model, layout.labels, device, trust_remote_code)
    prefix = _VALUE_HEAD if layout.labels == 1 else _TWO_LAYERS
    tensors = read_tensors(model, prefix)
    if not tensors and trust_remote_code and "AutoModel" in config.get("auto_map", {}):
        return _remote(model, layout.labels, device)
    return _with_head(model, layout.labels, prefix, tensors, device)


def _language_model(model: str, candidates: tuple[int, int], device: str, trust_remote_code: bool) -> Reader:
    """A causal language model whose output layer is cut down to the rows of two tokens.

    The model itself then computes those two logits and no others, with whatever its architecture does to logits.
    """
    from transformers import AutoModelForCausalLM

    loaded = load_pretrained(AutoModelForCausalLM, model, device, trust_remote_code, complete=True)
    full = loaded.get_output_embeddings()
    rows = torch.tensor(candidates, device=full.weight.device)
    if max(candidates) >= len(full.weight):
        raise InputError(f"verifier {model!r}: its tokenizer has tokens that its output layer does not")
    weight, bias = full.weight.detach()[rows], getattr(full, "bias", None)
    loaded.set_output_embeddings(_SingleLinear(weight, None if bias is None else bias.detach()[rows]))
    return Reader(loaded, lambda found: found.logits, len(candidates), model)


def _token_classifier(model: str, labels: int, device: str, trust_remote_code: bool) -> Reader:
    from transformers import AutoModelForTokenClassification

    loaded = load_pretrained(AutoModelForTokenClassification, model, device, trust_remote_code, complete=True)
    if loaded.config.num_labels != labels:
        raise InputError(
            f"verifier {model!r}: expected a token classifier of {labels} labels, got {loaded.config.num_labels}"
        )
    return Reader(loaded, lambda found: found.logits, labels, model)


def _with_head(model: str, labels: int, prefix: str, tensors: Mapping[str, torch.Tensor], device: str) -> Reader:
    """A backbone without its language model's output layer, and the head of ``tensors`` on it."""
    from transformers import AutoModel

    width = int(read_config(model).get("hidden_size") or 0)
    shapes = _head_shapes(labels, width)
    found = {name.removeprefix(prefix): tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != shapes:
        wanted = ", ".join(f"{prefix}{name} {list(shape)}" for name, shape in shapes.items())
        has = ", ".join(f"{prefix}{name} {list(shape)}" for name, shape in found.items()) or "none of them"
        raise InputError(f"verifier {model!r}: expected the head {wanted}; its files hold {has}")
    backbone = load_pretrained(AutoModel, model, device, complete=True)
    parts = {name.removeprefix(prefix): tensor.to(backbone.device) for name, tensor in tensors.items()}
    layers = [_SingleLinear(parts[f"{one}weight"], parts[f"{one}bias"]) for one in _layer_names(labels)]
    head = nn.Sequential(*layers) if len(layers) == 1 else nn.Sequential(layers[0], nn.ReLU(), layers[1])
    return Reader(backbone, lambda found: head(found.last_hidden_state), labels, model)


def _remote(model: str, labels: int, device: str) -> Reader:
    """The class that the model's repository brings; its first output are the numbers, as Qwen's card reads them."""
    from transformers import AutoModel

    loaded = load_pretrained(AutoModel, model, device, trust_remote_code=True, complete=True)
    return Reader(loaded, lambda found: found[0], labels, model)


def _layer_names(labels: int) -> list[str]:
    return [""] if labels == 1 else ["0.", "2."]


def _head_shapes(labels: int, width: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the head's tensors by name: one layer for a value, two with a ReLU (1) between for classes."""
    if labels == 1:
        return {"weight": (1, width), "bias": (1,)}
    first = {"0.weight": (width, width), "0.bias": (width,)}
    return first | {"2.weight": (labels, width), "2.bias": (labels,)}


class _SingleLinear(nn.Module):
    """A linear layer in single precision on any hidden states: half precision would leave few different scores."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.float(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.float(), requires_grad=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(hidden.float(), self.weight, self.bias)
