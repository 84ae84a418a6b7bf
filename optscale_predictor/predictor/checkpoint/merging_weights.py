"""Merged checkpoints: the LoRA updates added into the base's weights, so that no base is fetched and no PEFT runs.

The folder is a plain transformers model with its tokenizer, which any tool that serves encoders reads; the predictor's
config and head lie beside it. What anybody wrote is checked first: a model's config can name code to run (``auto_map``)
or a kernel to download (``attn_implementation``), and an ``adapter_config.json`` beside it another model altogether.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from optscale_predictor._support.json_reader import read_object
from optscale_predictor.backends.adapters.adapter import is_adapted
from optscale_predictor.backends.adapters.base_model import base_fingerprint, published_name
from optscale_predictor.backends.adapters.checked_files import own_file, require_no_kernel
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor.predictor.model.prior_network import PriorNetwork

#: A whole model's files, as patterns.
MODEL_FILES = (
    "config.json",
    "model.safetensors",
    "model-*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "chat_template.jinja",
)


def merge(predictor: "PriorNetwork") -> None:
    """Adds a predictor's LoRA updates into its base; saved, it is a merged checkpoint. It predicts as before to 1e-5.

    Raises:
        InputError: They are merged already, or their sum is not finite.
    """
    if not is_adapted(predictor.backbone):
        raise InputError("this predictor's updates are merged into its base already")
    try:
        predictor.backbone = predictor.backbone.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise InputError(f"the updates cannot be merged: {' '.join(str(error).split())}") from error
    predictor.config.merged = True
    predictor.config.base_model = published_name(predictor.config.base_model)
    predictor.config.base_fingerprint = base_fingerprint(predictor.backbone)


def read_model(folder: Path) -> tuple[Any, Any]:
    """The backbone and the tokenizer of a merged checkpoint; single precision, on the CPU.

    Raises:
        InputError: A file is missing, leads elsewhere or names code; or the model is not all there.
    """
    from transformers import AutoModel, AutoTokenizer

    for pattern in MODEL_FILES:
        for path in folder.glob(pattern):
            own_file(folder, path.name)
    if (folder / "adapter_config.json").exists():
        raise InputError(f"{folder}: its updates are merged, and yet there is an adapter_config.json")
    for name in ("config.json", "tokenizer_config.json"):
        content = read_object(own_file(folder, name), finite=True)
        require_no_kernel(content, str(folder / name))
        if content.get("auto_map"):
            raise InputError(f"{folder / name}: auto_map is set; a checkpoint may not bring code")
    where = str(folder.absolute())
    tokenizer = load_pretrained(AutoTokenizer, where)
    return load_pretrained(AutoModel, where, "cpu", complete=True), tokenizer
