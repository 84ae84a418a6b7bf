"""What Lightning says on every run, and nobody needs to read."""

import logging
import warnings


def quiet() -> None:
    """Leaves out what Lightning says to everybody on every run: devices, tips, and advice on loader processes."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    # Tokens are in memory and collating is cheap: worker processes would cost more than they save.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # `optscale train` hands its arguments on; sys.argv must stay as it is, for DDP starts its processes by it.
    warnings.filterwarnings("ignore", message=".*not recommended to provide both.*")
    # A resumed run writes its state where it was read from; that is meant.
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    # LightningCLI still calls what jsonargparse 5 will remove; the upper bound in pyproject.toml keeps 4.
    warnings.filterwarnings("ignore", message=r"(?s).*(JSONARGPARSE_DEPRECATION|removed in v5).*")
    # Lightning asks torch for a pytree class by its old name; nothing here does.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    # Fewer steps in an epoch than between two log lines: what is logged is then the epoch's.
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
