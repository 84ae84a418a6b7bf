"""The verb that makes a whole model of a fine-tuned generator."""


def merge_generator(generator: str, output: str, precision: str = "bfloat16") -> None:
    """Write a fine-tuned generator's base with its updates merged: a whole model, for vLLM, llama.cpp and others.

    Args:
        generator: Folder of `optscale train-generator` or of PEFT, or the hub id of one.
        output: Folder for the model and its tokenizer; must not exist.
        precision: Of the weights that are written, `bfloat16` or `float32`.
    """
    from optscale_predictor.backends.generators.training.merged_model import write_merged

    write_merged(generator, output, precision)
    print(f"{output}: a whole model; use it as --generator {output}")
