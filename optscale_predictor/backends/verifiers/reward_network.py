"""The network of a trained verifier: a language model with LoRA updates that reads a sample, and a head for its reward.

The reward is the log-odds that the sample is right, a sum of two parts. One is linear in the model's last hidden state
at the sample's end (for encoders, in the mean of the states), scaled to length one, as in any reward model. The other
is linear in how likely the model finds the sample: its least, mean and total token log-probability. A wrong step is a
token that a good reader did not expect, so this part can choose among a question's samples before anything is trained,
where a head on states alone first learns which questions are hard. Training moves both: LoRA changes what the model
expects and what its states say.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from optscale_predictor.backends.key_value_cache import cache_argument, cache_of, can_choose_rows, choose_rows

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
        return self._of_decoder(*self.read(tokens, mask, start))

    def _of_decoder(self, state: Tensor, signals: Tensor) -> Tensor:
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
        output, hidden = self._output({"input_ids": tokens, "attention_mask": mask, "use_cache": False}, first)
        stop = mask.sum(-1)
        position = torch.arange(first + 1, tokens.shape[1], device=tokens.device)
        inside = (position >= start[:, None]) & (position < stop[:, None])
        signals = _signals(output.logits[:, :-1], tokens[:, first + 1 :], inside)
        rows = torch.arange(len(tokens), device=tokens.device)
        return hidden[rows, stop - 1 - first].float(), signals

    @property
    def shares_prefixes(self) -> bool:
        """Whether :meth:`after_prompts` may be asked: of decoders that are told where each token stands."""
        return self._decoder and "position_ids" in self._parameters_of_forward()

    def after_prompts(
        self,
        prompts: Int[Tensor, "prompts prompt_length"],
        prompt_mask: Int[Tensor, "prompts prompt_length"],
        owner: Int[Tensor, " samples"],
        tokens: Int[Tensor, "samples length"],
        mask: Int[Tensor, "samples length"],
    ) -> Float[Tensor, " samples"] | None:
        """The same rewards, where samples share prompts: each prompt is read once, and its samples after it.

        Args:
            prompts: Padded on the left.
            prompt_mask: 1 at real tokens, 0 at padding.
            owner: Index of each sample's prompt.
            tokens: The samples alone, padded on the right; at least one token each.
            mask: 1 at real tokens, 0 at padding.

        Returns:
            The rewards; None where the model's cache cannot be shared out.
        """
        asked = {"input_ids": prompts, "attention_mask": prompt_mask, "position_ids": _positions(prompt_mask)}
        before, _ = self._output({**asked, "use_cache": True}, prompts.shape[1] - 1)
        cache = cache_of(before)
        if not can_choose_rows(cache):
            return None
        choose_rows(cache, owner)
        seen = torch.cat([prompt_mask[owner], mask], -1)
        position = _positions(seen)[:, prompts.shape[1] :]
        written = {"input_ids": tokens, "attention_mask": seen, "position_ids": position, "use_cache": True}
        output, hidden = self._output({**written, cache_argument(self._parameters_of_forward()): cache}, 0)
        # A sample's first token is predicted by its prompt's last.
        logits = torch.cat([before.logits[owner], output.logits[:, :-1]], 1)
        rows = torch.arange(len(tokens), device=tokens.device)
        state = hidden[rows, mask.sum(-1) - 1].float()
        return self._of_decoder(state, _signals(logits, tokens, mask.bool()))

    def _parameters_of_forward(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self._model.forward).parameters

    @property
    def _model(self) -> Any:
        """The language model itself, its LoRA updates within it."""
        return self.base.get_base_model() if hasattr(self.base, "get_base_model") else self.base

    def _output(self, inputs: dict[str, Any], first: int) -> tuple[Any, Tensor]:
        """Output and last hidden states from position ``first`` on, by the model's own forward: some scale logits."""
        kept: list[Tensor] = []
        length = inputs["input_ids"].shape[1] - first
        if "logits_to_keep" in self._parameters_of_forward():
            inputs = {**inputs, "logits_to_keep": length}
        # The output layer's input is the last hidden state, whatever the architecture calls it.
        hook = self._model.get_output_embeddings().register_forward_pre_hook(lambda _, given: kept.append(given[0]))
        try:
            output = self.base(**inputs)
        finally:
            hook.remove()
        output.logits = output.logits[:, -length:]
        return output, kept[0][:, -length:]

    def own_state(self) -> dict[str, Tensor]:
        """Everything that is not the base: the head."""
        return {name: part for name, part in self.state_dict().items() if not name.startswith("base.")}

    def trained_state(self) -> dict[str, Tensor]:
        """What training changes: the head and the LoRA updates; copies, on the CPU."""
        tuned = {f"base.{name}" for name, part in self.base.named_parameters() if part.requires_grad}
        state = {name: part for name, part in self.state_dict().items() if name in tuned} | self.own_state()
        return {name: part.detach().cpu().clone() for name, part in state.items()}


def _positions(mask: Tensor) -> Tensor:
    """Where each token stands in its own text, whatever is padded."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def _signals(logits: Tensor, chosen: Tensor, inside: Tensor) -> Tensor:
    """Least, mean and total log-probability of the tokens inside, [samples, signals].

    Args:
        logits: Of every token, [samples, length, vocabulary].
        chosen: The tokens, [samples, length].
        inside: Which of them are the sample's, [samples, length].
    """
    # Padding stands in no sum, and 0 is above every log-probability. One more column of it, since samples without a
    # token have none.
    losses = torch.zeros((len(chosen), chosen.shape[1] + 1), device=logits.device)
    losses[:, :-1][inside] = nn.functional.cross_entropy(logits[inside].float(), chosen[inside], reduction="none")
    count = inside.sum(-1).clamp(min=1)
    total = -losses.sum(-1)
    return torch.stack([-losses.max(-1).values, total / count, total], -1)
