"""How likely a causal language model finds solutions: the loss of fine-tuning, and what is measured afterwards."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class SolutionLikelihood(nn.Module):
    """A language model with LoRA updates that reads prompts with solutions.

    Args:
        base: A transformers causal language model, with LoRA updates by PEFT around it.
    """

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.base = base

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return torch.device(next(self.base.parameters()).device)

    def forward(
        self,
        tokens: Int[Tensor, "solutions length"],
        mask: Int[Tensor, "solutions length"],
        start: Int[Tensor, " solutions"],
    ) -> Float[Tensor, " some"]:
        """Minus the log-probability, in nats, of every token of the solutions, the end among them, row after row.

        Args:
            tokens: Prompts with solutions, padded on the right.
            mask: 1 at real tokens, 0 at padding.
            start: Where each solution begins, >= 1.
        """
        position = torch.arange(1, tokens.shape[1], device=tokens.device)
        written = (position >= start[:, None]) & (position < mask.sum(-1)[:, None])
        logits = self._logits(tokens, mask, written)
        return nn.functional.cross_entropy(logits.float(), tokens[:, 1:][written], reduction="none")

    def _logits(self, tokens: Tensor, mask: Tensor, written: Tensor) -> Float[Tensor, "some vocabulary"]:
        """Logits of the written tokens alone, by the model's own forward: some scale logits.

        A vocabulary is large, and a small model's output layer a quarter of its work: it gets no other positions.
        """
        model = self.base.get_base_model() if hasattr(self.base, "get_base_model") else self.base
        hook = model.get_output_embeddings().register_forward_pre_hook(
            lambda _, given: (given[0][:, :-1][written][None], *given[1:])
        )
        try:
            logits: Tensor = self.base(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        finally:
            hook.remove()
        return logits[0]

    def trained_state(self) -> dict[str, Tensor]:
        """What training changes, the LoRA updates; copies, on the CPU."""
        tuned = {f"base.{name}" for name, part in self.base.named_parameters() if part.requires_grad}
        return {name: part.detach().cpu().clone() for name, part in self.state_dict().items() if name in tuned}
