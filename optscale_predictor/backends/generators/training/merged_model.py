"""A fine-tuned generator as a whole model in a folder, for engines that take no updates: vLLM, llama.cpp."""

from pathlib import Path

from optscale_predictor._support.training_loop.resumable_run import require_new, written_whole
from optscale_predictor.backends.adapters.generator_folder import require_adapter
from optscale_predictor.backends.adapters.merged_weights import write_model
from optscale_predictor.backends.generators.training.generator_settings import PRECISIONS
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.errors import InputError


def write_merged(generator: str, output: str | Path, precision: str = "bfloat16") -> None:
    """Writes a fine-tuned generator's base, its updates added into its weights, and its tokenizer.

    Args:
        generator: Folder of LoRA updates, or the hub id of one.
        output: The folder; must not exist.
        precision: Of the weights that are written, ``bfloat16`` or ``float32``.

    Raises:
        InputError: It is no fine-tuned generator, its base is not here, or the folder exists.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    output = Path(output)
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    require_adapter(generator)
    require_new(output)
    model = load_pretrained(AutoModelForCausalLM, generator, "cpu")
    tokenizer = load_pretrained(AutoTokenizer, generator)
    with written_whole(output) as folder:
        write_model(model.to(getattr(torch, precision)), tokenizer, folder)
