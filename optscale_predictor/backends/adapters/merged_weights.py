"""LoRA updates added into the weights that they update: a model that any engine runs, at the base's cost."""

import json
from pathlib import Path
from typing import Any

from optscale_predictor._support.json_reader import read_object
from optscale_predictor._support.usual_modes import give_weights_usual_modes
from optscale_predictor.errors import InputError

# What transformers writes down of where a model came from on this machine, and of code that came with it.
_LEFT_OUT = ("name_or_path", "_name_or_path", "is_local", "local_files_only", "auto_map")


def merge_updates(model: Any) -> Any:
    """The base with its updates added into its weights, without PEFT around it.

    The sums are made in double precision: in single precision their last bits differ from one machine's matrix
    product to another's, and the fingerprint of a merged model, which ties a verifier to it, could too.

    Args:
        model: Wrapped by PEFT; changed in place.

    Raises:
        InputError: The updates cannot be added, or a sum is not finite.
    """
    from peft.tuners.lora import LoraLayer

    layers: list[Any] = [part for part in model.modules() if isinstance(part, LoraLayer)]
    _require_untied(model.get_base_model(), layers)
    try:
        for layer in layers:
            dtype = layer.get_base_layer().weight.dtype
            layer.double()
            layer.merge(safe_merge=True)
            layer.get_base_layer().to(dtype)
        return model.unload()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"the updates cannot be merged: {' '.join(str(error).split())[:200]}") from error


def _require_untied(base: Any, layers: list[Any]) -> None:
    """Refuses updates of a weight that the embedding and the output layer share: merged, they would change both."""
    ends = [base.get_input_embeddings(), base.get_output_embeddings()]
    weights = [getattr(getattr(end, "base_layer", end), "weight", None) for end in ends]
    shared = weights[0] if weights[0] is weights[1] else None
    if shared is not None and any(layer.get_base_layer().weight is shared for layer in layers):
        raise InputError("it updates a weight that the embedding and the output layer share, so it cannot be merged")


def write_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Writes a model and its tokenizer, as transformers reads them; nothing of this machine is in them.

    Args:
        model: A transformers model without PEFT around it.
        tokenizer: Its tokenizer.
        folder: Gets the files.
    """
    model.save_pretrained(folder)
    give_weights_usual_modes(folder)
    tokenizer.save_pretrained(folder)
    for name in ("config.json", "tokenizer_config.json"):
        settings = read_object(folder / name, finite=True)
        kept = {key: value for key, value in settings.items() if key not in _LEFT_OUT}
        (folder / name).write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
