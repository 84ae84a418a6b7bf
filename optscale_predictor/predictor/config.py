"""What a predictor is made of and was made from: the part of a checkpoint that is not weights."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.checkpoint.base_folder import published_name, record_place
from optscale_predictor.predictor.checkpoint.checked_files import own_file, read_json
from optscale_predictor.predictor.provenance.score_source import ScoreSource

FILE = "optscale_config.json"
FORMAT = 2
POOLINGS = ("mean", "last", "attention")
LAYERS = ("last", "all")
HEADS = ("linear", "gaussian_process")
FAMILIES = ("truncated_normal", "beta")

_LONGEST_QUESTION = 2**20  # tokens
_LARGEST_SIZE = 2**31 - 1
_TEXTS = ("base_model", "base_fingerprint", "pooling", "layers", "head", "family")


@dataclass
class PredictorConfig:
    """A predictor's settings.

    Attributes:
        base_model: Folder, hub id, or a name that ``models.resolve_model`` knows; in a file a folder is ``folder:NAME``
            (see ``base_place``).
        base_fingerprint: Of the base's weights, so that another base of the same shape is refused; empty: not checked.
        merged: Whether the checkpoint holds a whole model, the LoRA updates merged into it; ``base_model`` then says
            only what it was made of.
        pooling: ``mean`` (over the question's tokens), ``last`` (its last token, for decoders) or ``attention``.
        layers: ``last``, or ``all``: every layer is pooled and the head sees them side by side.
        max_length: Tokens of a question that are read, in [1, 2^20]; what is beyond is cut off.
        head: ``linear``, trained by gradient, or ``gaussian_process``, solved in closed form over training questions.
        head_sizes: Sizes that a head takes from its training questions (``anchors``, ``rank`` and so on); empty for a
            linear one.
        labels: Names of what a head may be told of a question besides its text, such as ``subject``; it need not be.
        family: Of the scores' distribution: ``truncated_normal`` or ``beta``.
        sources: Whose scores were learnt; more than one make a multi-task predictor.
        data: What the questions were: fingerprint, split rule, numbers of questions.
        metrics: Numbers measured on held-out questions.
        format: The checkpoint format's number.
    """

    base_model: str
    base_fingerprint: str = ""
    merged: bool = False
    pooling: str = "mean"
    layers: str = "last"
    max_length: int = 256
    head: str = "linear"
    head_sizes: dict[str, int] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    family: str = "truncated_normal"
    sources: list[ScoreSource] = field(default_factory=lambda: [ScoreSource()])
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Checks every type and range."""
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} must be text, got {type(getattr(self, name)).__name__}")
        if not self.base_model or not self.base_model.isprintable():
            raise InputError(f"base_model must name a model, got {self.base_model[:60]!r}")
        choices = {"pooling": POOLINGS, "layers": LAYERS, "head": HEADS, "family": FAMILIES}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)[:60]!r}")
        if not isinstance(self.merged, bool):
            raise InputError(f"merged must be true or false, got {str(self.merged)[:60]!r}")
        _require_whole("max_length", self.max_length, 1, _LONGEST_QUESTION)
        for name, size in _entries(self.head_sizes, "head_sizes").items():
            _require_whole(f"head_sizes[{name[:60]!r}]", size, 0, _LARGEST_SIZE)
        if not isinstance(self.labels, list) or not all(isinstance(name, str) for name in self.labels):
            raise InputError("labels must be a list of names")
        if self.head_sizes.get("labels", len(self.labels)) != len(self.labels):
            raise InputError(f"head_sizes['labels'] must be the number of labels, {len(self.labels)}")
        _entries(self.data, "data")
        for name, value in _entries(self.metrics, "metrics").items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InputError(f"metrics[{name[:60]!r}] must be a finite number, got {str(value)[:60]!r}")
        self._require_sources()

    def _require_sources(self) -> None:
        if not isinstance(self.sources, list) or not all(isinstance(one, ScoreSource) for one in self.sources):
            raise InputError("sources must be a list of sources")
        names = [source.name for source in self.sources]
        if not names or len(set(names)) < len(names):
            raise InputError(f"sources must have names of their own, at least one, got {names[:5]}")

    def source_index(self, name: str | None) -> int:
        """Which of the sources ``name`` is; None is the only one.

        Raises:
            InputError: There is no such source, or there are several and none is named.
        """
        names = [source.name for source in self.sources]
        if name is None and len(names) == 1:
            return 0
        if name not in names:
            said = "name one" if name is None else f"got {name!r}"
            raise InputError(f"source must be one of {', '.join(names)}: {said}")
        return names.index(name)

    def as_json(self) -> dict[str, Any]:
        """As JSON types: what :meth:`from_json` reads."""
        sources = [source.as_dict() for source in self.sources]
        return {**asdict(self), "base_model": published_name(self.base_model), "sources": sources}

    def save(self, folder: Path) -> None:
        """Writes the config into a checkpoint folder."""
        text = json.dumps(self.as_json(), indent=2, allow_nan=False) + "\n"
        (folder / FILE).write_text(text, encoding="utf-8")
        record_place(self.base_model, folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads the config of a checkpoint folder.

        Raises:
            InputError: It is missing, is not a config, or belongs to another format.
        """
        if not (folder / FILE).is_file():
            raise InputError(f"{folder}: not a predictor checkpoint (no {FILE})")
        path = own_file(folder, FILE)
        try:
            return cls.from_json(read_json(path))
        except InputError as error:
            raise InputError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from error

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """A config from JSON types, every one of them checked.

        Raises:
            InputError: It is not a config of this format.
        """
        _require_format(content.get("format"))
        unknown = content.keys() - {part.name for part in fields(cls)}
        if unknown:
            raise InputError(f"no config has an entry {min(unknown)[:60]!r}")
        for name in ("base_model", "sources"):
            if name not in content:
                raise InputError(f"{name} is missing")
        if not isinstance(content["sources"], list):
            raise InputError(f"sources must be a list, got {type(content['sources']).__name__}")
        sources = [ScoreSource.from_dict(source) for source in content["sources"]]
        return cls(**{**content, "sources": sources})


def _require_format(number: object) -> None:
    if isinstance(number, int) and number > FORMAT:
        raise InputError(f"format {number} is newer than this version reads ({FORMAT}): upgrade optscale-predictor")
    if number != FORMAT or isinstance(number, bool):
        raise InputError(f"format {str(number)[:60]!r}; this version reads format {FORMAT}")


def _require_whole(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"{name} must be a whole number in [{least}, {most}], got {str(value)[:60]!r}")


def _entries(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InputError(f"{name} must be an object of named entries, got {type(value).__name__}")
    return value
