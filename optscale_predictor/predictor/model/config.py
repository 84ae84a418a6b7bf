"""What a predictor is made of and was made from: the part of a checkpoint that is not weights.

A question's scores depend on who answers it, how its answers are sampled, who judges them, and how the judgements
become one number. A prediction made for one such source says little about another, so a config names its own.

Configs are read from files that anybody may have written, so every type and range is checked on construction; reading
and writing the file itself is the work of ``predictor.checkpoint``.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from optscale_predictor.backends.model_source import ModelSource
from optscale_predictor.errors import InputError

FORMAT = 2
POOLINGS = ("mean", "last", "attention")
LAYERS = ("last", "all")
HEADS = ("linear", "gaussian_process")
FAMILIES = ("truncated_normal", "beta")

_LONGEST_NAME = 200  # characters of a source's name
_LONGEST_QUESTION = 2**20  # tokens
_LARGEST_SIZE = 2**31 - 1
_TEXTS = ("base_model", "base_fingerprint", "pooling", "layers", "head", "family")


@dataclass(frozen=True)
class ScoreSource:
    """One source of scores. What is not recorded is None (or empty), and is not compared.

    Attributes:
        name: What to call it where one predictor has learnt several.
        generator: The generating model, by hub id, registered name, or the name of its folder.
        decoding: Its sampling settings: temperature, top_p, max_tokens, stop, thinking, chat, prompt and so on.
        verifier: The judging model or rule.
        aggregation: How steps' scores become one (``mean``, ``min``, ``last``, ``product``).
        score_map: What maps the verifier's numbers into [0, 1].
        reading: How the verifier reads a sample: a process reward model's layout and separator, a judge's rubric, a
            trained verifier's version.
    """

    name: str = "default"
    generator: str | None = None
    decoding: Mapping[str, Any] = field(default_factory=dict)
    verifier: str | None = None
    aggregation: str | None = None
    score_map: Any = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks every type: sources are read from files."""
        if not isinstance(self.name, str) or not self.name.isprintable() or not 0 < len(self.name) <= _LONGEST_NAME:
            raise InputError(
                f"a source's name must be 1 to {_LONGEST_NAME} printable characters, got {str(self.name)[:60]!r}"
            )
        for part in ("generator", "verifier", "aggregation"):
            if not isinstance(getattr(self, part), str | None):
                raise InputError(f"source {self.name!r}: {part} must be text, got {type(getattr(self, part)).__name__}")
        for part in ("decoding", "reading"):
            if not isinstance(getattr(self, part), Mapping):
                raise InputError(f"source {self.name!r}: {part} must be an object of settings")

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, content: object) -> Self:
        """As :meth:`as_dict` gives it.

        Raises:
            InputError: It is no such object, or has an entry that this version does not know.
        """
        if not isinstance(content, Mapping):
            raise InputError(f"a source must be an object, got {type(content).__name__}")
        unknown = content.keys() - {part.name for part in fields(cls)}
        if unknown:
            raise InputError(f"a source has no entry {min(unknown)[:60]!r}")
        return cls(**content)


@dataclass
class PredictorConfig:
    """A predictor's settings.

    Attributes:
        base_model: A folder, a hub id, ``embedded:NAME`` or ``package:NAME``; in a checkpoint's file a folder is
            ``folder:NAME``.
        base_fingerprint: Of the base's weights, so that another base of the same shape is refused; empty: not checked.
        base_source: Where the base comes from and its licence, as :class:`ModelSource` has it; empty: not recorded.
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
    base_source: dict[str, Any] = field(default_factory=dict)
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
        ModelSource.from_json(self.base_source)
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
        return {**asdict(self), "sources": [source.as_dict() for source in self.sources]}

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
