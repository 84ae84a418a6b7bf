r"""Rubrics: how a judge is asked about a sample, and how its reply becomes a score.

A rubric is a text file with ``{question}`` and ``{answer}`` (the sample's text) in it and, where the judge may see it,
``{gold}``; no other braces mean anything. It may open with settings between two lines ``---``, in YAML::

    ---
    pattern: 'Score:\s*(\S+)'
    low: 0
    high: 10
    ---

The score is the last thing in the reply that ``pattern`` captures: a plain number, or ``NUMBER/HIGH``. It is mapped
linearly from [low, high] to [0, 1]. Anything else is no score: nothing is guessed.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from optscale_predictor._support.number_checks import require_seed
from optscale_predictor._support.text_files import read_text
from optscale_predictor.backends.verifiers.verifier import Answered
from optscale_predictor.errors import InputError

DEFAULT = Path(__file__).parent / "rubrics" / "maths.txt"
#: Replies of one sample, which are asked for together; and tokens of a reply.
MOST_VOTES, MOST_TOKENS = 256, 2**31 - 1

#: ``Score: 7``, ``**Score:** 7/10``, ``score: 7.5.`` and their like; what stands there need not be a number.
SCORE_LINE = r"(?i)(?<![a-z0-9])score[*_\s]*:[*_\s]*([^\s*_]+(?:\s*/\s*\d+(?:\.\d+)?)?)"

_SLOT = re.compile(r"\{(question|answer|gold)\}")
_NUMBER = re.compile(r"([-+]?(?:\d+(?:\.\d*)?|\.\d+))(?:\s*/\s*(\d+(?:\.\d+)?))?[.,;:!)\]}$]*", re.ASCII)


@dataclass(frozen=True)
class Rubric:
    r"""How a judge is asked and read.

    Attributes:
        text: The template.
        pattern: Regular expression with one group, which captures the score; its last match counts.
        low: The reply's worst score; becomes 0.
        high: Its best one, > low; becomes 1.
        votes: Replies that are averaged, in [1, 256]; more than one needs a temperature above 0.
        temperature: Softmax temperature, >= 0 and finite.
        max_tokens: Most tokens a reply may have, in [1, 2**31); one that is cut off there is no score.
        seed: Of the first vote, >= 0; the others follow it.
    """

    text: str
    pattern: str = SCORE_LINE
    low: float = 0.0
    high: float = 10.0
    votes: int = 1
    temperature: float = 0.0
    max_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every setting."""
        for slot in ("{question}", "{answer}"):
            if slot not in self.text:
                raise InputError(f"the rubric has no {slot} in it: {' '.join(self.text[:60].split())!r}")
        try:
            groups = self._reading.groups
        except re.error as error:
            raise InputError(f"the rubric's pattern {self.pattern!r} is no regular expression: {error}") from error
        if groups != 1:
            raise InputError(f"the rubric's pattern {self.pattern!r} must have one group, it has {groups}")
        if not -float("inf") < self.low < self.high < float("inf"):
            raise InputError(f"the rubric's scores need low < high, got {self.low}, {self.high}")
        for name, most in (("votes", MOST_VOTES), ("max_tokens", MOST_TOKENS)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"the rubric's {name} must lie in [1, {most}], got {getattr(self, name):.6g}")
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"the rubric's temperature must be >= 0 and finite, got {self.temperature}")
        require_seed(self.seed)
        if self.votes > 1 and self.temperature == 0:
            raise InputError(f"{self.votes} votes at temperature 0 are all the same; set the rubric's temperature")

    @classmethod
    def from_file(cls, path: str | Path | None = None, **settings: Any) -> Self:
        """The rubric in a file; the package's own for maths answers without one.

        Args:
            path: The file.
            settings: Any attribute but ``text``; they go before those of the file.

        Raises:
            InputError: The file cannot be read, or is not what this module describes.
        """
        file = Path(path or DEFAULT)
        content = read_text(file, purpose="read the rubric")
        try:
            front, text = _split(content)
            return cls(text, **{**_settings(front), **settings})
        except TypeError as error:
            raise InputError(f"{file}: cannot read the rubric: {' '.join(str(error).split())}") from error
        except InputError as error:
            raise InputError(f"{file}: {error}") from error

    @property
    def needs_gold(self) -> bool:
        """Whether the judge is shown the gold answer."""
        return "{gold}" in self.text

    def ask(self, item: Answered) -> str:
        """What the judge reads. Each slot is filled once: braces in a question or sample stay what they are.

        The question must have a gold answer where :attr:`needs_gold` says so.
        """
        parts = {"question": item.question.text, "answer": item.text, "gold": item.question.gold or ""}
        return _SLOT.sub(lambda slot: parts[slot[1]], self.text)

    def read(self, reply: str) -> float | str:
        """The score of a reply, in [0, 1], or why there is none."""
        found = self._reading.findall(reply)
        if not found:
            return f"the judge's reply holds no score: {_shown(reply)}"
        number = _NUMBER.fullmatch(found[-1].strip())
        if number is None or (number[2] is not None and float(number[2]) != self.high):
            return f"the judge's score is {_shown(found[-1])}, not a number from {self.low:g} to {self.high:g}"
        score = float(number[1])
        if not self.low <= score <= self.high:
            return f"the judge's score is {number[1]}, outside {self.low:g} to {self.high:g}"
        return (score - self.low) / (self.high - self.low)

    @cached_property
    def _reading(self) -> re.Pattern[str]:
        with warnings.catch_warnings():
            # Python warns of what a later version may read otherwise, such as "[[", wherever it was compiled.
            warnings.simplefilter("ignore", FutureWarning)
            return re.compile(self.pattern)


def _split(content: str) -> tuple[str, str]:
    """The settings and the template of a rubric file."""
    parts = re.match(r"---[ \t]*\n(.*?\n)?---[ \t]*\n(.*)", content, re.DOTALL)
    return (parts[1] or "", parts[2]) if parts else ("", content)


def _settings(front: str) -> Mapping[str, Any]:
    from optscale_predictor._support.yaml_reader import parse_yaml

    given = parse_yaml(front, "the rubric's settings") or {}
    kinds: dict[str, Any] = {field.name: field.type for field in fields(Rubric) if field.name != "text"}
    if not isinstance(given, dict) or given.keys() - kinds.keys():
        unknown = sorted(map(str, given.keys() - kinds.keys())) if isinstance(given, dict) else [_shown(str(given))]
        raise InputError(f"unknown settings of a rubric: {', '.join(unknown)}; known: {', '.join(kinds)}")
    for name, value in given.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = number and float(value).is_integer()
        if not {str: isinstance(value, str), int: whole, float: number}[kinds[name]]:
            raise InputError(f"the rubric's {name} cannot be {value!r}")
    return {name: kinds[name](value) for name, value in given.items()}


def _shown(text: str) -> str:
    """The end of a text, where the score should be, on one line."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 80 else f"...{line[-77:]}")
