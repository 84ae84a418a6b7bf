"""Where scores come from: what a predictor's numbers hold for, and nothing else.

A question's scores depend on who answers it, how its answers are sampled, who judges them, and how the judgements
become one number. A prediction made for one such source says little about another, so a checkpoint names its own.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePath
from typing import Any, Self

from optscale_predictor.errors import InputError

_LONGEST = 200  # characters of a source's name


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
        reading: How the verifier reads a sample: a process reward model's layout and separator, a judge's rubric.
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
        if not isinstance(self.name, str) or not self.name.isprintable() or not 0 < len(self.name) <= _LONGEST:
            raise InputError(
                f"a source's name must be 1 to {_LONGEST} printable characters, got {str(self.name)[:60]!r}"
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


def public_name(model: str) -> str:
    """A model's name as others may read it: of a folder of this machine, its own name alone."""
    is_place = model.startswith(("/", ".", "~")) or model.count("/") > 1 or "\\" in model
    return PurePath(model.replace("\\", "/")).name or model if is_place else model
