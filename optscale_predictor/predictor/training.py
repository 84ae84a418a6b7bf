"""The training command: LightningCLI over :class:`PredictorModule` and :class:`TargetData`.

    python train.py fit --config CONFIG [--any.flag VALUE]

Every setting of trainer, model and data is a flag and a line of YAML; ``--print_config`` shows them all.
"""

import logging
import sys
import warnings
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.cli import LightningCLI
from pytorch_lightning.loggers import CSVLogger

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.data import TargetData
from optscale_predictor.predictor.module import PredictorModule

CONFIGS = Path(__file__).parent / "configs"


def main(args: list[str] | None = None) -> None:
    """Runs the command line; bad input ends with one line and exit code 2."""
    _quiet()
    given = sys.argv
    # LightningCLI warns where it is given arguments while the program has arguments of its own.
    sys.argv = given[:1] if args is not None else given
    try:
        LightningCLI(
            PredictorModule,
            TargetData,
            seed_everything_default=0,
            save_config_kwargs={"overwrite": True},
            trainer_defaults={"logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "runs"}}},
            args=args,
        )
    except InputError as error:
        print(f"train: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    finally:
        sys.argv = given


def train_predictor(
    targets: str | Path,
    output: str | Path,
    base_model: str = "embedded:generator",
    epochs: int = 10,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    pooling: str = "mean",
    seed: int = 0,
    generator: str | None = None,
    verifier: str | None = None,
) -> Path:
    """Trains a predictor without a command line and returns its checkpoint folder; see :class:`PredictorModule`."""
    _quiet()
    output = Path(output)
    pl.seed_everything(seed, verbose=False)
    module = PredictorModule(
        str(output), base_model, pooling, learning_rate=learning_rate, generator=generator, verifier=verifier
    )
    trainer = pl.Trainer(
        max_epochs=epochs,
        logger=CSVLogger(output.parent, name=f"{output.name}_log", version=""),
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    trainer.fit(module, TargetData(str(targets), batch_size=batch_size, seed=seed))
    return output


def _quiet() -> None:
    """Leaves out what Lightning says to everybody on every run: devices, tips, and advice on loader processes."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    # Tokens are in memory and collating is cheap: worker processes would cost more than they save.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # A rerun writes its log where the last run's was; that is meant.
    warnings.filterwarnings("ignore", message=".*Experiment logs directory.*")
    # LightningCLI still calls what jsonargparse 5 will remove; the upper bound in pyproject.toml keeps 4.
    warnings.filterwarnings("ignore", message=r"(?s).*(JSONARGPARSE_DEPRECATION|removed in v5).*")
    # Lightning asks torch for a pytree class by its old name; nothing here does.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
