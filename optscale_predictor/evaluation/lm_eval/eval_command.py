"""``optscale eval``: lm-eval's own command line, with our model and tasks added and every flag handed on.

Two flags are ours. ``--policies "A B C"`` compares policies in one run: they share each question's samples, so the
whole costs what the greediest of them does. ``--record FOLDER`` says where the run's record goes, of which
``optscale report`` makes a page; by default it goes below ``--output_path``, where there is one.

A run that leaves a record ends with a table of its own: how far each policy is from Best-of-k at equal tokens.
"""

import io
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path

from optscale_predictor._support.extras import require_extras
from optscale_predictor._support.hub_connection import hub_or_cache
from optscale_predictor._support.messages import say_loading
from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.eval_checks import check, own_tasks, require_device
from optscale_predictor.evaluation.lm_eval.eval_flags import read_flags
from optscale_predictor.evaluation.lm_eval.harness_process import Harness, harness

_PART = re.compile(r"-rank\d+$")  # of the record of one process among several


def evaluate(args: list[str], their_table: bool = True) -> None:
    """Runs lm-eval with ``args``; ``--model optscale`` where they name no model.

    Args:
        args: lm-eval's flags, and ``--policies`` and ``--record``.
        their_table: Whether to print lm-eval's table of metrics, which has the width of the longest policy.

    Raises:
        InputError: Bad arguments of ours or of lm-eval's; or its results could not be written.
        MissingExtraError: lm-eval is not installed.
    """
    require_extras("lm_eval")
    flags = read_flags(args or ["--help"])
    if flags.command == "run":
        check(flags)
    say_loading("PyTorch and lm-eval", "torch", "transformers")
    if flags.command == "run":
        require_device(flags)
    import optscale_predictor.evaluation.lm_eval.optscale_lm  # noqa: F401 - registers the model

    before, results = _written(flags.record), _results(flags.output)
    own = flags.command == "run" and set(flags.tasks) <= set(own_tasks())
    theirs = flags.command == "run" and not (own and flags.ours)
    shown = nullcontext() if their_table else redirect_stdout(io.StringIO())
    with harness(own_tasks_alone=own) as running, _in_one_line(running, theirs), _warnings_kept() as warnings, shown:
        flags.parsed.func(flags.parsed)
    # Of several processes the first one speaks: lm-eval has gathered what the others found, so they are done too.
    if os.environ.get("RANK", "0") != "0":
        return
    if flags.record is not None:
        _say_frontiers([Path(path).parent for path, when in _written(flags.record).items() if before.get(path) != when])
        _say_records(flags.record)
    if flags.output is not None and not _results(flags.output) - results:
        reason = "".join(f": {one}" for one in warnings[-1:])
        raise InputError(f"{flags.output}: lm-eval could not write its results{reason}")


@contextmanager
def _warnings_kept() -> Iterator[list[str]]:
    """What lm-eval warns of meanwhile: shown with -v alone, and needed where its results are missing."""
    kept: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    keeper, logger = Keeper(logging.WARNING), logging.getLogger("lm_eval")
    logger.addHandler(keeper)
    try:
        yield kept
    finally:
        logger.removeHandler(keeper)


@contextmanager
def _in_one_line(running: Harness, asks_hub: bool) -> Iterator[None]:
    """Makes one line of what lm-eval raises for arguments that it cannot use, and where it does not reach the hub."""
    reached = True
    try:
        with hub_or_cache(asks_hub) as reached:
            yield
    except InputError:
        raise
    except OSError as error:  # of datasets and transformers alike, where they find no file and no hub
        if reached:
            raise
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            "lm-eval: the hub cannot be reached, and its cache does not hold all that --model_args and --tasks name, "
            f"which `hf download` brings where it can be: {reason}"
        ) from error
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
        unknown = re.match("Tasks not found: ([^,]+)", reason)
        near = did_you_mean(unknown[1], running.known) if unknown else ""
        raise InputError(f"lm-eval: {reason}{near}") from error


def _results(output: Path | None) -> set[Path]:
    """The files of results that lie where lm-eval writes them."""
    if output is None:
        return set()
    return set(
        output.parent.glob(f"{output.stem}_*.json") if output.suffix == ".json" else output.glob("*/results_*.json")
    )


def _written(record: str | Path | None) -> dict[str, int]:
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
