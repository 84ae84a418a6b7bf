"""What a run leaves behind: what it was, what became of every question under every policy, and its samples.

    run.json         what ran, and what it cost
    outcomes.jsonl   one line a question and policy, written as questions finish
    pool/            every sample that was drawn, scored; where the run kept them
    frontier.json    accuracy, tokens and the distance to Best-of-k of every policy; when an evaluation has ended

Samples of a question are shared by the policies of a run: a policy's samples are the first ones of the question.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Self

from optscale_predictor._support.atomic_files import explain_write_errors, write_json, write_text
from optscale_predictor._support.json_reader import parse_object, read_object
from optscale_predictor._support.text_files import read_lines
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.request_schedule import drop_cut_line
from optscale_predictor.evaluation.run_facts import RunFacts
from optscale_predictor.pools import Pool
from optscale_predictor.stats.estimators import Prior

FORMAT = 2
_RUN, _OUTCOMES, _POOL, _FRONTIER = "run.json", "outcomes.jsonl", "pool", "frontier.json"


@dataclass(frozen=True)
class PolicyOutcome:
    """What became of one question under one policy.

    Attributes:
        question_id: The question.
        policy: The policy, in the form ``policies.parse_policy`` reads.
        answer: The final answer in the chosen sample; None where it has none.
        correct: Whether it is right; None where the gold answer is not known.
        score: The chosen sample's score, in [0, 1]; None where no sample was drawn.
        confidence: How probable it is that the answer is right, in [0, 1]; None where the selection does not know.
        samples: Samples drawn for this policy.
        tokens: Tokens generated for them.
        stop_reason: Why it got no more.
        hit: Whether one of them reached the policy's ``score_min``; None where it has none.
        needed: The policy's last estimate of the samples needed; None where it makes none.
        seconds: From asking to the last sample, >= 0.
        prior: (mean, std, strength) that the policy started from, as ``stats.estimators.Prior`` bounds them; None where
            it had none, or the record is of a version that did not keep it.
    """

    question_id: str
    policy: str
    answer: str | None
    correct: bool | None
    score: float | None
    confidence: float | None
    samples: int
    tokens: int
    stop_reason: str
    hit: bool | None
    needed: float | None
    seconds: float
    prior: tuple[float, float, float] | None = None


def require_own(folder: Path, facts: RunFacts) -> None:
    """Checks that a folder holds no record of another run.

    Args:
        folder: Where a run's record is to go, or goes on; need not exist.
        facts: What runs.

    Raises:
        InputError: It holds one, or a record that is damaged.
    """
    if (folder / _RUN).exists() and (difference := RunRecord.open(folder).facts.difference(facts)):
        raise InputError(f"{folder}: holds the record of another run ({difference}); name another folder")


class RecordWriter:
    """Writes a run's record; a context manager. A folder that holds an earlier session of the same run is continued.

    Args:
        folder: Made where it does not exist.
        facts: What runs.

    Attributes:
        finished: Question ids of which every policy's outcome was written before.

    Raises:
        InputError: The folder holds another run.
    """

    def __init__(self, folder: str | Path, facts: RunFacts) -> None:
        self.folder, self.facts = Path(folder), facts
        with explain_write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        require_own(self.folder, facts)
        self.finished: set[str] = set()
        if (self.folder / _RUN).exists():
            self._continue(RunRecord.open(self.folder))
            (self.folder / _FRONTIER).unlink(missing_ok=True)  # of the questions of an earlier session
        self._write_facts()
        self._file = (self.folder / _OUTCOMES).open("a", encoding="utf-8")

    @property
    def pool_folder(self) -> Path:
        """Where the samples go."""
        return self.folder / _POOL

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self._file.close()

    def add(self, outcomes: list[PolicyOutcome]) -> None:
        """Writes one question's outcomes, of every policy, together.

        Args:
            outcomes: One a policy of the run.

        Raises:
            InputError: The file cannot be written.
        """
        # One write and one flush a question: what a kill can cut short is the last question alone, and a question that
        # has not a line of every policy is answered again.
        lines = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in outcomes)
        with explain_write_errors(self.folder / _OUTCOMES):
            self._file.write(lines)
            self._file.flush()
        self.finished.update(one.question_id for one in outcomes)

    def spend(self, seconds: float, samples: int, tokens: int, rejected: int = 0, saved_tokens: float = 0.0) -> None:
        """Adds to what the run cost so far, and writes it down.

        Args:
            seconds: Wall time, >= 0.
            samples: Drawn, >= 0.
            tokens: Generated for them, >= 0.
            rejected: Samples among them that were stopped early, >= 0.
            saved_tokens: That those would still have had, as estimated, >= 0.
        """
        now = self.facts
        self.facts = replace(
            now,
            seconds=round(now.seconds + seconds, 3),
            samples=now.samples + samples,
            tokens=now.tokens + tokens,
            rejected=now.rejected + rejected,
            saved_tokens=now.saved_tokens + round(saved_tokens),
        )
        self._write_facts()

    def _continue(self, before: "RunRecord") -> None:
        self.facts = before.facts
        seen: dict[str, int] = {}
        whole = []
        for one in before.outcomes():
            seen[one.question_id] = seen.get(one.question_id, 0) + 1
            whole.append(one)
        self.finished = {name for name, count in seen.items() if count == len(self.facts.policies)}
        # A kill may have cut the last question's lines short: they are written anew, with the question.
        kept = "".join(
            json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in whole if one.question_id in self.finished
        )
        write_text(kept, self.folder / _OUTCOMES)
        drop_cut_line(self.folder)

    def _write_facts(self) -> None:
        write_json({"format": FORMAT, **asdict(self.facts)}, self.folder / _RUN)


@dataclass(frozen=True)
class RunRecord:
    """A run's record, for reading.

    Attributes:
        folder: Where it lies.
        facts: What ran.
    """

    folder: Path
    facts: RunFacts = field(repr=False)

    @classmethod
    def open(cls, folder: str | Path) -> "RunRecord":
        """The record in ``folder``.

        Raises:
            InputError: There is none, or it is damaged.
        """
        folder = Path(folder)
        path = folder / _RUN
        if not path.is_file():
            raise InputError(f"{folder}: not a run's record (no {_RUN})")
        content = read_object(path)
        if content.pop("format", None) != FORMAT:
            raise InputError(f"{path}: not a run's record of format {FORMAT}")
        try:
            return cls(folder, RunFacts(**content))
        except TypeError as error:
            raise InputError(f"{path}: {error}") from error

    @property
    def pool(self) -> Pool | None:
        """The samples; None where the run kept none."""
        return Pool(self.folder / _POOL) if (self.folder / _POOL / "manifest.json").is_file() else None

    def write_frontier(self, figures: Mapping[str, object]) -> None:
        """Writes down how far each policy is from a fixed number of samples.

        Args:
            figures: JSON types.

        Raises:
            InputError: The file cannot be written.
        """
        write_json(figures, self.folder / _FRONTIER)

    def outcomes(self) -> Iterator[PolicyOutcome]:
        """Every outcome; a last line that a kill cut short is left out.

        Raises:
            InputError: A line is not an outcome.
        """
        path = self.folder / _OUTCOMES
        if not path.is_file():
            return
        names = {one.name for one in fields(PolicyOutcome)}
        for number, line in enumerate(read_lines(path), start=1):
            if not line.endswith("\n"):
                return
            yield _outcome(line, names, f"{path}:{number}")


def _outcome(line: str, names: set[str], location: str) -> PolicyOutcome:
    row = {"prior": None, **parse_object(line, location)}
    if row.keys() != names:
        raise InputError(f"{location}: not an outcome of a question")
    for name in ("question_id", "policy", "stop_reason"):
        if not isinstance(row[name], str):
            raise InputError(f"{location}: {name} must be text, got {row[name]!r:.60}")
    if row["prior"] is not None:
        row["prior"] = _prior(row["prior"], location)
    return PolicyOutcome(**row)


def _prior(parts: object, location: str) -> tuple[float, float, float]:
    try:
        mean, std, strength = map(float, parts if isinstance(parts, list) else ())
        Prior(mean, std, strength)
    except (InputError, TypeError, ValueError) as error:  # ValueError: not three numbers
        raise InputError(f"{location}: prior must be a mean, std and strength, got {str(parts)[:60]}") from error
    return mean, std, strength
