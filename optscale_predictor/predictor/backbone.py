"""The stack of layers of a transformers model, wherever an architecture keeps it.

The language model under a predictor: any transformers encoder or decoder, with LoRA updates by PEFT.

A question's hidden states must not depend on its neighbours in a batch: attention is masked, and where a batch is
padded on the left, positions are counted from each question's own first token.
"""

import inspect
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

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
        model: See :func:`layer_stack`.
        top_layers: How many layers, >= 1; all where there are no more.

    Raises:
        InputError: See :func:`layer_stack`.
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
    """A base model, without any language-model head, and its tokenizer; single precision, on the CPU."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = load_pretrained(AutoTokenizer, name)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return load_pretrained(AutoModel, name, "cpu"), tokenizer


def tune(backbone: Any, settings: LoraSettings) -> Any:
    """The backbone with untrained LoRA updates on all its linear layers, or on those of its top layers."""
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
    """The backbone with LoRA updates; PEFT's notes on names and on transformers' own deprecations are left out."""
    from peft import get_peft_model

    lora.base_model_name_or_path = None  # PEFT would compare it with the folder the base was loaded from
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        return get_peft_model(backbone, lora)


def hidden_layers(backbone: Any, tokens: torch.Tensor, mask: torch.Tensor, layers: str) -> list[torch.Tensor]:
    """Hidden states [questions, length, width]: of the last layer, or, with ``all``, of the embeddings and every layer.

    Args:
        backbone: The model, with or without LoRA.
        tokens: [questions, length], padded on either side.
        mask: 1 at real tokens, 0 at padding; [questions, length].
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
    """How many tensors :func:`hidden_layers` gives."""
    return 1 if layers == "last" else int(backbone.config.num_hidden_layers) + 1


def _takes_positions(backbone: Any) -> bool:
    """Whether positions may be passed; models that count them past their padding index (RoBERTa) do so themselves."""
    model = getattr(backbone, "get_base_model", lambda: backbone)()
    counts_itself = hasattr(getattr(model, "embeddings", None), "create_position_ids_from_input_ids") or (
        "roberta" in type(model).__name__.lower()
    )
    return "position_ids" in inspect.signature(model.forward).parameters and not counts_itself
