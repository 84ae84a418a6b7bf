"""What each verb of ``optscale`` does, one file a group of verbs; heavy imports happen inside the verbs."""

from typing import Any

from optscale_predictor.commands.answering import answer
from optscale_predictor.commands.assessing import assess
from optscale_predictor.commands.demonstration import demo
from optscale_predictor.commands.foreign import eval_, train
from optscale_predictor.commands.measuring import calibrate, replay
from optscale_predictor.commands.pooling import POOL_COMMANDS
from optscale_predictor.commands.predicting import predict
from optscale_predictor.commands.preparing import generate, score, targets
from optscale_predictor.commands.publishing import publish
from optscale_predictor.commands.reporting import report
from optscale_predictor.commands.serving import serve

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
