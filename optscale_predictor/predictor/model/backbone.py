"""The language model under a predictor: any transformers encoder or decoder, its LoRA updates, and how it is pooled.

A question's hidden states must not depend on its neighbours in a batch: attention is masked, and where a batch is
padded on the left, positions are counted from each question's own first token. Pooling then makes one vector of a
question's hidden states, in which padding counts for nothing; its sums run in single precision whatever the
backbone's, so that a long question is not rounded away.
"""

import inspect
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.errors import InputError


def layer_stack(model: Any) -> nn.ModuleList:
    """The one list of as many layers as the model's config says.

    Args:
        model: A transformers model, not wrapped by PEFT.

    Raises:
        InputError: There is none, or there are several.
    """
    count = int(model.config.num_hidden_layers)
    found = [part for part in model.modules() if isinstance(part, nn.ModuleList) and len(part) == count]
    # Lists inside a layer (of experts, say) may happen to be as long.
    inside = {id(part) for stack in found for layer in stack for part in layer.modules()}
    outer = [stack for stack in found if id(stack) not in inside]
    if len(outer) != 1:
        raise InputError(f"{type(model).__name__}: it has no one stack of {count} layers, so none can be told apart")
    return outer[0]


def top_linear_names(model: Any, top_layers: int) -> list[str]:
    """Full names of the linear modules in the last layers of a model.

    Args:
        model: A transformers model, not wrapped by PEFT.
        top_layers: How many layers, >= 1; all where there are no more.

    Raises:
        InputError: The model has no one stack of layers, or several.
    """
    top = {id(part) for layer in list(layer_stack(model))[-top_layers:] for part in layer.modules()}
    return [name for name, part in model.named_modules() if id(part) in top and isinstance(part, nn.Linear)]


@dataclass(frozen=True)
class LoraSettings:
    """The LoRA updates of a backbone (Hu et al., arXiv 2106.09685).

    Attributes:
        rank: Rank of the updates, >= 1.
        alpha: Their scale, times ``rank``, > 0.
        dropout: Dropout before them, in [0, 1).
        top_layers: Only the last so many layers are tuned, >= 1; None: all.
    """

    rank: int = 16
    alpha: float = 32
    dropout: float = 0.05
    top_layers: int | None = None

    def __post_init__(self) -> None:
        """Checks every range."""
        if self.rank < 1:
            raise InputError(f"rank must be >= 1, got {self.rank}")
        if not self.alpha > 0:
            raise InputError(f"alpha must be > 0, got {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must lie in [0, 1), got {self.dropout}")
        if self.top_layers is not None and self.top_layers < 1:
            raise InputError(f"top_layers must be >= 1, got {self.top_layers}")


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


def tune(backbone: Any, settings: LoraSettings) -> Any:
    """The backbone with untrained LoRA updates on all its linear layers, or on those of its top layers.

    Args:
        backbone: A transformers model; its weights are frozen in place.
        settings: Rank, scale and dropout of the updates, and which layers have them.

    Raises:
        InputError: Only some layers are to be tuned, and the model has no one stack of them.
    """
    from peft import LoraConfig

    top = settings.top_layers
    alpha = settings.alpha
    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=int(alpha) if float(alpha).is_integer() else alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        # PEFT's layers_to_transform does not go with "all-linear", and misses stacks at a model's root.
        target_modules="all-linear" if top is None else top_linear_names(backbone, top),
    )
    return add_lora(backbone, lora)


def add_lora(backbone: Any, lora: Any) -> Any:
    """The backbone with LoRA updates; PEFT's notes on names and on transformers' own deprecations are left out.

    Args:
        backbone: A transformers model; its weights are frozen in place.
        lora: A ``peft.LoraConfig``.
    """
    from peft import get_peft_model

    lora.base_model_name_or_path = None  # PEFT would compare it with the folder the base was loaded from
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        return get_peft_model(backbone, lora)


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
