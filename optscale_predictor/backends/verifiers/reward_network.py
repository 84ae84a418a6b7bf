"""The network of a trained verifier: a language model with LoRA updates that reads a sample, and a head for its reward.

The reward is the log-odds that the sample is right, a sum of two parts. One is linear in the model's last hidden state
at the sample's end (for encoders, in the mean of the states), scaled to length one, as in any reward model. The other
is linear in how likely the model finds the sample: its least, mean and total token log-probability. A wrong step is a
token that a good reader did not expect, so this part can choose among a question's samples before anything is trained,
where a head on states alone first learns which questions are hard. Training moves both: LoRA changes what the model
expects and what its states say.
"""

import inspect
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

SIGNALS = 3  # least, mean and total log-probability


class RewardNetwork(nn.Module):
    """Rewards of samples.

    Args:
        base: A transformers causal language model or encoder, with LoRA updates by PEFT around it.
        kind: ``decoder`` or ``encoder``.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, base: Any, kind: str) -> None:
        super().__init__()
        self.base, self._decoder = base, kind == "decoder"
        config = base.config.get_text_config()
        self.vocabulary = int(config.vocab_size)
        self.states = nn.Linear(int(config.hidden_size), 1, dtype=torch.float32)
        self.signals = nn.Linear(SIGNALS, 1, bias=False, dtype=torch.float32)
        self.register_buffer("centre", torch.zeros(SIGNALS))
        self.register_buffer("spread", torch.ones(SIGNALS))
        for part in (self.states, self.signals):
            nn.init.zeros_(part.weight)
        nn.init.zeros_(self.states.bias)

    @property
    def device(self) -> torch.device:
        """Where the head is."""
        return self.states.weight.device

    def forward(
        self,
        tokens: Int[Tensor, "samples length"],
        mask: Int[Tensor, "samples length"],
        start: Int[Tensor, " samples"],
    ) -> Float[Tensor, " samples"]:
        """Log-odds that each sample is right, before any score map.

        Args:
            tokens: Questions with samples, padded on the right.
            mask: 1 at real tokens, 0 at padding.
            start: Where each sample begins, >= 1.
        """
        if not self._decoder:
            hidden = self.base(input_ids=tokens, attention_mask=mask).last_hidden_state.float()
            weight = mask[..., None].float()
            # `where`, not a product: what stands at padding may be NaN, and 0 * NaN is NaN.
            pooled = torch.where(weight > 0, hidden, 0.0).sum(1) / weight.sum(1)
            return self._of_state(pooled)
        state, signals = self.read(tokens, mask, start)
        likelihood: Tensor = self.signals((signals - self.centre) / self.spread)[:, 0]
        return self._of_state(state) + likelihood

    def _of_state(self, state: Float[Tensor, "samples width"]) -> Float[Tensor, " samples"]:
        # Of length one: how large a model's states are differs a hundredfold, and a rate of learning must suit all.
        reward: Tensor = self.states(nn.functional.normalize(state, dim=-1))[:, 0]
        return reward

    def read(
        self,
        tokens: Int[Tensor, "samples length"],
        mask: Int[Tensor, "samples length"],
        start: Int[Tensor, " samples"],
    ) -> tuple[Float[Tensor, "samples width"], Float[Tensor, "samples signals"]]:
        """What a decoder makes of samples: the state at each one's end; least, mean and total log-probability.

        Args:
            tokens: Questions with samples, padded on the right.
            mask: 1 at real tokens, 0 at padding.
            start: Where each sample begins, >= 1.
        """
        first = int(start.min()) - 1  # logits of the questions' tokens are not needed, and a vocabulary is large
        logits, hidden = self._logits(tokens, mask, first)
        stop = mask.sum(-1)
        position = torch.arange(first + 1, tokens.shape[1], device=tokens.device)
        inside = (position >= start[:, None]) & (position < stop[:, None])
        chosen = tokens[:, first + 1 :]
        # Padding is passed over by the loss; it stands in no sum, and 0 is above every log-probability.
        losses = nn.functional.cross_entropy(
            logits[:, :-1].float().transpose(1, 2), chosen.masked_fill(~inside, -100), reduction="none"
        )
        count = inside.sum(-1).clamp(min=1)
        total = -losses.sum(-1)
        signals = torch.stack([-losses.max(-1).values, total / count, total], -1)
        rows = torch.arange(len(tokens), device=tokens.device)
        return hidden[rows, stop - 1 - first].float(), signals

    def _logits(self, tokens: Tensor, mask: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Logits and last hidden states from position ``first`` on, by the model's own forward: some scale logits."""
        kept: list[Tensor] = []
        model = self.base.get_base_model() if hasattr(self.base, "get_base_model") else self.base
        inputs: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask, "use_cache": False}
        if "logits_to_keep" in inspect.signature(model.forward).parameters:
            inputs["logits_to_keep"] = tokens.shape[1] - first
        # The output layer's input is the last hidden state, whatever the architecture calls it.
        hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, given: kept.append(given[0]))
        try:
            logits = self.base(**inputs).logits
        finally:
            hook.remove()
        if logits.shape[1] != tokens.shape[1] - first:
            return logits[:, first:], kept[0][:, first:]
        return logits, kept[0]

    def own_state(self) -> dict[str, Tensor]:
        """Everything that is not the base: the head."""
        return {name: part for name, part in self.state_dict().items() if not name.startswith("base.")}

    def trained_state(self) -> dict[str, Tensor]:
        """What training changes: the head and the LoRA updates; copies, on the CPU."""
        tuned = {f"base.{name}" for name, part in self.base.named_parameters() if part.requires_grad}
        state = {name: part for name, part in self.state_dict().items() if name in tuned} | self.own_state()
        return {name: part.detach().cpu().clone() for name, part in state.items()}
