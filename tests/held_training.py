"""A callback of a training that is to die in the middle: it tells of each step, and waits before one of them."""

import os
import time

from pytorch_lightning import Callback


class HeldBefore(Callback):
    """Tells of each step that is done, as ``held_scores`` of scores; waits before ``step`` while ``SCORES_HELD`` is."""

    def __init__(self, step: int) -> None:
        self.step, self._told = step, None

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if self._told is not None and trainer.global_step > self._told:
            os.write(int(os.environ["SCORES_TO"]), b"." * (trainer.global_step - self._told))
        self._told = trainer.global_step
        while trainer.global_step == self.step - 1 and os.path.exists(os.environ["SCORES_HELD"]):
            time.sleep(0.01)
