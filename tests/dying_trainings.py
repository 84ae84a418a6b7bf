"""Commands that compute and write files in the end, dying in the middle: a training, and the targets of a pool.

What a training keeps is the state of its run, every few steps and when it is told to stop: ``arrived`` are its steps,
``kept`` those of the state. Targets keep nothing on the way, and leave the file alone that was there before.
"""

import shutil

import pyarrow.parquet as pq
import torch
from dying_runs import TESTS, Scene
from small_pools import write_scored
from training_runs import flags, write_targets

STEPS, EVERY, HELD_BEFORE = 27, 5, 13  # of a run; between two states; the step before which it waits


class Train(Scene):
    """It waits before a step that comes two steps after a state was written."""

    holds_server = False
    whole = STEPS

    def prepare(self):
        write_targets(self.folder / "targets.jsonl")
        self.pool = self.folder / "out_training"

    @classmethod
    def can_die_by(cls, way):
        return way not in ("server gone", "out of memory")

    def command(self):
        held = ["--trainer.callbacks+=held_training.HeldBefore", f"--trainer.callbacks.step={HELD_BEFORE}"]
        return ["train", *flags("out", **{"checkpoint__every_n_steps": EVERY}), *held]

    def command_again(self):
        return ["train", *flags("out", **{"checkpoint__every_n_steps": EVERY}), "--ckpt_path", "last"]

    def faults(self):
        """A run that went on has the predictor whole."""
        whole = ("adapter_model.safetensors", "head.safetensors", "optscale_config.json")
        return [name for name in whole if not (self.folder / "out" / name).exists()]

    def arrived(self):
        return self.scores()

    def kept(self):
        state = self.pool / "last.ckpt"
        return torch.load(state, weights_only=True)["global_step"] if state.exists() else 0

    def reached(self):
        return self.scores() >= HELD_BEFORE - 1


class Targets(Scene):
    """It waits when it has computed all rows and written none."""

    holds_server = False
    whole = 0

    def prepare(self):
        pool = write_scored(self.folder / "scored")
        self.whole = len(pool.questions)
        self.pool, self.output = self.folder / "targets", self.folder / "targets" / "targets.parquet"
        self.output.parent.mkdir()
        self.before = b"what was there before"
        self.output.write_bytes(self.before)

    @classmethod
    def can_die_by(cls, way):
        return way not in ("server gone", "out of memory")

    def program(self):
        return [str(TESTS / "held_targets.py")]

    def command(self):
        return ["targets", str(self.folder / "scored"), "--output", str(self.output), "--validation_share", "0.3"]

    def code(self, way):
        """It makes its folder when it writes, so that one that is gone is none of its concern."""
        return 0 if way == "folder gone" else super().code(way)

    def bring_back(self):
        assert sorted(path.name for path in self.away.iterdir()) == ["targets.parquet"]
        shutil.rmtree(self.away)

    def faults(self):
        return [path.name for path in self.pool.iterdir() if path.name.endswith(".partial")]

    def arrived(self):
        return 0  # nothing comes from elsewhere: all of it can be computed again

    def kept(self):
        """Rows; none where the file is still the one that was there before."""
        content = self.output.read_bytes()
        return 0 if content == self.before else pq.read_metadata(self.output).num_rows

    def reached(self):
        return self.scores() >= 1


TRAININGS = {"train": Train, "targets": Targets}
