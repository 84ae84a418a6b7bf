"""The layers below the lowest LoRA update, whose output is the same in every epoch.

A forward pass over kept states is the model's own, with the frozen layers made to return what was kept: masks,
positions and whatever else a model derives from its tokens are as ever. Whether that gives what the whole forward pass
gives is checked on some questions before it is relied on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from optscale_predictor.backends.adapters.lora import layer_stack
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.heads import Features
from optscale_predictor.predictor.model.prior_network import PriorNetwork

Tokens = Sequence[list[int]]

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

    def __init__(self, predictor: PriorNetwork) -> None:
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
    def states(
        self, tokens: Int[Tensor, "questions length"], mask: Int[Tensor, "questions length"]
    ) -> tuple[Float[Tensor, "questions length width"], Float[Tensor, "questions widths"]]:
        """The last frozen layer's output, and pooled states below it.

        Args:
            tokens: Padded on the right.
            mask: 1 at real tokens, 0 at padding.
        """
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
        self,
        tokens: Int[Tensor, "questions length"],
        mask: Int[Tensor, "questions length"],
        states: Float[Tensor, "questions length width"],
        pooled: Float[Tensor, "questions widths"],
    ) -> Features:
        """What ``predictor.features`` gives, from the output of :meth:`states`.

        Args:
            tokens: Padded on the right.
            mask: 1 at real tokens, 0 at padding.
            states: The last frozen layer's output.
            pooled: Pooled states below it.
        """
        with self._given(states.to(next(self._predictor.backbone.parameters()).dtype)):
            found = self._predictor.features(tokens, mask)
        above = found.pooled[:, pooled.shape[1] :]
        return found._replace(pooled=torch.cat([pooled.to(above.dtype), above], -1))

    def check(self, tokens: Int[Tensor, "questions length"], mask: Int[Tensor, "questions length"]) -> None:
        """Checks that features from kept states are those of the whole forward pass.

        Args:
            tokens: Padded on the right.
            mask: 1 at real tokens, 0 at padding.

        Raises:
            InputError: They are not: the architecture hands its upper layers more than hidden states.
        """
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
    def _given(self, states: Tensor) -> Iterator[None]:
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


def first_check(layers: FrozenLayers, predictor: PriorNetwork, tokens: Tokens) -> None:
    """Checks on the first few questions that the cache gives what the whole forward pass gives.

    Args:
        layers: The frozen layers.
        predictor: Theirs.
        tokens: Of each question.

    Raises:
        InputError: It does not.
    """
    padded, mask = predictor.collate(list(tokens[:_CHECKED]))
    device = next(predictor.parameters()).device
    layers.check(padded.to(device), mask.to(device))
