"""Predictor checkpoints: a folder that others load in one line.

- ``adapter_config.json``, ``adapter_model.safetensors``: the LoRA updates, in PEFT's own form;
- ``head.safetensors``: the head;
- ``optscale_config.json``: what it is made of and was made from;
- ``README.md``: the model card, its numbers measured.

The head lies in a file of its own because a head next to a LoRA is easily lost on reload (peft #310, #577).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.config import PredictorConfig

if TYPE_CHECKING:
    from optscale_predictor.predictor.model import OptScalePredictor

HEAD = "head.safetensors"
ADAPTER = "adapter_model.safetensors"


def save(predictor: "OptScalePredictor", folder: Path) -> None:
    """Writes the checkpoint; files that are there are replaced."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    predictor.backbone.save_pretrained(folder)
    # PEFT writes down where the base model lay on this machine; the name it goes by is in our config.
    adapter = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    adapter["base_model_name_or_path"] = predictor.config.base_model
    (folder / "adapter_config.json").write_text(json.dumps(adapter, indent=2) + "\n", encoding="utf-8")
    save_file({name: part.contiguous() for name, part in predictor.head.state_dict().items()}, folder / HEAD)
    predictor.config.save(folder)
    (folder / "README.md").write_text(_card(predictor.config), encoding="utf-8")


def load(
    kind: "type[OptScalePredictor]", path_or_hub_id: str, revision: str | None, base_model: str | None
) -> "OptScalePredictor":
    """See ``OptScalePredictor.from_pretrained``."""
    from peft import LoraConfig

    from optscale_predictor.predictor.model import add_lora, load_base

    folder = _folder(path_or_hub_id, revision)
    config = PredictorConfig.load(folder)
    for name in ("adapter_config.json", ADAPTER, HEAD):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: {name} is missing from this checkpoint")
    backbone, tokenizer = load_base(base_model or config.base_model)
    lora = LoraConfig.from_pretrained(str(folder))
    lora.inference_mode = True
    predictor = kind(add_lora(backbone, lora), tokenizer, config)
    _load_weights(predictor, folder)
    return predictor.eval()


def _load_weights(predictor: "OptScalePredictor", folder: Path) -> None:
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        adapter, head = load_file(folder / ADAPTER), load_file(folder / HEAD)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder}: cannot read its weights: {error}") from error
    pairs = (
        (ADAPTER, adapter, get_peft_model_state_dict(predictor.backbone)),
        (HEAD, head, predictor.head.state_dict()),
    )
    for name, found, wanted in pairs:
        wrong = found.keys() ^ wanted.keys() or {key for key in found if found[key].shape != wanted[key].shape}
        if wrong:
            raise InputError(f"{folder / name}: tensor {min(wrong)!r} is missing, unknown or of another shape")
    set_peft_model_state_dict(predictor.backbone, adapter)
    predictor.head.load_state_dict(head)


def _folder(path_or_hub_id: str, revision: str | None) -> Path:
    folder = Path(path_or_hub_id)
    if folder.is_dir():
        return folder
    if path_or_hub_id.count("/") != 1 or path_or_hub_id.startswith((".", "/")):
        raise InputError(f"predictor {path_or_hub_id!r}: no such folder")
    from huggingface_hub import snapshot_download

    try:
        files = ["*.json", "*.safetensors", "README.md"]
        return Path(snapshot_download(path_or_hub_id, revision=revision, allow_patterns=files))
    except Exception as error:  # the hub client raises many kinds; each means that it is not to be had
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"predictor {path_or_hub_id!r}: no such folder, and not to be had from the hub: {reason}"
        ) from error


def _card(config: PredictorConfig) -> str:
    lines = [f"| {name} | {value:.4g} |" for name, value in config.metrics.items()]
    table = "\n".join(["| held-out questions | value |", "| --- | --- |", *lines]) if lines else "Not measured."
    return f"""---
library_name: optscale-predictor
base_model: {config.base_model}
tags: [optscale, best-of-n, lora]
---

# OptScale predictor

Reads a question and emits the prior of its verifier scores: mean, standard deviation, and a strength of
{config.strength:.3g} samples. LoRA on `{config.base_model}`, {config.pooling} pooling, at most {config.max_length}
tokens.

Learnt from samples of generator `{config.generator or "not recorded"}`, scored in [0, 1] by verifier
`{config.verifier or "not recorded"}`. It says nothing about others.

## Measured

{table}

## Use

```python
from optscale_predictor import OptScalePredictor

prior = OptScalePredictor.from_pretrained("PATH").predict(["A question?"])
print(prior.mu, prior.sigma, prior.strength)
```
"""
