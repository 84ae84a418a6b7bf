"""The schedule in a run's record: which samples each request asked for, and in which order requests were sent.

    requests.jsonl   {"question_id": ..., "requests": [[number, first sample, samples], ...]}, a line a question

Answers do not depend on it, but which samples were drawn ahead does (``step=auto``), and with it what a run cost.
Numbers count the requests of one session: a run that was continued counts from 0 again.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from optscale_predictor._support.atomic_files import explain_write_errors, write_text
from optscale_predictor._support.json_reader import parse_object
from optscale_predictor._support.text_files import read_lines
from optscale_predictor.errors import InputError

_FILE = "requests.jsonl"

#: Number in the session, index of the first sample, samples asked for.
SentRequest = tuple[int, int, int]


def add_requests(folder: Path, question_id: str, requests: Sequence[SentRequest]) -> None:
    """Writes down the requests of a question that has its answer.

    Args:
        folder: The run's record.
        question_id: The question.
        requests: In the order in which they were sent.

    Raises:
        InputError: The file cannot be written.
    """
    line = json.dumps({"question_id": question_id, "requests": requests}, ensure_ascii=False) + "\n"
    with explain_write_errors(folder / _FILE), (folder / _FILE).open("a", encoding="utf-8") as file:
        file.write(line)


def drop_cut_line(folder: Path) -> None:
    """Takes off a last line that a kill cut short: what a run that goes on adds would become part of it.

    Args:
        folder: The run's record; one without a schedule stays as it is.

    Raises:
        InputError: The file cannot be written.
    """
    path = folder / _FILE
    lines = list(read_lines(path)) if path.is_file() else []
    if lines and not lines[-1].endswith("\n"):
        write_text("".join(lines[:-1]), path)


def read_requests(folder: str | Path) -> dict[str, list[SentRequest]]:
    """The requests of each question of a run's record; of one that was asked again, those of the last time.

    Args:
        folder: The record; one that has no schedule is of an earlier version, and has none.

    Raises:
        InputError: A line is not of a schedule; a last one that was cut short is left out.
    """
    path, found = Path(folder) / _FILE, dict[str, list[SentRequest]]()
    if not path.is_file():
        return found
    for number, line in enumerate(read_lines(path), start=1):
        if not line.endswith("\n"):
            break
        row = parse_object(line, f"{path}:{number}")
        try:
            found[str(row["question_id"])] = [(int(one), int(first), int(many)) for one, first, many in row["requests"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}:{number}: not the requests of a question") from error
    return found
