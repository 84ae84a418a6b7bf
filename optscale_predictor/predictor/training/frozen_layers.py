"""A cache of what frozen layers make of the training questions, so that every epoch starts above them.

With LoRA on the top layers alone, the layers below give the same hidden states in every epoch. They are computed once
(without dropout) and kept. A forward pass is then the model's own, with the frozen layers made to return what was
kept: masks, positions and whatever else a model derives from its tokens are as ever. Whether that gives what the whole
forward pass gives is checked on some questions before it is relied on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.backbone import layer_stack

if TYPE_CHECKING:
    from optscale_predictor.predictor.heads import Features
    from optscale_predictor.predictor.model import OptScalePredictor

Tokens = Sequence[list[int]]
Precision = Literal["float32", "bfloat16", "float16"]

_BATCH_TOKENS = 16_384  # of the pass that fills the cache, padding included
_CHECKED = 4  # questions
_TOLERANCE = 1e-4  # of the check, in single precision, relative to the features' size


class FrozenLayers:
    """The layers of a backbone below its lowest LoRA update.

    Args:
        predictor: Tuned on its top layers alone.

    Raises:
        InputError: No layer is frozen, the architecture has no one stack of layers, or pooling has weights of its own
            at a frozen layer.
    """

    def __init__(self, predictor: "OptScalePredictor") -> None:
        self._predictor = predictor
        stack = layer_stack(predictor.backbone.get_base_model())
        tuned = [number for number, layer in enumerate(stack) if any(part.requires_grad for part in layer.parameters())]
        self.count = min(tuned, default=len(stack))
        if self.count == 0:
            raise InputError("nothing to cache: every layer is tuned; set lora.top_layers to fewer than there are")
        self._frozen = list(stack)[: self.count]
        self._pools_below = predictor.config.layers == "all"
        if self._pools_below and predictor.config.pooling == "attention":
            raise InputError(
                "frozen layers cannot be cached with attention pooling over all layers: it is trained there"
            )
        self._as_tuple = False

    @torch.inference_mode()
    def states(self, tokens: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The last frozen layer's output [questions, length, width], and pooled states below it [questions, widths]."""
        caught: list[Any] = []
        hook = self._frozen[-1].register_forward_hook(lambda module, args, output: caught.append(output))
        was_training = self._predictor.training
        self._predictor.eval()
        try:
            pooled = self._predictor.features(tokens, mask).pooled
        finally:
            hook.remove()
            self._predictor.train(was_training)
        self._as_tuple = isinstance(caught[0], tuple)
        below = self.count if self._pools_below else 0
        width = int(self._predictor.backbone.config.hidden_size)
        return caught[0][0] if self._as_tuple else caught[0], pooled[:, : below * width]

    def features(
        self, tokens: torch.Tensor, mask: torch.Tensor, states: torch.Tensor, pooled: torch.Tensor
    ) -> "Features":
        """What ``predictor.features`` gives, from the output of :meth:`states`."""
        with self._given(states.to(next(self._predictor.backbone.parameters()).dtype)):
            found = self._predictor.features(tokens, mask)
        above = found.pooled[:, pooled.shape[1] :]
        return found._replace(pooled=torch.cat([pooled.to(above.dtype), above], -1))

    def check(self, tokens: torch.Tensor, mask: torch.Tensor) -> None:
        """Raises ``InputError`` unless features from kept states are those of the whole forward pass."""
        was_training = self._predictor.training
        self._predictor.eval()
        with torch.inference_mode():
            found = self.features(tokens, mask, *self.states(tokens, mask)).pooled
            whole = self._predictor.features(tokens, mask).pooled
        self._predictor.train(was_training)
        if float((found - whole).abs().max()) > _TOLERANCE * max(float(whole.abs().max()), 1.0):
            kind = type(self._predictor.backbone.get_base_model()).__name__
            raise InputError(
                f"frozen layers cannot be cached for {kind}: its upper layers need more than hidden states"
            )

    @contextmanager
    def _given(self, states: torch.Tensor) -> Iterator[None]:
        """Every frozen layer returns ``states`` at once."""
        output = (states,) if self._as_tuple else states
        before: list[Callable[..., Any]] = [layer.forward for layer in self._frozen]
        try:
            for layer in self._frozen:
                layer.forward = lambda *args, **kwargs: output
            yield
        finally:
            for layer, forward in zip(self._frozen, before, strict=True):
                layer.forward = forward


class FrozenStates:
    """Kept states of many questions: one long tensor of tokens, and where each question starts in it.

    Args:
        states: [tokens of all questions, width], question by question; or how to read a part of them.
        pooled: Pooled states below, [questions, widths].
        starts: Where each question's tokens start, and where the last one's end, [questions + 1].
    """

    def __init__(self, states: Any, pooled: torch.Tensor, starts: torch.Tensor) -> None:
        self._states, self._pooled, self._starts = states, pooled, starts

    def take(self, rows: Sequence[int], length: int) -> dict[str, torch.Tensor]:
        """``states`` [questions, length, width], zero at padding on the right, and ``pooled`` [questions, widths]."""
        parts = [self._states[int(self._starts[row]) : int(self._starts[row + 1])] for row in rows]
        padded = parts[0].new_zeros((len(rows), length, parts[0].shape[-1]))
        for number, part in enumerate(parts):
            padded[number, : len(part)] = part
        return {"states": padded, "pooled": self._pooled[list(rows)]}


def cache_size(tokens: Tokens, width: int, precision: Precision) -> int:
    """Bytes that the states of these questions take."""
    return sum(map(len, tokens)) * width * _kind(precision).itemsize


def fill_cache(
    layers: FrozenLayers,
    predictor: "OptScalePredictor",
    tokens: Tokens,
    precision: Precision = "float32",
    folder: Path | None = None,
) -> FrozenStates:
    """The states of all questions, computed, or read where a folder has them already.

    Args:
        layers: The frozen layers, checked.
        predictor: Theirs.
        tokens: Of each question.
        precision: Of what is kept. Half precision takes half the place, and rounds.
        folder: Keep the states there as safetensors, and read them from the disk as they are needed; None: in memory.

    Raises:
        InputError: The folder cannot be written.
    """
    starts = torch.tensor([0, *map(len, tokens)]).cumsum(0)
    if folder is None:
        return FrozenStates(*_compute(layers, predictor, tokens, _kind(precision), starts), starts)
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

    path = folder / f"frozen_{_fingerprint(layers, predictor, tokens, precision)}.safetensors"
    try:
        if not path.exists():
            states, pooled = _compute(layers, predictor, tokens, _kind(precision), starts)
            folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            save_file({"states": states, "pooled": pooled}, partial)
            partial.replace(path)
        opened: Any = safe_open(path, framework="pt")
        return FrozenStates(opened.get_slice("states"), opened.get_tensor("pooled"), starts)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot keep frozen layers' states: {error}".splitlines()[0]) from error


def first_check(layers: FrozenLayers, predictor: "OptScalePredictor", tokens: Tokens) -> None:
    """Checks on the first few questions that the cache gives what the whole forward pass gives."""
    padded, mask = predictor.collate(list(tokens[:_CHECKED]))
    device = next(predictor.parameters()).device
    layers.check(padded.to(device), mask.to(device))


def _compute(
    layers: FrozenLayers, predictor: "OptScalePredictor", tokens: Tokens, kind: torch.dtype, starts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    device = next(predictor.parameters()).device
    states = pooled = torch.empty(0)
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]), reverse=True)
    while order:
        size = max(1, _BATCH_TOKENS // len(tokens[order[0]]))
        rows, order = order[:size], order[size:]
        padded, mask = predictor.collate([tokens[row] for row in rows])
        found, below = layers.states(padded.to(device), mask.to(device))
        if not len(states):
            states = torch.empty((int(starts[-1]), found.shape[-1]), dtype=kind)
            pooled = torch.empty((len(tokens), below.shape[1]))
        for number, row in enumerate(rows):
            states[int(starts[row]) : int(starts[row + 1])] = found[number, : len(tokens[row])]
        pooled[rows] = below.float().cpu()
    return states, pooled


def _kind(precision: Precision) -> torch.dtype:
    found: torch.dtype = getattr(torch, precision)
    return found


def _fingerprint(layers: FrozenLayers, predictor: "OptScalePredictor", tokens: Tokens, precision: Precision) -> str:
    """Of all that the states depend on: the frozen weights (by sums), how they are pooled, and the questions."""
    digest = blake2b(digest_size=12)
    config = predictor.config
    digest.update(repr((layers.count, precision, config.base_model, config.layers, config.pooling, tokens)).encode())
    for name, weight in predictor.backbone.named_parameters():
        if not weight.requires_grad:
            digest.update(repr((name, float(weight.double().sum()), float(weight.double().abs().sum()))).encode())
    return digest.hexdigest()
