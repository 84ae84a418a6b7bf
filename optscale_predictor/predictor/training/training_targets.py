"""Targets: questions with what was observed of their scores, read from files and split into sides.

Files are Parquet as ``optscale targets`` writes it, or JSON lines. Several files with a name each make a multi-task
predictor: every name is a source of scores. A question may stand in several files, but never on both sides of a split.
"""

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from optscale_predictor._support.json_reader import parse_object
from optscale_predictor._support.text_files import read_lines
from optscale_predictor.errors import InputError
from optscale_predictor.targets.splitting import LEFT_OUT, TRAIN, VALIDATION, SplitRule, split_questions

TEST = "test"
SIDES = (TRAIN, VALIDATION, TEST, LEFT_OUT)
DEFAULT_SOURCE = "default"

_SLACK = 1e-6  # by which a rounded deviation may exceed what its mean allows


@dataclass(frozen=True)
class Target:
    """One question's target: what one source's scores of it were.

    Attributes:
        question: Its text.
        mean: Mean of its scores, in [0, 1].
        std: Their population standard deviation, in [0, 0.5].
        split: ``train``, ``validation``, ``test`` or ``left_out``.
        num_samples: Scores behind it, >= 1; None where the file does not say.
        mean_error: Standard error of ``mean``, >= 0; None where not known.
        std_error: Standard error of ``std``, likewise.
        mean_log: Mean of log(score); None where not known.
        mean_log1m: Mean of log(1 - score), likewise.
        subject: What the question is about; None where not known.
        level: How hard its authors thought it; None where not known.
        source: Name of the source of scores.
    """

    question: str
    mean: float
    std: float
    split: str
    num_samples: float | None = None
    mean_error: float | None = None
    std_error: float | None = None
    mean_log: float | None = None
    mean_log1m: float | None = None
    subject: str | None = None
    level: str | None = None
    source: str = DEFAULT_SOURCE


def labels_of(target: Target) -> dict[str, str]:
    """What is known of a target's question besides its text, by name."""
    labels = {"subject": target.subject, "level": target.level}
    return {name: value for name, value in labels.items() if value is not None}


@dataclass(frozen=True)
class DataSplit(SplitRule):
    """How questions are split where the file does not say.

    Attributes:
        test_share: Share of questions that neither training nor early stopping ever sees, in [0, 1).
    """

    test_share: float = 0.0

    def __post_init__(self) -> None:
        """Checks every range."""
        super().__post_init__()
        if not 0 <= self.test_share < 1 - self.validation_share:
            raise InputError(f"test_share must lie in [0, 1 - validation_share), got {self.test_share}")


def read_targets(paths: str | Path | Mapping[str, str | Path], split: DataSplit | None = None) -> list[Target]:
    """Reads targets of one file, or of several that have names.

    JSON lines (``.jsonl``, ``.jsonl.gz``) have ``question``, ``mean`` and ``std``, or ``score_mean`` and ``score_std``;
    any other attribute of :class:`Target` is read where it is there. Rows of a single file may name their ``source``;
    of files with names, the name is the source.

    Args:
        paths: A file, or name of a source to file.
        split: How questions are split where no row names a ``split``; near-duplicates stand on one side.

    Raises:
        InputError: A file cannot be read, a column is missing or impossible, or a file names the split of some rows
            alone; names file and row.
    """
    files = dict(paths) if isinstance(paths, Mapping) else {None: paths}
    targets = [target for name, path in files.items() for target in _read_file(Path(path), name)]
    return _keep_sides_apart(_split(targets, split or DataSplit()))


def data_summary(targets: Sequence[Target], split: DataSplit, assumed_samples: float) -> dict[str, Any]:
    """What a checkpoint says of its data: ``fingerprint``, ``split``, ``questions`` on each side, ``assumed_samples``.

    Args:
        targets: All of them, of every side.
        split: How they were split where files did not say.
        assumed_samples: Taken as the number of samples where targets have none.
    """
    uncounted = any(target.num_samples is None for target in targets)
    return {
        "fingerprint": fingerprint(targets),
        "split": asdict(split),
        "questions": {side: sum(target.split == side for target in targets) for side in SIDES},
        **({"assumed_samples": assumed_samples} if uncounted else {}),
    }


def fingerprint(targets: Sequence[Target]) -> str:
    """A hash of sources, questions, moments, counts and sides, whatever their order: 32 hexadecimal digits."""
    rows = sorted(repr((one.source, one.question, one.mean, one.std, one.num_samples, one.split)) for one in targets)
    digest = blake2b(digest_size=16)
    for row in rows:
        digest.update(row.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _read_file(path: Path, name: str | None) -> list[Target]:
    with closing(_rows(path)) as rows:  # a bad row closes the file at once
        targets = [_target(row, f"{path}: row {number}", name) for number, row in enumerate(rows, start=1)]
    if not targets:
        raise InputError(f"{path}: no targets in it")
    named = [target.split != "" for target in targets]
    if any(named) and not all(named):
        raise InputError(f"{path}: row {named.index(False) + 1}: names no split, and other rows do")
    return targets


def _target(row: Mapping[str, Any], location: str, name: str | None) -> Target:
    question = row.get("question")
    mean, std = (_number(row, key, location) for key in ("mean", "std"))
    if not isinstance(question, str) or mean is None or std is None:
        raise InputError(f"{location}: needs columns question, mean and std (or score_mean and score_std)")
    if not (0 <= mean <= 1 and 0 <= std <= math.sqrt(mean * (1 - mean)) + _SLACK):
        raise InputError(f"{location}: no scores in [0, 1] have mean {mean} and standard deviation {std}")
    optional: dict[str, Any] = {
        key: _number(row, key, location) for key in ("num_samples", "mean_error", "std_error", "mean_log", "mean_log1m")
    }
    for key, least in (("num_samples", 1.0), ("mean_error", 0.0), ("std_error", 0.0)):
        value = optional[key]
        if value is not None and value < least:
            raise InputError(f"{location}: {key} must be >= {least:g}, got {value:g}")
    for key in ("mean_log", "mean_log1m"):
        if optional[key] is not None and optional[key] > _SLACK:
            raise InputError(f"{location}: {key} of scores in [0, 1] must be <= 0, got {optional[key]:g}")
    split = row.get("split") or ""
    if split and split not in SIDES:
        raise InputError(f"{location}: split must be one of {', '.join(SIDES)}, got {split!r}")
    labels: dict[str, Any] = {key: None if row.get(key) is None else str(row[key]) for key in ("subject", "level")}
    source = name or str(row.get("source") or DEFAULT_SOURCE)
    return Target(question, mean, std, split, **optional, **labels, source=source)


def _number(row: Mapping[str, Any], key: str, location: str) -> float | None:
    """The number in a column, None where there is none or it is not finite."""
    value = row.get(key, row.get(f"score_{key}"))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{location}: {key} must be a number, got {value!r}")
    return float(value) if math.isfinite(value) else None


def _split(targets: list[Target], split: DataSplit) -> list[Target]:
    """The targets with a side each; every question is on one, whatever number of sources it has."""
    questions = list(dict.fromkeys(target.question for target in targets if not target.split))
    if not questions:
        return targets
    sides = dict(zip(questions, _sides(questions, split), strict=True))
    return [target if target.split else replace(target, split=sides[target.question]) for target in targets]


def _sides(questions: list[str], split: DataSplit) -> list[str]:
    """Test questions are drawn first, by a seed of their own; then validation questions of what remains."""
    how = {"near_duplicates": split.near_duplicates, "same_numbers": split.same_numbers}
    if not split.test_share:
        return split_questions(questions, SplitRule(split.validation_share, split.seed, **how))  # type: ignore[arg-type]
    # A seed of their own: the same test questions whatever share of the others validates.
    first = split_questions(questions, SplitRule(split.test_share, -1 - split.seed, **how))  # type: ignore[arg-type]
    rest = [question for question, side in zip(questions, first, strict=True) if side == TRAIN]
    share = split.validation_share / (1 - split.test_share)
    second = iter(split_questions(rest, SplitRule(share, split.seed, **how)))  # type: ignore[arg-type]
    named = {TRAIN: None, VALIDATION: TEST, LEFT_OUT: LEFT_OUT}
    return [named[side] or next(second) for side in first]


def _keep_sides_apart(targets: list[Target]) -> list[Target]:
    """Files of several sources may disagree on a question's side: held out by one, it is not trained on by another."""
    held_out = {target.question for target in targets if target.split in (VALIDATION, TEST)}
    return [
        replace(target, split=LEFT_OUT) if target.split == TRAIN and target.question in held_out else target
        for target in targets
    ]


def _rows(path: Path) -> Generator[dict[str, Any], None, None]:
    import pyarrow as pa

    if path.is_dir():
        inside = sorted(path.glob("*.parquet"))
        raise InputError(f"{path}: is a folder; name the file of targets" + (f": {inside[0]}" if inside else ""))
    try:
        if path.suffix == ".parquet":
            from optscale_predictor._support.parquet_sizes import read_rows

            yield from read_rows(path)
            return
    except (OSError, pa.ArrowException) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: cannot read targets: {said}".splitlines()[0]) from error
    for number, line in enumerate(read_lines(path, "read targets"), start=1):
        yield parse_object(line, f"{path}:{number}")
