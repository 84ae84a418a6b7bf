"""How fast is training, against padding every question to one length and against a plain Hugging Face Trainer?

    python benchmarks/training_speed.py [--data train.jsonl.gz] [--device cuda] [--steps 30] [--output FOLDER]

One model of about MiniLM's size (a Llama of 6 layers, width 384, weights random: speed does not depend on them), the
same LoRA, the same squared error, the same questions a batch. Each way of training runs in a process of its own:

- ``padded``: every question to 768 tokens, shuffled, as the code published with the paper does; the named baseline;
- ``trainer``: a Hugging Face Trainer, shuffled, each batch padded to its longest question;
- ``ours``: this package's loop (LightningCLI's own module, data and callbacks), batches by length;
- ``ours, tokens``: the same with batches of as many places as a padded batch has;
- ``ours, top 2``: the same as ``ours`` with LoRA on the top two layers and the frozen ones cached (another model: fewer
  updates; not a like-for-like figure).

Tokens are the questions' own, without padding, and ratios are of tokens: few steps have questions of other lengths in
one way than in another. Peak memory is the process's (and, on a GPU, the device's). Without
``--data`` questions are made up, with lengths as those of MATH (log-normal, median 60 tokens, at most 768).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _ratios import print_ratios

LONGEST = 768
LAYERS, WIDTH, INNER, VOCABULARY = 6, 384, 1536, 4000
WAYS = ("padded", "trainer", "ours", "ours, tokens", "ours, top 2")
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12}  # dense bfloat16


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", help="targets: JSON lines or Parquet; made up by default")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=30, help="measured steps; a third as many before are not")
    parser.add_argument("--output", help="folder for the figures as JSON")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.one:
        print(json.dumps(run(flags.one[0], Path(flags.one[1]), flags)))
        return
    if flags.data and not Path(flags.data).is_file():
        raise SystemExit(f"training_speed: {flags.data} is missing")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_questions(flags.data, folder)
        make_base(folder / "base")
        found = [measure(way, folder) for way in WAYS]
    if flags.output:
        Path(flags.output).mkdir(parents=True, exist_ok=True)
        (Path(flags.output) / "training_speed.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    rates = {str(row["way"]): float(row["tokens_per_second"]) for row in found}
    named = {"padded": "the published code's padding", "trainer": "Hugging Face Trainer"}
    ratios = {f"seconds a token, against {name}": rates["ours"] / rates[way] for way, name in named.items()}
    print_ratios("; ".join(named.values()), ratios)


def measure(way: str, folder: Path) -> dict[str, Any]:
    """One way in a fresh process; prints its row of the table."""
    command = [sys.executable, __file__, *sys.argv[1:], "--one", way, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = {"way": way, **json.loads(done.splitlines()[-1])}
    first = folder / "baseline.json"
    if not first.exists():
        first.write_text(json.dumps(figures))
        print("| way | tokens/s | questions/s | padding | times the baseline | peak MB | of peak flops |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
    ratio = figures["tokens_per_second"] / json.loads(first.read_text())["tokens_per_second"]
    cells = [way, f"{figures['tokens_per_second']:,.0f}", f"{figures['questions_per_second']:,.1f}"]
    cells += [f"{figures['padding_share']:.0%}", f"{ratio:.2f}", f"{figures['peak_bytes'] / 1e6:,.0f}"]
    cells.append("" if figures["of_peak"] is None else f"{figures['of_peak']:.1%}")
    print("| " + " | ".join(cells) + " |", flush=True)
    return figures


def run(way: str, folder: Path, flags: argparse.Namespace) -> dict[str, Any]:
    """Trains, and gives the rates of the measured steps."""
    import torch

    torch.manual_seed(0)
    counted = {"padded": train_padded, "trainer": train_with_trainer}.get(way, train_ours)(way, folder, flags)
    tokens, questions, places, seconds = (counted[key] for key in ("tokens", "questions", "places", "seconds"))
    on_device = torch.cuda.max_memory_allocated() if flags.device == "cuda" else 0
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "tokens_per_second": tokens / seconds,
        "questions_per_second": questions / seconds,
        "padding_share": 1 - tokens / places,
        "peak_bytes": on_device or host,
        "of_peak": share_of_peak(places / seconds) if flags.device == "cuda" else None,
    }


def share_of_peak(places_per_second: float) -> float | None:
    """Share of the GPU's peak: 4 flops a weight and place (forward, and backward to activations), padding included."""
    import torch

    name = torch.cuda.get_device_name()
    peak = next((flops for known, flops in PEAK_FLOPS.items() if known in name), None)
    weights = LAYERS * (4 * WIDTH**2 + 3 * WIDTH * INNER)
    return None if peak is None else 4 * weights * places_per_second / peak


def write_questions(data: str | None, folder: Path) -> None:
    """Questions of a file, or made up, as JSON lines without a split but for a few held-out ones."""
    from optscale_predictor.predictor.training.training_targets import read_targets

    if data:
        rows = [{"question": one.question, "mean": one.mean, "std": one.std} for one in read_targets(data)]
    else:
        rng = np.random.default_rng(0)
        lengths = np.clip(rng.lognormal(np.log(60), 0.7, 3000), 8, LONGEST).astype(int)
        rows = [
            {
                "question": " ".join(f"w{word}" for word in rng.integers(0, VOCABULARY - 10, length)),
                "mean": 0.6,
                "std": 0.2,
            }
            for length in lengths
        ]
        for row in rows:
            row["mean"] = float(rng.uniform(0.3, 0.9))
    with open(folder / "targets.jsonl", "w", encoding="utf-8") as file:
        for number, row in enumerate(rows):
            split = "validation" if number < 4 else "train"
            file.write(json.dumps({**row, "num_samples": 16, "split": split}) + "\n")


def make_base(folder: Path) -> None:
    """A Llama of random weights, and a tokenizer of the words in the questions."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

    lines = (folder.parent / "targets.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["question"] for line in lines]
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit()])
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["[PAD]", "[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    sizes: dict[str, Any] = {"num_hidden_layers": LAYERS, "hidden_size": WIDTH, "intermediate_size": INNER}
    sizes["num_attention_heads"] = 12
    torch.manual_seed(0)
    model = LlamaModel(LlamaConfig(vocab_size=len(wrapped), max_position_embeddings=LONGEST, pad_token_id=0, **sizes))
    model.save_pretrained(folder)
    wrapped.save_pretrained(folder)


def make_predictor(folder: Path) -> Any:
    """The predictor that every way trains."""
    from optscale_predictor.predictor.model.config import PredictorConfig
    from optscale_predictor.predictor.pretrained import OptScalePredictor

    config = PredictorConfig(str(folder / "base"), pooling="last", max_length=LONGEST)
    return OptScalePredictor.from_base(config).train()


def read_rows(folder: Path, predictor: Any) -> tuple[list[list[int]], Any]:
    """Tokens of the training questions, and their moments [questions, 2]."""
    import torch

    rows = [json.loads(line) for line in (folder / "targets.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["split"] == "train"]
    moments = torch.tensor([[row["mean"], row["std"]] for row in rows])
    return predictor.tokenize([row["question"] for row in rows]), moments


def squared_error(predictor: Any, tokens: Any, mask: Any, moments: Any) -> Any:
    """The loss that every way has."""
    found = predictor(tokens, mask)
    return ((found.mean - moments[:, 0]) ** 2 + (found.std - moments[:, 1]) ** 2).mean()


def train_padded(way: str, folder: Path, flags: argparse.Namespace) -> dict[str, float]:
    """Every question padded to ``LONGEST``; a plain loop, so that nothing but the padding is measured."""
    import torch

    predictor = make_predictor(folder).to(flags.device)
    tokens, moments = read_rows(folder, predictor)
    optimizer = torch.optim.AdamW([part for part in predictor.parameters() if part.requires_grad], lr=1e-4)
    order = torch.randperm(len(tokens)).tolist()
    clock = Clock(flags)
    while not clock.done:
        start = clock.step * flags.batch_size % (len(order) - flags.batch_size)
        rows = order[start : start + flags.batch_size]
        padded = torch.zeros((len(rows), LONGEST), dtype=torch.long)
        mask = torch.zeros_like(padded)
        for number, row in enumerate(rows):
            padded[number, : len(tokens[row])] = torch.tensor(tokens[row])
            mask[number, : len(tokens[row])] = 1
        padded, mask, truth = (part.to(flags.device) for part in (padded, mask, moments[rows]))
        with torch.autocast(flags.device, torch.bfloat16, enabled=flags.device == "cuda"):
            loss = squared_error(predictor, padded, mask, truth)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(predictor.parameters(), 1.0)
        optimizer.step()
        clock.count(mask)
    return clock.counted


def train_with_trainer(way: str, folder: Path, flags: argparse.Namespace) -> dict[str, float]:
    """A Hugging Face Trainer with its own sampler and a collator that pads to the longest question of the batch."""
    import torch
    from torch import nn
    from transformers import Trainer, TrainerCallback, TrainingArguments

    predictor = make_predictor(folder)
    tokens, moments = read_rows(folder, predictor)
    clock = Clock(flags)

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.predictor = predictor

        def forward(self, tokens: Any, mask: Any, labels: Any) -> dict[str, Any]:
            self.mask = mask
            return {"loss": squared_error(self.predictor, tokens, mask, labels)}

    class Count(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            clock.count(model.mask)
            control.should_training_stop = clock.done

    def collate(rows: list[int]) -> dict[str, Any]:
        padded, mask = predictor.collate([tokens[row] for row in rows])
        return {"tokens": padded, "mask": mask, "labels": moments[rows]}

    settings = TrainingArguments(
        str(folder / "trainer"),
        per_device_train_batch_size=flags.batch_size,
        max_steps=clock.first + flags.steps,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=flags.device == "cpu",
        bf16=flags.device == "cuda",
        remove_unused_columns=False,
        label_names=["labels"],
        logging_steps=10_000,
    )
    rows: Any = list(range(len(tokens)))
    trainer = Trainer(Wrapped(), settings, data_collator=collate, train_dataset=rows, callbacks=[Count()])
    with torch.enable_grad():
        trainer.train()
    return clock.counted


def train_ours(way: str, folder: Path, flags: argparse.Namespace) -> dict[str, float]:
    """This package's module and data under Lightning, callbacks and loggers as the command has them."""
    import pytorch_lightning as pl

    from optscale_predictor._support.training_loop.quiet_lightning import quiet
    from optscale_predictor._support.training_loop.throughput import Throughput
    from optscale_predictor.backends.adapters.lora import LoraSettings
    from optscale_predictor.predictor.losses import SquaredError
    from optscale_predictor.predictor.training.data_module import TargetData
    from optscale_predictor.predictor.training.module import PredictorModule

    quiet()
    clock = Clock(flags)

    class Count(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
            clock.count(batch["mask"])
            trainer.should_stop = clock.done

    top = 2 if "top" in way else None
    budget = flags.batch_size * LONGEST if "tokens" in way else None
    data = TargetData(str(folder / "targets.jsonl"), None, flags.batch_size, budget)
    module = PredictorModule(
        str(folder / "out"),
        data.training_data,
        str(folder / "base"),
        pooling="last",
        max_length=LONGEST,
        loss=SquaredError(weighted=False),
        lora=LoraSettings(top_layers=top),
        cache_frozen="memory" if top else "none",
    )
    pl.Trainer(
        max_steps=clock.first + flags.steps,
        accelerator="gpu" if flags.device == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if flags.device == "cuda" else "32-true",
        gradient_clip_val=1.0,
        callbacks=[Throughput(), Count()],
        logger=pl.loggers.CSVLogger(folder, name="csv"),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        log_every_n_steps=10,
        use_distributed_sampler=False,
    ).fit(module, data)
    return clock.counted


class Clock:
    """Counts steps, the first of which warm up: time from the end of one step to the end of the next, loading included.

    Args:
        flags: The command line's.
    """

    def __init__(self, flags: argparse.Namespace) -> None:
        self.first, self._last = max(2, flags.steps // 3), max(2, flags.steps // 3) + flags.steps
        self.step = 0
        self._began = 0.0
        self.counted = {"tokens": 0.0, "questions": 0.0, "places": 0.0, "seconds": 0.0}

    @property
    def done(self) -> bool:
        """Whether all steps were made."""
        return bool(self.step >= self._last)

    def count(self, mask: Any) -> None:
        """Ends a step whose batch has this mask [questions, length]; waits for the device."""
        tokens = int(mask.sum())
        if mask.is_cuda:
            import torch

            torch.cuda.synchronize()
        self.step += 1
        if self.step > self.first:
            self.counted["tokens"] += tokens
            self.counted["questions"] += len(mask)
            self.counted["places"] += mask.numel()
            self.counted["seconds"] = time.perf_counter() - self._began
        elif self.step == self.first:
            self._began = time.perf_counter()


if __name__ == "__main__":
    main()
