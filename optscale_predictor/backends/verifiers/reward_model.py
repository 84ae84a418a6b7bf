"""Verifiers whose rewards are unbounded, and the stated, monotone map that brings them into [0, 1].

Bradley-Terry reward models give a logit that means something only beside another one. The map is logistic,
sigmoid((reward - location) / scale), and is fitted once a pool: on labels where they are known (then a score is about
the probability that the sample is right), else so that the rewards' quartiles become 1/4 and 3/4. It is kept in the
pool's manifest, and a predictor trained on the pool needs the same map at inference.

Reward models: sequence classifiers with one label (Skywork-Reward and other Bradley-Terry models).

The model reads question and sample as one conversation where its tokenizer has a chat template, else the one text
after the other. Its logit is unbounded: see :mod:`~optscale_predictor.verifiers._rewards` for how it becomes a score.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.verifiers._batches import BATCH_TOKENS, by_length, padded, too_long
from optscale_predictor.backends.verifiers._verifier import Answered, Scores, Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.stats.calibration import fit_logistic

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LogisticMap:
    """score = sigmoid((reward - location) / scale).

    Attributes:
        location: The reward that becomes 1/2.
        scale: > 0, in units of the reward.
        fitted: ``labels``, ``quartiles``, or ``no`` (the plain sigmoid).
        samples: How many samples it was fitted on.
    """

    location: float = 0.0
    scale: float = 1.0
    fitted: str = "no"
    samples: int = 0

    def __post_init__(self) -> None:
        """Checks that it is increasing."""
        if not (np.isfinite(self.location) and 0 < self.scale < np.inf):
            raise InputError(f"a score map needs a finite location and a scale > 0, got {self.location}, {self.scale}")

    def __call__(self, rewards: Floats) -> Floats:
        """Scores in [0, 1] of rewards; NaN stays NaN."""
        return np.asarray(expit((rewards - self.location) / self.scale))

    @classmethod
    def fit(cls, rewards: Floats, correct: Sequence[bool | None]) -> "LogisticMap":
        """The map for these rewards [samples]; rewards that are not finite are left out.

        Raises:
            InputError: There are no two different rewards to fit it on.
        """
        known = np.array([one is not None for one in correct], bool) & np.isfinite(rewards)
        labels = np.array([bool(one) for one in correct])[known]
        finite = rewards[np.isfinite(rewards)]
        if len(np.unique(finite)) < 2:
            raise InputError(f"a score map needs samples of different rewards, got {len(finite)} samples")
        if min(labels.sum(), (~labels).sum()) >= 20:
            fitted = cls._of_labels(rewards[known], labels)
            if fitted is not None:
                return fitted
        low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75])
        spread = max(high - low, 1e-3 * float(finite.std()))
        return cls(float(middle), float(spread / (2 * np.log(3))), "quartiles", len(finite))

    @classmethod
    def _of_labels(cls, rewards: Floats, labels: NDArray[np.bool_]) -> "LogisticMap | None":
        """Logistic regression; None where right samples do not have the higher rewards."""
        middle, spread = float(rewards.mean()), float(rewards.std())
        standard = ((rewards - middle) / spread)[:, None]
        intercept, (slope,) = fit_logistic(standard, labels.astype(np.float64), ridge=1e-4)
        if slope < 0.05:
            return None
        return cls(middle - intercept / slope * spread, spread / slope, "labels", len(rewards))


class RewardVerifier(Verifier):
    """A verifier of unbounded rewards.

    Attributes:
        score_map: How rewards become scores; None until it is fitted, adopted or given. Without one, :meth:`score`
            takes the plain sigmoid, and :meth:`describe` says so.
    """

    score_map: LogisticMap | None = None

    @abstractmethod
    def rewards(self, items: Sequence[Answered]) -> tuple[Floats, NDArray[np.int64], dict[int, str]]:
        """Raw rewards [items] (NaN where refused), tokens read [items], and refusals by index."""

    @abstractmethod
    def describe_model(self) -> Mapping[str, object]:
        """As :meth:`describe`, without the map."""

    def score(self, items: Sequence[Answered]) -> Scores:
        """See :class:`Verifier`."""
        rewards, tokens, refusals = self.rewards(items)
        return Scores.of((self.score_map or LogisticMap())(rewards), tokens, refusals)

    def describe(self) -> Mapping[str, object]:
        """See :class:`Verifier`."""
        return {**self.describe_model(), "score_map": asdict(self.score_map or LogisticMap())}

    def fit_map(self, items: Sequence[Answered], correct: Sequence[bool | None]) -> None:
        """Fits the map on samples of a pool; ``correct`` is None where it is not known."""
        self.score_map = LogisticMap.fit(self.rewards(items)[0], correct)

    def adopt_map(self, described: Mapping[str, Any]) -> None:
        """Takes the map of a manifest's description of a score."""
        try:
            self.score_map = LogisticMap(**described["score_map"])
        except (KeyError, TypeError) as error:
            raise InputError(f"the manifest's description of this score holds no score map: {error}") from error


class RewardModel(RewardVerifier):
    """A transformers sequence classifier in this process.

    Args:
        model: Folder, hub id, ``embedded:NAME`` or ``package:NAME``.
        batch_size: Samples in one batch, >= 1.
        device: A torch device; ``auto`` takes CUDA where there is one.
        trust_remote_code: Whether to run code that the model's repository brings.
        score_map: How its logits become scores; fitted on a pool where it is None.

    Raises:
        InputError: There is no such model, it has no such head or more than one label, or it cannot be padded.
    """

    def __init__(
        self,
        model: str,
        batch_size: int = 256,
        device: str = "auto",
        trust_remote_code: bool = False,
        score_map: LogisticMap | None = None,
    ) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        self._name, self._batch_size, self.score_map = model, batch_size, score_map
        self._tokenizer: Any = load_pretrained(AutoTokenizer, model, trust_remote_code=trust_remote_code)
        self._model: Any = load_pretrained(
            AutoModelForSequenceClassification, model, device, trust_remote_code, complete=True
        ).eval()
        if self._model.config.num_labels != 1:
            raise InputError(
                f"verifier {model!r}: expected a reward model of one label, got {self._model.config.num_labels}"
            )
        self._padding: int = self._model.config.get_text_config().pad_token_id
        if self._padding is None:
            raise InputError(f"verifier {model!r}: it has no padding token, so its last token cannot be found")
        self._context = int(getattr(self._model.config, "max_position_embeddings", 1 << 30))

    def describe_model(self) -> Mapping[str, object]:
        """See :class:`RewardVerifier`."""
        return {"adapter": "reward_model", "model": self._name}

    @torch.inference_mode()
    def rewards(self, items: Sequence[Answered]) -> tuple[NDArray[np.float64], NDArray[np.int64], dict[int, str]]:
        """See :class:`RewardVerifier`. Batches hold texts of neighbouring lengths."""
        tokens = [read_as_conversation(self._tokenizer, item) for item in items]
        lengths = [len(one) for one in tokens]
        refusals = too_long(lengths, self._context)
        found = np.full(len(items), np.nan)
        for batch in by_length(lengths, self._batch_size, refusals, BATCH_TOKENS):
            # The config's padding token and no other: the model takes the last token that is not it for the end.
            read, mask = padded([tokens[index] for index in batch], self._padding, self._model.device)
            logits = self._model(input_ids=read, attention_mask=mask).logits
            found[batch] = logits[:, 0].double().cpu().numpy()
        return found, np.array(lengths, np.int64), refusals


def read_as_conversation(tokenizer: Any, item: Answered) -> list[int]:
    """Tokens of a question and its sample: by the chat template where there is one, else one text after the other."""
    if not tokenizer.chat_template:
        return list(tokenizer(item.question.text + item.text)["input_ids"])
    messages = [{"role": "user", "content": item.question.text}, {"role": "assistant", "content": item.text}]
    # Templates write the special tokens themselves; adding them again would change the reward.
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
