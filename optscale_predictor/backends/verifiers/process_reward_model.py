"""Process reward models in this process: one score a step, put together into the sample's.

transformers fills a head that is missing from a checkpoint with random numbers and a warning; a verifier of random
numbers looks like any other. So what was loaded is held against what the layout needs, name by name and shape by
shape. Two published heads are no transformers class of their own: Qwen's (``score``, two layers, defined by code in
its repository) and Skywork's (``v_head.summary``, one layer). Both are built here on transformers' own backbone and
read from the safetensors, which needs no code of the repository. Nothing is truncated, and every output is found by the
position that its step's marker was given, never by its value.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from optscale_predictor._support.arrays import Floats
from optscale_predictor.backends.model_loading import load_pretrained, read_config, read_tensors
from optscale_predictor.backends.verifiers.length_batches import BATCH_TOKENS, by_length, padded
from optscale_predictor.backends.verifiers.process_verifier import (
    ProcessVerifier,
    RowRead,
    StepSettings,
    detect_layout,
)
from optscale_predictor.backends.verifiers.step_layout import Layout, StepRow
from optscale_predictor.errors import InputError

_VALUE_HEAD = "v_head.summary."
_TWO_LAYERS = "score."


class ProcessRewardModel(ProcessVerifier):
    """A transformers model that scores steps.

    Args:
        model: Folder, hub id, ``embedded:NAME`` or ``package:NAME``.
        settings: Layout, aggregate and separator.
        batch_size: Most samples in one batch, >= 1; long ones make smaller batches.
        device: A torch device; ``auto`` takes CUDA where there is one.
        trust_remote_code: Whether to run code that the model's repository brings. The layouts need none; it is the way
            out for an architecture that transformers does not have.

    Raises:
        InputError: There is no such model, its head is missing or of another shape, its tokenizer lacks a token that
            the layout needs, or its layout has to be named.
    """

    def __init__(
        self,
        model: str,
        settings: StepSettings | None = None,
        batch_size: int = 256,
        device: str = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        from transformers import AutoTokenizer

        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        self._batch_size = batch_size
        tokenizer: Any = load_pretrained(AutoTokenizer, model, trust_remote_code=trust_remote_code)
        settings = detect_layout(model, settings or StepSettings(), tokenizer)
        super().__init__(tokenizer, model, settings)
        self._reader = _load_reader(model, self._layout, device, trust_remote_code)
        self._context = self._reader.context

    def read_rows(self, rows: Mapping[int, StepRow]) -> Iterator[dict[int, RowRead]]:
        """What the model makes of every row, by the row's index, in parts as they come.

        A part is a batch of rows of neighbouring lengths.
        """
        order = list(rows)
        lengths = [len(row.tokens) for row in rows.values()]
        for batch in by_length(lengths, self._batch_size, max_tokens=BATCH_TOKENS):
            found = self._read([rows[order[index]] for index in batch])
            yield {order[index]: RowRead(outputs, lengths[index]) for index, outputs in zip(batch, found, strict=True)}

    @torch.inference_mode()
    def _read(self, rows: list[StepRow]) -> list[Floats]:
        found = self._reader(*padded([row.tokens for row in rows], 0, self._reader.device))
        which = torch.tensor([index for index, row in enumerate(rows) for _ in row.positions])
        where = torch.tensor([position for row in rows for position in row.positions])
        picked = found[which.to(found.device), where.to(found.device)].double().cpu().numpy()
        return np.split(picked, np.cumsum([len(row.positions) for row in rows])[:-1])


class _Reader:
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


def _load_reader(model: str, layout: Layout, device: str, trust_remote_code: bool) -> _Reader:
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


def _language_model(model: str, candidates: tuple[int, int], device: str, trust_remote_code: bool) -> _Reader:
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
    return _Reader(loaded, lambda found: found.logits, len(candidates), model)


def _token_classifier(model: str, labels: int, device: str, trust_remote_code: bool) -> _Reader:
    from transformers import AutoModelForTokenClassification

    loaded = load_pretrained(AutoModelForTokenClassification, model, device, trust_remote_code, complete=True)
    if loaded.config.num_labels != labels:
        raise InputError(
            f"verifier {model!r}: expected a token classifier of {labels} labels, got {loaded.config.num_labels}"
        )
    return _Reader(loaded, lambda found: found.logits, labels, model)


def _with_head(model: str, labels: int, prefix: str, tensors: Mapping[str, torch.Tensor], device: str) -> _Reader:
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
    return _Reader(backbone, lambda found: head(found.last_hidden_state), labels, model)


def _remote(model: str, labels: int, device: str) -> _Reader:
    """The class that the model's repository brings; its first output are the numbers, as Qwen's card reads them."""
    from transformers import AutoModel

    loaded = load_pretrained(AutoModel, model, device, trust_remote_code=True, complete=True)
    return _Reader(loaded, lambda found: found[0], labels, model)


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
