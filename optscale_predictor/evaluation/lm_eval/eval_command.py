"""``optscale eval``: lm-eval's own command line, with our model and tasks added and every flag handed on.

Two flags are ours. ``--policies "A B C"`` compares policies in one run: they share each question's samples, so the
whole costs what the greediest of them does. ``--record FOLDER`` says where the run's record goes, of which
``optscale report`` makes a page; by default it goes below ``--output_path``, where there is one.

A run that leaves a record ends with a table of its own: how far each policy is from Best-of-k at equal tokens.
"""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from optscale_predictor.errors import InputError, MissingExtraError

TASKS = Path(__file__).parent / "tasks"

RECORDS = "records"  # below --output_path
_PART = re.compile(r"-rank\d+$")  # of the record of one process among several


def evaluate(args: list[str]) -> None:
    """Runs lm-eval with ``args``; ``--model optscale`` where they name no model.

    Args:
        args: lm-eval's flags, and ``--policies`` and ``--record``.

    Raises:
        InputError: Bad arguments of ours.
        MissingExtraError: lm-eval is not installed.
    """
    try:
        from lm_eval.__main__ import cli_evaluate
    except ImportError:
        raise MissingExtraError("lm-eval", "eval") from None
    import optscale_predictor.evaluation.lm_eval.optscale_lm  # noqa: F401 - registers the model

    args, record = with_ours(args)
    before = _written(record)
    given = sys.argv
    sys.argv = ["optscale eval", *with_defaults(args)]
    try:
        cli_evaluate()
    except InputError:
        raise
    except TypeError as error:
        # What lm-eval has a flag for (--batch_size, --device) cannot stand among the model's arguments as well.
        if "multiple values for keyword argument" not in str(error):
            raise
        raise InputError(
            f"--model_args: {str(error).rsplit(' ', 1)[-1]} is a flag of its own: --batch_size, --device"
        ) from error
    except (KeyError, ValueError, AssertionError) as error:
        # What lm-eval raises for a task it does not know, or for more examples than there are.
        reason = " ".join(str(error.args[0] if error.args else error).split())
        raise InputError(f"lm-eval: {reason}") from error
    finally:
        sys.argv = given
    # Of several processes the first one speaks: lm-eval has gathered what the others found, so they are done too.
    if record is not None and os.environ.get("RANK", "0") == "0":
        _say_frontiers([Path(path).parent for path, when in _written(record).items() if before.get(path) != when])
        _say_records(Path(record))


def with_ours(args: Sequence[str]) -> tuple[list[str], str | None]:
    """``args`` with our own flags turned into arguments of our model, and where the record goes.

    Raises:
        InputError: One of them has no value.
    """
    rest, policies = _taken(args, "--policies")
    rest, record = _taken(rest, "--record")
    if _value(rest, "--model", "-M") not in (None, "optscale"):
        if policies is not None or record is not None:
            raise InputError("--policies and --record are for --model optscale")
        return rest, None
    output = _value(rest, "--output_path", "-o")
    if record is None and output is not None:
        record = str(Path(output) / RECORDS)
    ours = {"policies": policies and policies.replace(",", ";"), "record": record}
    added = [f"{name}={value}" for name, value in ours.items() if value]
    return [*rest, *(["--model_args", *added] if added else [])], record


def with_defaults(args: list[str]) -> list[str]:
    """``args`` with our task folder included and our model named."""
    if not args or args[0] in ("ls", "validate", "-h", "--help"):
        return [*args, "--include_path", str(TASKS)] if args and args[0] == "ls" else args or ["--help"]
    added = args if args[0] == "run" else ["run", *args]
    if _value(args, "--model", "-M") is None and _value(args, "--config", "-C") is None:
        added = [*added, "--model", "optscale"]
    if not any(one.startswith("--include_path") for one in args):
        added = [*added, "--include_path", str(TASKS)]
    return added


def _taken(args: Sequence[str], flag: str) -> tuple[list[str], str | None]:
    """``args`` without a flag of ours, and its value; the last one where there are several."""
    rest: list[str] = []
    found, coming = None, iter(args)
    for one in coming:
        if one == flag:
            found = next(coming, None)
            if found is None:
                raise InputError(f"{flag} needs a value")
        elif one.startswith(f"{flag}="):
            found = one.partition("=")[2]
        else:
            rest.append(one)
    return rest, found


def _value(args: Sequence[str], *flags: str) -> str | None:
    """The value that a flag of lm-eval's is given; None where it is not."""
    found = None
    for index, one in enumerate(args):
        name, equals, value = one.partition("=")
        if name in flags:
            found = value if equals else next(iter(args[index + 1 :]), "")
    return found


def _written(record: str | None) -> dict[str, int]:
    """When each record below a folder was last written; runs of other tasks may lie beside this one's."""
    return {} if record is None else {str(one): one.stat().st_mtime_ns for one in Path(record).glob("*/run.json")}


def _say_frontiers(records: Sequence[Path]) -> None:
    """Says of each task how far its policies are from Best-of-k, and writes it into its record."""
    from optscale_predictor.evaluation.report import compare, read_record
    from optscale_predictor.evaluation.report.run_frontier import frontier_figures, frontier_notes, frontier_table
    from optscale_predictor.evaluation.run_record import RunRecord

    tasks: dict[str, list[Path]] = {}
    for folder in sorted(records):
        tasks.setdefault(_PART.sub("", folder.name), []).append(folder)
    for task, parts in tasks.items():
        try:
            comparison = compare([read_record(part) for part in parts])
            RunRecord.open(parts[0]).write_frontier(frontier_figures(comparison))
        except InputError as error:  # the run itself went well: what is said of it may not fail it
            print(f"{task}: no comparison with Best-of-k: {error}")
            continue
        print("\n\n".join((f"\n{task}", frontier_table(comparison).markdown(), "\n".join(frontier_notes(comparison)))))
        print()


def _say_records(folder: Path) -> None:
    """Says what to do with what the run left behind."""
    records = sorted(path.parent for path in folder.glob("*/run.json"))
    if records:
        print(f"record    {'  '.join(map(str, records))}")
        print(f"report    optscale report {' '.join(map(str, records))} --output {folder.parent / 'report'}")
