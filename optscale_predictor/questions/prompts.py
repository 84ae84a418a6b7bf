"""Prompts: how a question's text becomes what the generator reads.

A template is a text file with ``{question}`` in it, read as it is: no other braces mean anything.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from optscale_predictor._support.text_files import read_text
from optscale_predictor.errors import InputError

_SLOT = "{question}"


@dataclass(frozen=True)
class PromptTemplate:
    """A prompt around a question.

    Attributes:
        text: The prompt, with ``{question}`` where the question goes.
    """

    text: str = _SLOT

    def __post_init__(self) -> None:
        """Checks that the question goes somewhere."""
        if _SLOT not in self.text:
            raise InputError(f"the prompt template has no {_SLOT} in it: {self.text[:60]!r}")

    @classmethod
    def from_file(cls, path: str | Path | None) -> Self:
        """The template in a file; the bare question without one.

        Raises:
            InputError: The file cannot be read or has no ``{question}``.
        """
        if path is None:
            return cls()
        return cls(read_text(Path(path), purpose="read the prompt template"))

    def __call__(self, question: str) -> str:
        """The prompt for one question."""
        return self.text.replace(_SLOT, question)
