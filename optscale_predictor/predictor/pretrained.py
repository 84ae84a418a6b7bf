"""The predictor as users know it: a network that is loaded from a checkpoint and published as one in a line each."""

from pathlib import Path
from typing import Self

from optscale_predictor.predictor.checkpoint.publish_predictor import push_predictor
from optscale_predictor.predictor.checkpoint.save_load import load, save
from optscale_predictor.predictor.model.prior_network import PriorNetwork


class OptScalePredictor(PriorNetwork):
    """A transformers backbone with LoRA updates, masked pooling, and a head that emits mean, spread and strength.

    Made by :meth:`from_pretrained` out of a checkpoint, or by :meth:`from_base`, untrained.
    """

    @classmethod
    def from_pretrained(cls, path_or_hub_id: str, revision: str | None = None, base_model: str | None = None) -> Self:
        """Loads a checkpoint, ready to predict.

        Args:
            path_or_hub_id: A checkpoint folder, or the hub id of one.
            revision: Branch, tag or commit, for a hub id.
            base_model: Use this base model in place of the one the checkpoint names (the same weights elsewhere).

        Raises:
            InputError: There is no such checkpoint, or a part of it is missing or does not fit.
        """
        return load(cls, path_or_hub_id, revision, base_model)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes a checkpoint folder; files of it that are there are replaced, each whole.

        Raises:
            InputError: The folder cannot be written.
        """
        save(self, Path(folder))

    def push_to_hub(
        self, repo_id: str, private: bool = False, message: str | None = None, revision: str | None = None
    ) -> str:
        """Uploads a checkpoint with its card; returns the repository's address.

        Args:
            repo_id: For example ``name/predictor``; made where it does not exist.
            private: Whether a repository that is made is private.
            message: Of the commit.
            revision: Branch to upload to, made where it does not exist; the main branch by default.

        Raises:
            InputError: The hub refuses; or the base model is a folder of this machine, which nobody else has.
        """
        return push_predictor(self, repo_id, private, message, revision)


def load_predictor(path: str | None) -> OptScalePredictor | None:
    """A predictor from a checkpoint folder or hub id; None where none is named.

    Raises:
        InputError: There is no such checkpoint, or a part of it is missing or does not fit.
    """
    return None if path is None else OptScalePredictor.from_pretrained(path)
