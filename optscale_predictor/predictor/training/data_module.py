"""Targets as Lightning wants them: files read, questions split, batches of neighbouring lengths for both sides."""

import logging

import pytorch_lightning as pl

from optscale_predictor._support.training_loop.length_buckets import BucketLoader, LengthBuckets, require_sizes
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.training.training_data import ASSUMED_SAMPLES, TrainingData
from optscale_predictor.predictor.training.training_targets import DataSplit
from optscale_predictor.targets.splitting import TRAIN, VALIDATION

_LOG = logging.getLogger(__name__)
_SPLIT = DataSplit()


class TargetData(pl.LightningDataModule):
    """Training and validation questions of one file of targets, or of several with names.

    Args:
        path: The file: Parquet as ``optscale targets`` writes it, or JSON lines.
        paths: In place of ``path``: name of each source of scores, and its file.
        batch_size: Questions in a device's batch, >= 1.
        tokens_per_batch: In place of ``batch_size``: tokens in a device's batch at most, padding included.
        split: How questions are split where files name no split.
        assumed_samples: Scores behind a question's target where the file does not say, >= 1.
        seed: Order of batches.

    Attributes:
        training_data: What is read, shared with the lightning module that is trained on it.

    Raises:
        InputError: Neither ``path`` nor ``paths`` is given, or both; or a size is out of range.
    """

    def __init__(
        self,
        path: str | None = None,
        paths: dict[str, str] | None = None,
        batch_size: int = 32,
        tokens_per_batch: int | None = None,
        split: DataSplit = _SPLIT,
        assumed_samples: float = ASSUMED_SAMPLES,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if (path is None) == (not paths):
            raise InputError("data needs either a path, or paths with a name each")
        self.training_data = TrainingData(paths or str(path), split, assumed_samples)
        require_sizes(batch_size, tokens_per_batch)
        self.batch_size, self.tokens_per_batch, self.seed = batch_size, tokens_per_batch, seed

    def setup(self, stage: str | None = None) -> None:
        """Reads the files, and says what is in them.

        Raises:
            InputError: A file cannot be read or is no file of targets, or a side has fewer than two questions.
        """
        if self.training_data.targets:
            return
        self.training_data.read()
        if self.trainer is None or self.trainer.is_global_zero:
            for line in self.training_data.describe():
                _LOG.info(line)

    def train_dataloader(self) -> BucketLoader:
        """Batches in a random order, another one every epoch.

        Raises:
            InputError: No trainer batches the questions yet.
        """
        return self._loader(TRAIN, self.seed)

    def val_dataloader(self) -> BucketLoader:
        """Batches in order of length.

        Raises:
            InputError: No trainer batches the questions yet.
        """
        return self._loader(VALIDATION, None)

    def _loader(self, side: str, seed: int | None) -> BucketLoader:
        if self.trainer is None or not self.training_data.questions:
            raise InputError("targets are batched by a trainer; attach the data to one")
        questions = self.training_data.questions[side]
        lengths = [len(tokens) for tokens in questions.tokens]
        devices = self.trainer.global_rank, self.trainer.world_size
        return BucketLoader(questions, LengthBuckets(lengths, self.batch_size, seed, self.tokens_per_batch, *devices))
