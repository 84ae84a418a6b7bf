"""The stack of layers of a transformers model, wherever an architecture keeps it."""

from typing import Any

from torch import nn

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
