"""What a predictor is made of and was made from: the part of a checkpoint that is not weights."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Self

from optscale_predictor.errors import InputError

FILE = "optscale_config.json"
FORMAT = 1


@dataclass
class PredictorConfig:
    """A predictor's settings.

    Attributes:
        base_model: Folder, hub id, or a name that ``models.resolve_model`` knows; as given, so that it travels.
        pooling: ``mean`` (over the question's tokens) or ``last`` (its last token, for decoders).
        max_length: Tokens of a question that are read, > 0; what is beyond is cut off.
        strength: How many real samples a prediction is worth, > 0; measured on the validation questions.
        generator: The generator whose scores were learnt; None where not known.
        verifier: The verifier that gave them; None where not known.
        metrics: Numbers measured on the validation questions.
        format: The checkpoint format's number.
    """

    base_model: str
    pooling: str = "mean"
    max_length: int = 256
    strength: float = 1.0
    generator: str | None = None
    verifier: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Checks every range."""
        if self.pooling not in ("mean", "last"):
            raise InputError(f"pooling must be 'mean' or 'last', got {self.pooling!r}")
        if self.max_length < 1:
            raise InputError(f"max_length must be >= 1, got {self.max_length}")
        if not self.strength > 0:
            raise InputError(f"strength must be > 0, got {self.strength}")

    def save(self, folder: Path) -> None:
        """Writes the config into a checkpoint folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads the config of a checkpoint folder.

        Raises:
            InputError: It is missing, is not a config, or belongs to a newer format.
        """
        path = folder / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{folder}: not a predictor checkpoint (no {FILE})") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot read it: {error}") from error
        if not isinstance(content, dict):
            raise InputError(f"{path}: expected a JSON object")
        if content.get("format") != FORMAT:
            raise InputError(f"{path}: format {content.get('format')!r}; this version reads format {FORMAT}")
        unknown = content.keys() - {part.name for part in fields(cls)}
        if unknown or "base_model" not in content:
            raise InputError(f"{path}: {f'unknown entry {min(unknown)!r}' if unknown else 'base_model is missing'}")
        return cls(**content)
