"""Keys and values that grow in place: transformers' own cache is copied whole for every token, and when a sample ends.

Here each layer has room for more tokens and rows than it holds. A token is written into that room, and of the rows only
those are copied that move. On a CPU these copies, each into memory that is touched for the first time, were most of
what sampling from a small model cost (`docs/experiments/backends.md`).
"""

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

#: Room beyond what is held that a layer makes when it grows: a share, and at least so many tokens.
_SHARE, _MORE_TOKENS = 0.25, 32


def growing(cache: Any) -> Any:
    """The cache, with its plain layers made to grow in place; layers of other kinds (windows, states) stay as they are.

    Args:
        cache: Of transformers, after the model's first pass; changed in place.
    """
    layers = getattr(cache, "layers", None)
    if isinstance(layers, list):
        layers[:] = [GrowingLayer.of(layer) if type(layer) is DynamicLayer else layer for layer in layers]
    return cache


class GrowingLayer(DynamicLayer):
    """One layer's keys and values, [rows, heads, tokens, size], as the beginning of larger tensors."""

    keys: torch.Tensor
    values: torch.Tensor
    _rooms: tuple[torch.Tensor, torch.Tensor]
    _shown: torch.Tensor  # the keys, as they were shown last

    @classmethod
    def of(cls, layer: DynamicLayer) -> DynamicLayer:
        """A layer of the same content; the layer itself where it is still empty.

        Args:
            layer: Of transformers.
        """
        if not layer.get_seq_length():
            return layer
        grown = cls()
        vars(grown).update(vars(layer))
        grown._adopt()
        return grown

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Adds keys and values, [rows, heads, new tokens, size]; returns all there are."""
        self._adopt_others()
        rows, held = len(self.keys), self.keys.shape[-2]
        tokens = held + key_states.shape[-2]
        if tokens > self._rooms[0].shape[-2]:
            self._make_room(rows, tokens + max(_MORE_TOKENS, int(tokens * _SHARE)))
        for room, new in zip(self._rooms, (key_states, value_states), strict=True):
            room[:rows, :, held:tokens] = new
        return self._show(rows, tokens)

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Makes chosen rows the rows of the layer; those that keep their place are not touched.

        Args:
            beam_idx: The former place of each row, [new rows].
        """
        self._adopt_others()
        rows, tokens = len(beam_idx), self.keys.shape[-2]
        if rows > len(self._rooms[0]):
            self._make_room(rows + int(rows * _SHARE), self._rooms[0].shape[-2])
        chosen = beam_idx.to(self._rooms[0].device)
        moved = (chosen != torch.arange(rows, device=chosen.device)).nonzero()[:, 0]
        if len(moved):
            for room in self._rooms:
                room[moved, :, :tokens] = room[chosen[moved], :, :tokens]  # the right side is a copy
        self._show(rows, tokens)

    def _adopt_others(self) -> None:
        """Goes on from what others have put in place of the keys: transformers crops, repeats and selects rows so."""
        if self.keys is not self._shown:
            self._adopt()

    def _adopt(self) -> None:
        self._rooms, self._shown = (self.keys, self.values), self.keys

    def _make_room(self, rows: int, tokens: int) -> None:
        held = self.keys.shape
        for kind, old in (("keys", self.keys), ("values", self.values)):
            room = old.new_empty(rows, held[1], tokens, old.shape[-1])
            room[: held[0], :, : held[2]] = old
            setattr(self, kind, room)
        self._adopt()
        self._show(held[0], held[2])

    def _show(self, rows: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.keys, self.values = (room[:rows, :, :tokens] for room in self._rooms)
        self._shown = self.keys
        return self.keys, self.values
