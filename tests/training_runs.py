"""Training runs for tests: made-up targets, a tiny encoder, and callbacks that end a run in the middle."""

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import Callback
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, BertTokenizerFast

from optscale_predictor.cli.main import main as optscale

#: Seventy-two training questions: nine steps an epoch.
FLAGS = {
    "--data.path": "targets.jsonl",
    "--data.batch_size": 8,
    "--trainer.max_epochs": 3,
    "--trainer.log_every_n_steps": 1,
    "--trainer.enable_progress_bar": "false",
    "--checkpoint.every_n_steps": 5,
    "--model.loss": "squared_error",
}


def flags(output, **changes):
    """Arguments of ``optscale train`` over ``targets.jsonl``."""
    given = {
        "--model.output": output,
        **FLAGS,
        **{f"--{key.replace('__', '.')}": value for key, value in changes.items()},
    }
    return ["fit", *(str(part) for pair in given.items() for part in pair)]


def main(args):
    optscale(["train", *args])


def weights(output):
    return {name: load_file(Path(output) / name) for name in ("adapter_model.safetensors", "head.safetensors")}


def require_equal(one, other):
    """Two predictors are the same to the bit."""
    for name, tensors in weights(one).items():
        found = weights(other)[name]
        assert tensors.keys() == found.keys()
        assert all(torch.equal(tensors[key], found[key]) for key in tensors)


def write_targets(path, count=96, seed=0, **columns):
    """Mean falls with the number of terms, a relation that anyone can learn; every fourth question is held out."""
    rng = np.random.default_rng(seed)
    with open(path, "w") as file:
        for number in range(count):
            terms = int(rng.integers(2, 8))
            question = "+".join(map(str, rng.integers(1, 100, terms).tolist())) + "="
            mean = 1.0 - 0.1 * terms
            row = {"question": question, "mean": mean, "std": 0.5 * mean * (1 - mean), "num_samples": 16}
            row["split"] = "validation" if number % 4 == 0 else "train"
            file.write(json.dumps({**row, **columns}) + "\n")
    return path


def make_encoder(folder, layers=3):
    """A BERT of random weights."""
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"0123456789+="]
    (folder / "vocab.txt").write_text("\n".join([*words, *(f"##{word}" for word in words[5:])]))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": layers, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=2 * len(words), **sizes)).save_pretrained(folder)
    return str(folder)


def logged(folder: Path, column: str) -> dict[int, float]:
    """What the latest run beside a predictor logged, by step; nothing where it had nothing left to do."""
    versions = (folder / "csv").glob("version_*")
    latest = max(versions, key=lambda path: int(path.name.partition("_")[2]))
    if not (latest / "metrics.csv").exists():
        return {}
    with open(latest / "metrics.csv") as file:
        return {int(row["step"]): float(row[column]) for row in csv.DictReader(file) if row.get(column)}


class SignalAt(Callback):
    """Sends this process a signal once a step is done, before anything is written of it."""

    def __init__(self, step: int, number: int = int(signal.SIGKILL)) -> None:
        self.step, self.number = step, number

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        if trainer.global_step == self.step:
            self.step = -1
            os.kill(os.getpid(), self.number)


class Surer(Callback):
    """Makes a linear head surer from the start, by a factor exp(``by``) of what its strengths are beyond one."""

    def __init__(self, by: float) -> None:
        self.by = by

    def on_train_start(self, trainer, pl_module):
        with torch.no_grad():
            pl_module.predictor.head.bias[:, 2] += self.by
