"""A combination of verifiers: the probability that a sample is right, given the scores of several of them.

Each score has a coefficient of its own in the log-odds of "this sample is right" (a logistic regression, which
``optscale fit-policy --scores A,B`` fits to labelled samples). A policy sees one score a sample, so what several
verifiers say becomes one score here, and a combination is used wherever a verifier is: live, to score a pool, under a
predictor or a score target. It is named by its content, so that what was fitted to one is refused with another.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.atomic_files import explain_write_errors, write_json
from optscale_predictor._support.json_reader import MISSHAPEN, read_object
from optscale_predictor.backends.model_source import MODEL_SOURCE
from optscale_predictor.backends.verifiers.verifier import Answered, Scores, Verifier, score_samples
from optscale_predictor.errors import InputError
from optscale_predictor.stats.log_odds import log_odds

COMBINED = "combined:"  # before the folder, in the name of a verifier and of a pool's scores
COMBINED_FILE = "combined_verifier.json"
_FORMAT = 1
_MOST_PARTS = 16
_READING = ("layout", "aggregate", "separator")
_INCIDENTAL = {"adapter", "served_model", MODEL_SOURCE}  # who runs or made a model, and not which model it is
#: How each adapter's model is named for :class:`~optscale_predictor.backends.options.VerifierOptions`.
_PREFIXES = {"judge": "judge:", "function": "python:"}


@dataclass(frozen=True)
class ScoreCombination:
    """How the scores of several verifiers become one.

    Attributes:
        columns: What each score is called in a pool: ``score``, or ``score_NAME``.
        parts: The verifier behind each, as a pool's manifest describes it.
        slopes: Coefficient of each score's log-odds, >= 0 and finite.
        intercept: Finite.

    Raises:
        InputError: There are fewer than two parts, a number is out of its range, or a part is a combination itself.
    """

    columns: tuple[str, ...]
    parts: tuple[Mapping[str, Any], ...]
    slopes: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        """Checks every part: the file may be anyone's."""
        number = len(self.columns)
        if not 2 <= number <= _MOST_PARTS or len(set(self.columns)) < number:
            raise InputError(f"a combination is of 2 to {_MOST_PARTS} scores, each once, got {', '.join(self.columns)}")
        if not len(self.parts) == len(self.slopes) == number:
            raise InputError(f"{number} scores need as many verifiers and slopes")
        if not all(0 <= slope < np.inf for slope in self.slopes) or not np.isfinite(self.intercept):
            raise InputError(f"slopes must be >= 0 and all numbers finite, got {self.slopes} and {self.intercept}")
        for column, part in zip(self.columns, self.parts, strict=True):
            if part.get("adapter") == "combined":
                raise InputError(f"{column}: is a combination itself; combine its parts")

    def __call__(self, scores: Float[Floats, "*shape parts"]) -> Float[Floats, "*shape"]:
        """The probability that each sample is right, in [0, 1]; NaN where a score is NaN.

        Args:
            scores: Of each part, in [0, 1].
        """
        return np.asarray(expit(self.intercept + log_odds(scores) @ np.array(self.slopes)))

    @property
    def version(self) -> str:
        """A short name of its content."""
        content = [self.columns, self.parts, self.slopes, self.intercept]
        return f"v{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]}"

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records of scores that it made; JSON types."""
        return {"adapter": "combined", "model": f"{COMBINED}{self.version}", **self._content()}

    def save(self, folder: str | Path) -> None:
        """Writes it into a folder.

        Raises:
            InputError: It cannot be written.
        """
        with explain_write_errors(Path(folder)):
            Path(folder).mkdir(parents=True, exist_ok=True)
        write_json({"format": _FORMAT, **self._content()}, Path(folder) / COMBINED_FILE)

    @classmethod
    def load(cls, folder: str | Path) -> "ScoreCombination":
        """The combination in a folder.

        Raises:
            InputError: There is none, or it is damaged.
        """
        path = Path(folder) / COMBINED_FILE
        if not path.is_file():
            raise InputError(
                f"{folder}: no combination of verifiers (no {COMBINED_FILE}); run: "
                "optscale fit-policy POOL --scores A,B"
            )
        content = read_object(path)
        if content.get("format") != _FORMAT:
            raise InputError(f"{path}: not a combination of verifiers of format {_FORMAT}")
        try:
            columns, parts = (tuple(content[name]) for name in ("columns", "parts"))
            slopes = tuple(float(slope) for slope in content["slopes"])
            if not all(isinstance(one, str) for one in columns) or not all(isinstance(one, dict) for one in parts):
                raise TypeError("columns are texts, and parts objects")
            return cls(columns, parts, slopes, float(content["intercept"]))
        except MISSHAPEN as error:
            raise InputError(f"{path}: not a combination of verifiers ({type(error).__name__}: {error})") from error

    def require_parts(self, described: Sequence[Mapping[str, Any]]) -> None:
        """Checks that these are the verifiers that it was fitted to.

        Args:
            described: What each says of itself, in the order of the columns.

        Raises:
            InputError: One scores otherwise.
        """
        for column, learnt, now in zip(self.columns, self.parts, described, strict=True):
            for key in sorted((learnt.keys() | now.keys()) - _INCIDENTAL):
                if learnt.get(key) != now.get(key):
                    said = f"its {key} is {now.get(key)!r}, where it was {learnt.get(key)!r}"
                    raise InputError(f"{column}: another verifier than the combination was fitted to: {said}")

    def part_urls(self, urls: str | None) -> list[str | None]:
        """Where each part is served; None where it runs in this process.

        Args:
            urls: ``COLUMN=URL``, separated by spaces; a column several times has several servers.

        Raises:
            InputError: Something else stands there.
        """
        found: dict[str, list[str]] = {column: [] for column in self.columns}
        for piece in (urls or "").split():
            column, _, url = piece.partition("=")
            if column not in found or not url:
                named = " ".join(f"{name}=URL" for name in self.columns)
                raise InputError(f"verifier_url of a combination names its parts ({named}), got {piece!r}")
            found[column].append(url)
        return [" ".join(given) or None for given in found.values()]

    def _content(self) -> dict[str, object]:
        parts = [dict(part) for part in self.parts]
        return {
            "columns": list(self.columns),
            "parts": parts,
            "slopes": list(self.slopes),
            "intercept": self.intercept,
        }


def part_settings(described: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``VerifierOptions`` that make a verifier again of its description.

    Args:
        described: As ``Verifier.describe`` says it. A judge's rubric is left out: there it is a file.

    Raises:
        InputError: It names no verifier.
    """
    adapter = str(described.get("adapter"))
    model = described.get("function" if adapter == "function" else "model")
    if adapter == "math_verify":  # the only one that is not said to have a model
        return {"model": adapter}
    if not isinstance(model, str) or not model:
        raise InputError(f"a part of the combination names no verifier: {dict(described)}")
    reading = {name: described[name] for name in _READING if described.get(name) is not None}
    return {"model": f"{_PREFIXES.get(adapter, '')}{model}", **reading}


class CombinedVerifier(Verifier):
    """Asks several verifiers and gives the probability that the sample is right.

    A sample that one of them refuses is refused: the coefficients were fitted to samples that all of them scored.

    Args:
        combination: How their scores become one.
        parts: The verifiers, in the order of its columns. They are asked one after the other.

    Raises:
        InputError: One of them scores otherwise than the verifier that the combination was fitted to.
    """

    def __init__(self, combination: ScoreCombination, parts: Sequence[Verifier]) -> None:
        combination.require_parts([part.describe() for part in parts])
        self._combination, self._parts = combination, tuple(parts)
        self.reads_tokens = any(part.reads_tokens for part in parts)
        self.samples_at_once = max(part.samples_at_once for part in parts)
        self.served = all(part.served for part in parts)
        self.reads_logprobs = any(part.reads_logprobs for part in parts)
        self.reads_self_certainty = any(part.reads_self_certainty for part in parts)

    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples, in their order; where there is none, the reason."""
        found = [score_samples(part, items) for part in self._parts]
        refusals: dict[int, str] = {}
        for column, one in zip(self._combination.columns, found, strict=True):
            for index, reason in one.refusals.items():
                refusals.setdefault(index, f"{column}: {reason}")
        values = self._combination(np.stack([one.values for one in found], -1))
        return Scores.of(values, np.sum([one.tokens for one in found], 0), refusals)

    def blank_score(self, item: Answered) -> float | None:
        """What the parts' scores of a blank sample make; None where one of them is to be asked anyway."""
        known = [score for part in self._parts if (score := part.blank_score(item)) is not None]
        return float(self._combination(np.array(known))) if len(known) == len(self._parts) else None

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and its parts; JSON types, no secrets."""
        return self._combination.describe()
