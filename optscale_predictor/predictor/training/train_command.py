"""The training command: LightningCLI over :class:`PredictorModule` and :class:`TargetData`.

    optscale train fit --config CONFIG [--any.flag VALUE]
    optscale train fit --config CONFIG --ckpt_path last          # goes on where a run was stopped or killed

CONFIG is a file, or a recipe that ships (``optscale_predictor/predictor/configs``): ``arithmetic``, ``math_minilm``,
``decoder``, ``paper``. Every setting of trainer, model and data is a flag and a line of YAML; ``--print_config`` shows
them all. Bad input ends with one line and exit code 2; Ctrl-C with exit code 130, the run's state written.
"""

import shlex
import warnings
from argparse import ArgumentError
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import EarlyStopping, ProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from optscale_predictor._support.argument_types import require_arguments
from optscale_predictor._support.atomic_files import named_beside
from optscale_predictor._support.config_files import ConfigParser
from optscale_predictor._support.messages import last_line
from optscale_predictor._support.progress import bars_move
from optscale_predictor._support.training_loop.last_checkpoint import (
    LAST,
    InterruptedRun,
    LastCheckpoint,
    require_state,
)
from optscale_predictor._support.training_loop.quiet_lightning import quiet
from optscale_predictor._support.training_loop.throughput import Throughput
from optscale_predictor._support.training_loop.training_bar import bar_at_terminal
from optscale_predictor.errors import NO_ROOM, InputError, path_mistake
from optscale_predictor.predictor.model.config import ScoreSource
from optscale_predictor.predictor.training.data_module import TargetData
from optscale_predictor.predictor.training.module import PredictorModule
from optscale_predictor.predictor.training.refused_settings import mistake_behind

CONFIGS = Path(__file__).parents[1] / "configs"

PROGRAM = "optscale train"  # as usage and hints name it; train.py of the repository runs the same

_STRICT = {"allow_abbrev": False, "exit_on_error": False}
_CONFIG_FLAGS = ("--config", "-c")
_NEVER = 1_000_000  # validations without progress: early stopping is off until it is asked for


class TrainingParser(ConfigParser, LightningArgumentParser):
    """LightningCLI's parser, whose files of flags are checked."""


class TrainingCLI(LightningCLI):
    """LightningCLI with early stopping, resumption and throughput, each with flags of its own."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds ``--early_stopping.*`` and ``--checkpoint.*``; one seed and one monitored number serve all."""
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.set_defaults(
            {
                "early_stopping.monitor": "log_evidence",
                "early_stopping.mode": "max",
                "early_stopping.patience": _NEVER,
                "early_stopping.check_on_train_epoch_end": False,
            }
        )
        parser.add_lightning_class_args(LastCheckpoint, "checkpoint")
        # Made by the one module and handed to the other, so that neither looks for the other in the trainer.
        parser.link_arguments("data.training_data", "model.training_data", apply_on="instantiate")
        parser.link_arguments("model.monitor", "early_stopping.monitor")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=_seed_of)
        parser.link_arguments("model.output", "checkpoint.folder", compute_fn=_beside)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """``fit`` alone: a predictor is measured by ``optscale assess`` and applied by ``optscale predict``."""
        return {"fit": LightningCLI.subcommands()["fit"]}

    def before_fit(self) -> None:
        """Refuses a state that cannot be gone on from; what is read of one is tensors and plain values."""
        self.config_init["fit"]["weights_only"] = True
        config = self.config["fit"]
        path = config["ckpt_path"]
        if path == "last":
            path = Path(config["checkpoint"]["folder"]) / LAST
            if not path.exists():
                return  # the first run of a script that always resumes
        if path not in (None, "best", "hpc"):
            require_state(Path(path))

    def instantiate_trainer(self, **options: Any) -> pl.Trainer:
        """The trainer; what it writes goes beside the predictor unless another place or other loggers are named."""
        config = self.config.get("fit", self.config)
        beside = _beside(config["model"]["output"])
        if config["trainer"]["logger"] in (None, True):
            options["logger"] = _loggers(Path(beside))
        if config["trainer"]["default_root_dir"] is None:
            options["default_root_dir"] = beside  # where Lightning writes config.yaml if nothing logs; else it is "."
        given = self.config_init.get("fit", self.config_init)["trainer"]
        callbacks = given["callbacks"] or []
        if given["enable_progress_bar"] is not False and not any(isinstance(one, ProgressBar) for one in callbacks):
            options["callbacks"] = [*callbacks, *bar_at_terminal()]
        return super().instantiate_trainer(**options)


def main(args: list[str]) -> None:
    """Runs LightningCLI.

    Args:
        args: Of the command line, without the verb.

    Raises:
        InputError: A setting, file or state cannot be used, or the device's memory or disk is too small.
    """
    try:
        _run(with_recipes(args))
    except InterruptedRun as stopped:
        resumed = [*_without_resumption(args), "--ckpt_path", "last"]
        last_line(f"{stopped}; to go on: optscale train {shlex.join(resumed)}")
        raise SystemExit(130) from None
    except KeyboardInterrupt:
        last_line("interrupted; add --ckpt_path last to go on from the state written last")
        raise SystemExit(130) from None
    except torch.OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{reason} Set data.batch_size or data.tokens_per_batch lower.") from error
    except MemoryError as error:
        raise InputError("not enough memory; add --ckpt_path last to go on from the last state") from error
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise InputError(f"{path_mistake(error)}; add --ckpt_path last to go on from the state written last") from error
    except (ArgumentError, InputError, MisconfigurationException, ValueError) as error:
        said = mistake_behind(error)
        if said is None:
            raise
        raise InputError(said) from error


def with_recipes(arguments: list[str]) -> list[str]:
    """Arguments in which ``--config NAME`` of a recipe that ships, such as ``arithmetic``, names its file.

    Args:
        arguments: Of the command line; a file of that name here goes before a recipe, and what is neither stays.
    """
    return [_recipe(flag, value) for flag, value in zip(["", *arguments], [*arguments], strict=False)]


def _recipe(before: str, argument: str) -> str:
    flag, equals, value = argument.partition("=")
    joined = bool(equals) and flag in _CONFIG_FLAGS
    name = value if joined else argument
    recipe = CONFIGS / f"{name}.yaml"
    named = name.isidentifier() and recipe.is_file() and not Path(name).exists()
    if not named or not (joined or before in _CONFIG_FLAGS):
        return argument
    return f"{flag}={recipe}" if joined else str(recipe)


def train_predictor(
    targets: str | Path,
    output: str | Path,
    base_model: str = "embedded:generator",
    epochs: int = 10,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    seed: int = 0,
    source: ScoreSource | None = None,
    resumable: bool = False,
    **settings: Any,
) -> Path:
    """Trains a predictor without a command line.

    Args:
        targets: A file of targets: Parquet as ``optscale targets`` writes it, or JSON lines.
        output: Checkpoint folder to write.
        base_model: A folder, a hub id, ``embedded:NAME`` or ``package:NAME``.
        epochs: Passes over the training questions, >= 1.
        batch_size: Questions in a batch, >= 1.
        learning_rate: The highest, > 0.
        seed: Of weights, batches and dropout.
        source: What is known of where the scores come from.
        resumable: Whether the run's state is kept beside the folder, in ``NAME_training``, until the run is done: where
            it is there already, the run goes on from it.
        **settings: Others of :class:`PredictorModule`.

    Returns:
        The checkpoint folder.

    Raises:
        InputError: A setting or the targets cannot be used, or the folder cannot be written.
        InterruptedRun: The user stopped a resumable run, and its state was written.
    """
    numbers = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "source": source, "resumable": resumable}
    require_arguments(train_predictor, {"targets": targets, "output": output, **numbers})
    settings = {"base_model": base_model, "learning_rate": learning_rate, **settings}
    if source is not None:
        settings["sources"] = [source]
    require_arguments(PredictorModule.__init__, settings)
    output = Path(output)
    last = Path(_beside(str(output))) / LAST
    with warnings.catch_warnings():
        quiet()
        pl.seed_everything(int(seed), verbose=False)
        data = TargetData(str(targets), batch_size=int(batch_size), seed=int(seed))
        module = PredictorModule(str(output), data.training_data, **settings)
        resumed: dict[str, Any] = {}
        if resumable and last.exists():
            require_state(last)
            resumed = {"ckpt_path": str(last), "weights_only": True}
        _plain_trainer(int(epochs), output, resumable).fit(module, data, **resumed)
    if resumable:
        last.unlink(missing_ok=True)
    return output


def _plain_trainer(epochs: int, output: Path, resumable: bool) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs,
        logger=CSVLogger(_beside(str(output)), name="csv"),
        callbacks=[Throughput(), *bar_at_terminal(), *([LastCheckpoint(_beside(str(output)))] if resumable else [])],
        enable_checkpointing=resumable,
        enable_model_summary=False,
        enable_progress_bar=bars_move(),
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        use_distributed_sampler=False,  # batches are shared out by LengthBuckets
    )


def _run(args: list[str]) -> None:
    with warnings.catch_warnings():
        quiet()
        TrainingCLI(
            PredictorModule,
            TargetData,
            parser_class=TrainingParser,
            seed_everything_default=0,
            save_config_kwargs={"overwrite": True},
            trainer_defaults={
                "max_epochs": 10,
                "callbacks": [Throughput()],
                "enable_progress_bar": bars_move(),
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
                "use_distributed_sampler": False,  # batches are shared out by LengthBuckets
            },
            parser_kwargs={"prog": PROGRAM, **_STRICT, **{command: _STRICT for command in TrainingCLI.subcommands()}},
            args=args,
        )


def _without_resumption(arguments: list[str]) -> list[str]:
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--ckpt_path":
            next(rest, None)
        elif not argument.startswith("--ckpt_path="):
            kept.append(argument)
    return kept


def _loggers(folder: Path) -> list[Any]:
    loggers: list[Any] = [CSVLogger(folder, name="csv")]
    if find_spec("tensorboard") is not None:
        loggers.append(TensorBoardLogger(folder, name="tensorboard"))
    return loggers


def _beside(output: str) -> str:
    """Where logs and the run's state lie: beside the predictor, so that its folder holds nothing but the predictor."""
    return str(named_beside(Path(output), f"{Path(output).name}_training"))


def _seed_of(seed: int | bool) -> int:
    return 0 if isinstance(seed, bool) else seed
