"""Verbs that hand their flags to another program's command line; listed here for ``optscale --help``."""


def train() -> None:
    """Train a predictor; LightningCLI: optscale train fit --config FILE (also --help, --print_config)."""


def eval_() -> None:
    """Run lm-eval with the OptScale model and tasks; takes every flag of lm-eval."""
