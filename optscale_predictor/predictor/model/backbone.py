"""The language model under a predictor: any transformers encoder or decoder, and how it is pooled.

A question's hidden states must not depend on its neighbours in a batch: attention is masked, and where a batch is
padded on the left, positions are counted from each question's own first token. Pooling then makes one vector of a
question's hidden states, in which padding counts for nothing; its sums run in single precision whatever the
backbone's, so that a long question is not rounded away.
"""

import inspect
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.errors import InputError


def load_base(name: str) -> tuple[Any, Any]:
    """A base model, without any language-model head, and its tokenizer; single precision, on the CPU.

    Raises:
        InputError: There is no such model, or its files cannot be read.
    """
    from transformers import AutoModel, AutoTokenizer

    tokenizer = load_pretrained(AutoTokenizer, name)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return load_pretrained(AutoModel, name, "cpu"), tokenizer


def hidden_layers(
    backbone: Any, tokens: Int[Tensor, "questions length"], mask: Int[Tensor, "questions length"], layers: str
) -> list[Float[Tensor, "questions length width"]]:
    """Hidden states: of the last layer alone, or, with ``all``, of the embeddings and every layer.

    Args:
        backbone: The model, with or without LoRA.
        tokens: Padded on either side.
        mask: 1 at real tokens, 0 at padding.
        layers: ``last`` or ``all``.
    """
    inputs: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask}
    if bool((mask[:, 0] == 0).any()) and _takes_positions(backbone):
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    if "use_cache" in backbone.config.to_dict():
        inputs["use_cache"] = False
    output = backbone(**inputs, output_hidden_states=layers == "all")
    return list(output.hidden_states) if layers == "all" else [output.last_hidden_state]


def num_layers(backbone: Any, layers: str) -> int:
    """How many tensors :func:`hidden_layers` gives.

    Args:
        backbone: The model, with or without LoRA.
        layers: ``last`` or ``all``.
    """
    return 1 if layers == "last" else int(backbone.config.num_hidden_layers) + 1


def _takes_positions(backbone: Any) -> bool:
    """Whether positions may be passed; models that count them past their padding index (RoBERTa) do so themselves."""
    model = getattr(backbone, "get_base_model", lambda: backbone)()
    counts_itself = hasattr(getattr(model, "embeddings", None), "create_position_ids_from_input_ids") or (
        "roberta" in type(model).__name__.lower()
    )
    return "position_ids" in inspect.signature(model.forward).parameters and not counts_itself


class MeanPooling(nn.Module):
    """The mean over a question's tokens."""

    def forward(
        self, hidden: Float[Tensor, "questions length width"], mask: Int[Tensor, "questions length"]
    ) -> Float[Tensor, "questions width"]:
        """One vector a question.

        Args:
            hidden: Hidden states of the tokens.
            mask: 1 at real tokens, 0 at padding on either side.
        """
        weight = mask[..., None].float()
        # `where`, not a product: what stands at padding may be NaN, and 0 * NaN is NaN.
        kept = torch.where(weight > 0, hidden.float(), 0.0)
        return kept.sum(1) / weight.sum(1).clamp(min=1)


class LastTokenPooling(nn.Module):
    """A question's last token, which in a decoder has seen all others."""

    def forward(
        self, hidden: Float[Tensor, "questions length width"], mask: Int[Tensor, "questions length"]
    ) -> Float[Tensor, "questions width"]:
        """One vector a question.

        Args:
            hidden: Hidden states of the tokens.
            mask: 1 at real tokens, 0 at padding on either side.
        """
        last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(-1)
        return hidden[torch.arange(len(hidden), device=mask.device), last].float()


class AttentionPooling(nn.Module):
    """A mean weighted by a learned query (one head of attention); untrained it is the plain mean.

    Args:
        width: Width of the hidden states.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width))

    def forward(
        self, hidden: Float[Tensor, "questions length width"], mask: Int[Tensor, "questions length"]
    ) -> Float[Tensor, "questions width"]:
        """One vector a question.

        Args:
            hidden: Hidden states of the tokens.
            mask: 1 at real tokens, 0 at padding on either side.
        """
        states = torch.where(mask[..., None] > 0, hidden.float(), 0.0)
        logits = (states @ self.query.float()) / states.shape[-1] ** 0.5
        weight = logits.masked_fill(mask == 0, -torch.inf).softmax(-1)
        pooled: Tensor = (states * weight[..., None]).sum(1)
        return pooled


def make_pooling(name: str, width: int) -> nn.Module:
    """The pooling of a name.

    Args:
        name: ``mean``, ``last`` or ``attention``.
        width: Width of the hidden states; attention pooling has so many weights.

    Raises:
        InputError: There is no pooling of this name.
    """
    if name == "attention":
        return AttentionPooling(width)
    known: dict[str, type[nn.Module]] = {"mean": MeanPooling, "last": LastTokenPooling}
    if name not in known:
        raise InputError(f"pooling must be one of mean, last, attention, got {name!r}")
    return known[name]()
