"""What an engine spent and what is doubtful about it: counters that add up over engines, actors and runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optscale_predictor.generators._generator import Sample


@dataclass
class Usage:
    """What an engine spent so far, beside its samples' own tokens.

    Attributes:
        prompt_tokens: Tokens of the prompts, one count a request, as the engine reads them.
        discarded_tokens: Tokens of samples that came and could not be used, as far as their replies tell.
        retries: Requests that were sent again; what the lost tries cost, their server knows.
        cancelled: Requests under way when the caller left.
        estimated_samples: Samples whose tokens are estimated from their text: their server did not tell the number, or
            told one that cannot be.
        empty_samples: Samples without any text.
    """

    prompt_tokens: int = 0
    discarded_tokens: int = 0
    retries: int = 0
    cancelled: int = 0
    estimated_samples: int = 0
    empty_samples: int = 0

    def add(self, other: "Usage") -> None:
        """Adds what was counted elsewhere."""
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)

    def since(self, before: "Usage") -> "Usage":
        """What was spent after ``before`` was copied from it."""
        return Usage(**{name: count - getattr(before, name) for name, count in vars(self).items()})

    def note(self, samples: "Iterable[Sample]") -> None:
        """Counts those of new samples that have no text."""
        self.empty_samples += sum(not sample.text.strip() for sample in samples)

    def warnings(self) -> list[str]:
        """What a user should know of these samples, a line each; nothing where all is well."""
        lines = []
        if self.estimated_samples:
            lines.append(
                f"warning: the tokens of {self.estimated_samples} samples are estimated from their text: the server "
                "told no number of them, or one too small for the text"
            )
        if self.empty_samples:
            lines.append(
                f"warning: {self.empty_samples} samples have no text: the model wrote none, or nothing is left of a "
                "thought that was cut off (max_tokens)"
            )
        return lines
