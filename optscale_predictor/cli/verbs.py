"""Verbs that hand their flags to another program's command line; listed here for ``optscale --help``.

What each verb of ``optscale`` does, one file a group of verbs; heavy imports happen inside the verbs.
"""

from typing import Any

from optscale_predictor.cli.answer import answer
from optscale_predictor.cli.assess import assess
from optscale_predictor.cli.demo import demo
from optscale_predictor.cli.measure import calibrate, replay
from optscale_predictor.cli.pool import POOL_COMMANDS
from optscale_predictor.cli.predict import predict
from optscale_predictor.cli.prepare import generate, score, targets
from optscale_predictor.cli.publish import publish
from optscale_predictor.cli.report import report
from optscale_predictor.cli.serve import serve


def train() -> None:
    """Train a predictor; LightningCLI: optscale train fit --config FILE (also --help, --print_config)."""


def eval_() -> None:
    """Run lm-eval with the OptScale model and tasks; takes every flag of lm-eval."""


COMMANDS: dict[str, Any] = {
    "demo": demo,
    "generate": generate,
    "score": score,
    "targets": targets,
    "pool": POOL_COMMANDS,
    "train": train,
    "predict": predict,
    "assess": assess,
    "calibrate": calibrate,
    "answer": answer,
    "replay": replay,
    "eval": eval_,
    "report": report,
    "serve": serve,
    "publish": publish,
}

__all__ = ["COMMANDS"]
