"""Where a model comes from and under which licence, as far as its own files or its package say so.

Pools and cards record it, so that whoever publishes samples or updates of a model knows whose terms hold. It is a note:
two pools whose models differ in nothing else were made the same way. What is not stated stays None.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from optscale_predictor.backends.model_names import public_name
from optscale_predictor.errors import InputError

#: The key of a generator's or verifier's description under which its model's source stands.
MODEL_SOURCE = "model_source"

_LONGEST = 200  # characters of a text; whole licences, which some packages give in place of a name, are longer
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class ModelSource:
    """What is stated of a model; None where nothing is.

    Attributes:
        name: What its makers call it.
        organization: Its makers.
        license: Its licence, by the name that is given there.
        license_from: What states the licence: ``GGUF file``, ``model card`` or ``package``. A package's is its
            packager's word, and is taken only where the model says nothing itself.
        file: The file of its weights, without a folder, where the model is one file.
        sha256: Of that file's content, 64 hexadecimal digits.
        quantization: How that file's numbers were rounded, as llama.cpp calls it: ``Q4_1``.
        package: The distribution that it was installed with, as package indexes name it.
        package_version: That distribution's version.
        revision: The commit of the hub's repository that its files are of.
    """

    name: str | None = None
    organization: str | None = None
    license: str | None = None
    license_from: str | None = None
    file: str | None = None
    sha256: str | None = None
    quantization: str | None = None
    package: str | None = None
    package_version: str | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        """Checks every text: a source may be read from a checkpoint that anybody has written."""
        for name, value in asdict(self).items():
            if value is not None and (not isinstance(value, str) or known_text(value) != value):
                raise InputError(f"a model's {name} must be a name of one line, got {str(value)[:60]!r}")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise InputError(f"a model's sha256 must be 64 hexadecimal digits, got {self.sha256[:70]!r}")

    def as_json(self) -> dict[str, Any]:
        """What is known, as JSON types: what :meth:`from_json` reads."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, content: object) -> Self:
        """As :meth:`as_json` gives it.

        Raises:
            InputError: It is no such object, has an entry that this version does not know, or one that is no name.
        """
        if not isinstance(content, Mapping):
            raise InputError(f"a model's source must be an object, got {type(content).__name__}")
        unknown = content.keys() - {part.name for part in fields(cls)}
        if unknown:
            raise InputError(f"a model's source has no entry {str(min(unknown))[:60]!r}")
        return cls(**content)

    @property
    def description(self) -> dict[str, object]:
        """The entry of a generator's or verifier's description; none where nothing is known."""
        known = self.as_json()
        return {MODEL_SOURCE: known} if known else {}

    @property
    def card_rows(self) -> dict[str, object]:
        """What a card says of its base model, by the name of the row."""
        stated = f"{self.license}, as its {self.license_from} says" if self.license_from else self.license
        makers = f" by {self.organization}" if self.organization else ""
        parts = [
            f"{self.name or 'model'}{makers}" if self.name or makers else None,
            self.file,
            self.quantization,
            f"package {' '.join(filter(None, (self.package, self.package_version)))}" if self.package else None,
            f"revision {self.revision}" if self.revision else None,
        ]
        source = ", ".join(part for part in parts if part)
        rows: dict[str, object] = {"base model's licence": stated or "not known"}
        rows |= {"base model's source": source} if source else {}
        return rows | ({"base model's SHA-256": self.sha256} if self.sha256 else {})

    @property
    def base_terms(self) -> str:
        """The base model, and its licence where that is known, for a card's line on what its own licence must allow."""
        return f"the base model ({self.license})" if self.license else "the base model"


def known_text(value: object) -> str | None:
    """A name that others may read, as it stands in a file of a model or a package; None where it is none.

    A path, as converters write it where they know no name, loses its folders.

    Args:
        value: Anything.
    """
    text = public_name(value.strip()) if isinstance(value, str) and value.strip() else ""
    return text if text and text.isprintable() and len(text) <= _LONGEST else None


def without_source(described: Any) -> Any:
    """Settings as they are compared: a model's source says nothing of how samples are drawn.

    Args:
        described: JSON types; mappings may be nested, or flat with keys joined by dots.
    """
    if not isinstance(described, Mapping):
        return described
    return {key: without_source(value) for key, value in described.items() if MODEL_SOURCE not in key.split(".")}
