"""Every command with sound arguments, and which files of the sound world it reads: what the corpus begins with.

Arguments name files by their place in the world's copy, which is the folder that the command runs in; ``out`` is where
it may write.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import prepare

from optscale_predictor.cli.main import main
from optscale_predictor.predictor.training.train_command import main as train


def serve_for_a_moment(arguments: Sequence[str]) -> None:
    """``optscale serve``, told to stop as soon as it says where it listens."""
    told, done = sys.stdout, threading.Event()

    def stop() -> None:
        while not done.wait(0.02):
            if " at http" in told.getvalue():  # type: ignore[attr-defined]
                os.kill(os.getpid(), signal.SIGTERM)
                return

    watch = threading.Thread(target=stop)
    watch.start()
    try:
        main(arguments)
    finally:
        done.set()
        watch.join()


def evaluate(arguments: Sequence[str]) -> None:
    """``optscale eval``."""
    main(["eval", *arguments])


@dataclass(frozen=True)
class Command:
    """A command that does something small.

    Attributes:
        name: As the report shows it.
        arguments: Sound ones.
        reads: Files and folders of the world whose damage it may meet; a folder stands for every file below it.
        needs: What else of the world has to be there.
        writes: Pools that it may add to.
        run: What runs it.
        slow: Whether a run takes seconds, so that fewer cases are tried.
    """

    name: str
    arguments: str
    reads: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    run: Callable[[Sequence[str]], object] = main
    slow: bool = False

    @property
    def words(self) -> list[str]:
        return self.arguments.split()


_ASK = "--num_samples 6 --max_tokens 8"
_ANSWER = "answer questions.jsonl --policy best_of_n:max_samples=2 --max_tokens 8"
COMMANDS = (
    Command("generate", f"generate unscored --questions embedded:train:16 {_ASK}", ("unscored",), writes=("unscored",)),
    Command(
        "generate from files",
        "generate out --questions questions.jsonl --prompt_file prompt.txt --num_samples 2 --max_tokens 8",
        ("questions.jsonl", "prompt.txt"),
    ),
    Command("generate with flags of a file", "generate out --config flags.yaml", ("flags.yaml",), ("questions.jsonl",)),
    Command(
        "generate with a fine-tuned generator",
        "generate out --questions questions.jsonl --generator generator --num_samples 1 --max_tokens 8",
        ("generator",),
        ("questions.jsonl",),
    ),
    Command(
        "generate with a model",
        "generate out --questions questions.jsonl --generator model --num_samples 1 --max_tokens 8",
        ("model",),
        ("questions.jsonl",),
    ),
    Command(
        "generate with a GGUF file",
        "generate out --questions questions.jsonl --generator header.gguf --num_samples 1 --max_tokens 8",
        ("header.gguf",),
        ("questions.jsonl",),
    ),
    Command("score", "score unscored --verifier math_verify --column score_right", ("unscored",), writes=("unscored",)),
    Command(
        "score with a trained verifier",
        "score unscored --verifier verifier",
        ("verifier",),
        ("unscored",),
        ("unscored",),
    ),
    Command(
        "score with a likelihood", "score unscored --verifier likelihood", ("likelihood",), ("unscored",), ("unscored",)
    ),
    Command(
        "score with several", "score unscored --verifier combined:combined", ("combined",), ("unscored",), ("unscored",)
    ),
    Command(
        "score with a judge",
        "score unscored --verifier judge:m --verifier_url http://127.0.0.1:9/v1 --verifier_rubric rubric.txt",
        ("rubric.txt",),
        ("unscored",),
    ),
    Command("targets", "targets pool --output out/targets.parquet", ("pool",)),
    Command("pool info", "pool info pool", ("pool",)),
    Command("pool validate", "pool validate pool", ("pool",)),
    Command("pool validate --repair", "pool validate pool --repair true", ("pool",), writes=("pool",)),
    Command("pool merge", "pool merge pool other --output out", ("pool",), ("other",)),
    Command("pool export", "pool export pool out.jsonl", ("pool",)),
    Command("pool import", "pool import out samples.jsonl --format jsonl", ("samples.jsonl",)),
    Command("pool import of a log", "pool import out log.jsonl --format lm_eval", ("log.jsonl",)),
    Command("pool import of published", "pool import out published.json --format paper", ("published.json",)),
    Command("pool push", "pool push pool name/samples", ("pool",), writes=("pool",)),
    Command(
        "train",
        "fit --config train.yaml",
        ("train.yaml", "targets/targets.parquet"),
        ("targets",),
        run=train,
        slow=True,
    ),
    Command("predict", "predict predictor questions.jsonl", ("predictor", "questions.jsonl")),
    Command("predict of CSV", "predict predictor questions.csv", ("questions.csv",), ("predictor",)),
    Command(
        "assess",
        "assess predictor targets/targets.parquet --resamples 10 --output out",
        ("predictor", "targets/targets.parquet"),
    ),
    Command("calibrate", "calibrate pool out.json", ("pool",)),
    Command("fit-policy", "fit-policy sums --output out", ("sums",), slow=True),
    Command("train-verifier", "train-verifier pool --epochs 1 --output out --samples 2", ("pool",), slow=True),
    Command("train-generator", "train-generator solved.jsonl --epochs 1 --output out", ("solved.jsonl",), slow=True),
    Command("merge-generator", "merge-generator generator out", ("generator",)),
    Command("answer", f"{_ANSWER} --pool out --output out.jsonl", ("questions.jsonl",)),
    Command("answer again", f"{_ANSWER} --pool unscored", ("unscored",), ("questions.jsonl",), ("unscored",)),
    Command(
        "answer with a fitted policy",
        "answer questions.jsonl --policy fitted:path=fitted --max_samples 2 --max_tokens 8",
        ("fitted",),
        ("questions.jsonl",),
    ),
    Command("replay", "replay pool --num_orders 2 --frontier false", ("pool",)),
    Command(
        "replay with a predictor",
        "replay pool --predictor predictor --num_orders 2 --frontier false",
        ("predictor",),
        ("pool",),
    ),
    Command(
        "replay of a calibrated policy",
        "replay pool --policies beacon:max_samples=4,calibration=map.json --num_orders 2 --frontier false",
        ("map.json",),
        ("pool",),
    ),
    Command(
        "replay of several scores", "replay two_scores --scores combined --num_orders 2", ("two_scores",), ("combined",)
    ),
    Command("tune", "tune sums --num_orders 1", ("sums",), slow=True),
    Command("paper-table", "paper-table layout --output out --num_orders 1", ("layout",), slow=True),
    Command(
        "eval",
        "--config eval.yaml",
        ("eval.yaml", "questions.jsonl"),
        run=evaluate,
        slow=True,
    ),
    Command("report", "report run --output out", ("run",), slow=True),
    Command("serve", "serve --port 0 --prompt_file prompt.txt", ("prompt.txt",), run=serve_for_a_moment),
    Command("serve with a predictor", "serve --port 0 --predictor predictor", ("predictor",), run=serve_for_a_moment),
    Command("publish", "publish predictor", ("predictor",), slow=True),
    Command("demo", "demo --output out --train_set solved.jsonl", ("solved.jsonl",), slow=True),
    Command("prepare.py", "recipe.yaml", ("recipe.yaml",), ("questions.jsonl",), run=prepare.main, slow=True),
)
