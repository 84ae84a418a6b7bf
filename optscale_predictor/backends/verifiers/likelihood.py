"""Likelihood verifiers: a language model that reads an answer, and a fitted map from how it read to a score.

A wrong step is a token that a good reader did not expect. The score is a logistic function of the sample's least and
total token log-probability, fitted on labelled samples (:func:`fit_score_map`). The folder holds a causal language
model and, in ``score_map.json``, the three numbers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.special import expit

from optscale_predictor._support.arrays import Bools, Floats
from optscale_predictor._support.json_reader import MISSHAPEN, read_object
from optscale_predictor.backends.model_loading import load_pretrained, resolve_model
from optscale_predictor.backends.verifiers.cpu_threads import reading_threads
from optscale_predictor.backends.verifiers.length_batches import batch_tokens, by_length, too_long
from optscale_predictor.backends.verifiers.score_maps import SCORE_MAP_FILE
from optscale_predictor.backends.verifiers.verifier import Answered, Scores, Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.stats.calibration import fit_logistic


@dataclass(frozen=True)
class ScoreMap:
    """score = sigmoid(intercept + lowest * (least log-probability) + total * (sum of log-probabilities))."""

    intercept: float = 0.0
    lowest: float = 1.0
    total: float = 0.0

    def __call__(self, features: Float[Floats, "samples 2"]) -> Float[Floats, "samples"]:
        """Scores, in [0, 1], of least and total log-probabilities."""
        return np.asarray(expit(self.intercept + features @ np.array([self.lowest, self.total])))

    def save(self, folder: Path) -> None:
        """Writes the map beside its model."""
        (folder / SCORE_MAP_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads the map of a folder.

        Raises:
            InputError: It cannot be read, or is not three finite numbers.
        """
        numbers = read_object(folder / SCORE_MAP_FILE)
        try:
            loaded = cls(**{key: float(value) for key, value in numbers.items()})
        except MISSHAPEN as error:
            raise InputError(f"{folder / SCORE_MAP_FILE}: cannot read the score map: {error}") from error
        if not np.isfinite(list(asdict(loaded).values())).all():
            raise InputError(f"{folder / SCORE_MAP_FILE}: the score map must be finite")
        return loaded


def fit_score_map(features: Float[Floats, "samples 2"], correct: Bool[Bools, "samples"]) -> ScoreMap:
    """Logistic regression of right and wrong on how a sample was read; more likely never scores lower.

    Args:
        features: Least and total log-probability of each sample's tokens.
        correct: Whether each is right.
    """
    # Neither slope may be negative: a map that rewards unlikely text would score long nonsense near 1.
    intercept, slopes = fit_logistic(features, correct.astype(np.float64), ridge=1e-4, start=(1.0, 0.0))
    return ScoreMap(intercept, *slopes)


class LikelihoodVerifier(Verifier):
    """Scores samples by how likely a language model finds them.

    Args:
        model: Folder, ``embedded:NAME`` or ``package:NAME``, with a model and ``score_map.json``.
        batch_size: Samples in one batch, >= 1.
        device: A torch device; ``auto`` takes CUDA where there is one.
        score_map: Used in place of the folder's.

    Raises:
        InputError: There is no such model, or no map.
    """

    scores_prefixes = True

    def __init__(
        self, model: str, batch_size: int = 256, device: str = "auto", score_map: ScoreMap | None = None
    ) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        self._name, self._batch_size = model, batch_size
        self._map = score_map or ScoreMap.load(Path(resolve_model(model)))
        self._tokenizer: Any = load_pretrained(AutoTokenizer, model)
        self._model: Any = load_pretrained(AutoModelForCausalLM, model, device).eval()
        self._context = int(getattr(self._model.config, "max_position_embeddings", 1 << 30))

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets."""
        return {"adapter": "likelihood", "model": self._name, "score": asdict(self._map)}

    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples, in their order; where there is none, the reason.

        Batches hold texts of neighbouring lengths.
        """
        return self._scored(*self._tokens(items))

    def score_prefixes(self, items: Sequence[Answered]) -> Scores:
        """As :meth:`score`, but that samples which go on have no end: it would be the least likely token of them."""
        asked, written = self._tokens(items)
        return self._scored(asked, [sample[:-1] for sample in written])

    def _scored(self, asked: list[list[int]], written: list[list[int]]) -> Scores:
        lengths = [len(question) + len(sample) for question, sample in zip(asked, written, strict=True)]
        refusals = too_long(lengths, self._context)
        return Scores.of(self._map(self._features(asked, written, lengths, refusals)), lengths, refusals)

    def features(self, items: Sequence[Answered]) -> Float[Floats, "samples 2"]:
        """Least and total log-probability of each sample's tokens, its end included."""
        asked, written = self._tokens(items)
        return self._features(
            asked, written, [len(one) + len(two) for one, two in zip(asked, written, strict=True)], {}
        )

    def _tokens(self, items: Sequence[Answered]) -> tuple[list[list[int]], list[list[int]]]:
        asked = [self._tokenizer(item.question.text)["input_ids"] for item in items]
        end = [self._tokenizer.eos_token_id]
        return asked, [self._tokenizer(item.text, add_special_tokens=False)["input_ids"] + end for item in items]

    @torch.inference_mode()
    def _features(
        self, asked: list[list[int]], written: list[list[int]], lengths: list[int], refusals: Mapping[int, str]
    ) -> Floats:
        found = np.full((len(lengths), 2), np.nan)
        for batch in by_length(lengths, self._batch_size, refusals, batch_tokens(self._model.device)):
            with reading_threads(self._model, len(batch) * lengths[batch[-1]]):
                found[batch] = self._read([asked[index] for index in batch], [written[index] for index in batch])
        return found

    def _read(self, asked: list[list[int]], written: list[list[int]]) -> Floats:
        rows = [question + sample for question, sample in zip(asked, written, strict=True)]
        longest = max(map(len, rows))
        # Causal: what is padded on the right is after everything that is read.
        tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=self._model.device)
        start, stop = (
            torch.tensor(part, device=tokens.device)[:, None]
            for part in ([len(question) for question in asked], [len(row) for row in rows])
        )
        position = torch.arange(1, longest, device=tokens.device)
        inside = (position >= start) & (position < stop)
        chance = torch.log_softmax(self._model(input_ids=tokens).logits[:, :-1].float(), -1)
        chosen = chance.gather(-1, tokens[:, 1:, None])[..., 0].masked_fill(~inside, 0.0)
        return torch.stack([chosen.min(-1).values, chosen.sum(-1)], -1).double().cpu().numpy()
