"""Verifiers whose rewards are unbounded, and the stated, monotone map that brings them into [0, 1].

Bradley-Terry reward models give a logit that means something only beside another one. The map is logistic,
sigmoid((reward - location) / scale), and is fitted once a pool: on labels where they are known (then a score is about
the probability that the sample is right), else so that the rewards' quartiles become 1/4 and 3/4. It is kept in the
pool's manifest, and a predictor trained on the pool needs the same map at inference.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor._support.json_reader import MISSHAPEN
from optscale_predictor._support.number_checks import require_number
from optscale_predictor.backends.verifiers.verifier import Answered, Scores, Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.stats.calibration import fit_logistic

#: The file beside a likelihood verifier's model that holds its own map; it tells such a folder from a reward model's.
SCORE_MAP_FILE = "score_map.json"


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
        """Checks that it is increasing; maps are read from files."""
        require_number("location", self.location)
        require_number("scale", self.scale)
        if not (np.isfinite(self.location) and 0 < self.scale < np.inf):
            raise InputError(f"a score map needs a finite location and a scale > 0, got {self.location}, {self.scale}")

    def __call__(self, rewards: Float[Floats, "*shape"]) -> Float[Floats, "*shape"]:
        """Scores in [0, 1] of rewards; NaN stays NaN."""
        return np.asarray(expit((rewards - self.location) / self.scale))

    @classmethod
    def fit(cls, rewards: Float[Floats, "samples"], correct: Sequence[bool | None]) -> "LogisticMap":
        """The map for these rewards; those that are not finite are left out.

        Args:
            rewards: Of samples of one pool.
            correct: Whether each sample is right; None where it is not known.

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
    def _of_labels(cls, rewards: Floats, labels: Bools) -> "LogisticMap | None":
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

    scores_prefixes = True
    score_map: LogisticMap | None = None

    @abstractmethod
    def rewards(self, items: Sequence[Answered]) -> tuple[Float[Floats, "items"], Int[Ints, "items"], dict[int, str]]:
        """Raw rewards (NaN where refused), tokens read, and refusals by index."""

    @abstractmethod
    def describe_model(self) -> Mapping[str, object]:
        """As :meth:`describe`, without the map."""

    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples, in their order; where there is none, the reason."""
        rewards, tokens, refusals = self.rewards(items)
        return Scores.of((self.score_map or LogisticMap())(rewards), tokens, refusals)

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets."""
        return {**self.describe_model(), "score_map": asdict(self.score_map or LogisticMap())}

    def fit_map(self, items: Sequence[Answered], correct: Sequence[bool | None]) -> None:
        """Fits the map on samples of a pool.

        Args:
            items: The samples with their questions.
            correct: Whether each is right; None where it is not known.
        """
        self.score_map = LogisticMap.fit(self.rewards(items)[0], correct)

    def adopt_map(self, described: Mapping[str, Any]) -> None:
        """Takes the map of a manifest's description of a score.

        Raises:
            InputError: The description holds none.
        """
        try:
            self.score_map = LogisticMap(**described["score_map"])
        except MISSHAPEN as error:
            raise InputError(f"the manifest's description of this score holds no score map: {error}") from error
