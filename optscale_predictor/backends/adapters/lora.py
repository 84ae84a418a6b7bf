"""LoRA updates of a language model that is not trained itself (Hu et al., arXiv 2106.09685): which layers have them."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from torch import nn


def layer_stack(model: Any) -> "nn.ModuleList":
    """The one list of as many layers as the model's config says.

    Args:
        model: A transformers model, not wrapped by PEFT.

    Raises:
        InputError: There is none, or there are several.
    """
    from torch import nn

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
    from torch import nn

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
        warnings.filterwarnings("ignore", message=".*tie_word_embeddings.*")  # refused where they are merged
        return get_peft_model(backbone, lora)
