"""A Ray Data pipeline of our stages, run from the driver.

What Ray does when an actor dies (its machine lost, its process killed, its engine dead): it starts the actor again, up
to ``restarts`` times, and runs the batch that was in it again. Batches that came through before are not touched. What
a batch had handed on before its actor died can then come twice, or, because samples are drawn anew and finish in
another order, not come at all: whoever reads the results drops the first and asks again for the second.
"""

import logging
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import pyarrow as pa

from optscale_predictor._support.stop_signals import signals_deferred
from optscale_predictor.errors import EngineError, InputError
from optscale_predictor.pools.preparation.ray.cluster import RayOptions, StageResources

_BLOCK_BYTES = 2**20  # what a stage hands on at once: a long batch is written to the pool while it runs
_ROUNDS = 3  # how often rows that did not come are asked for again


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        actor: Its class; called with a table, gives one or several.
        engine: What its constructor takes.
        resources: Its actors.
        rows: Rows that one call gets, >= 1.
    """

    actor: type
    engine: Any
    resources: StageResources
    rows: int


def run_stages(
    rows: Sequence[Mapping[str, Any]], schema: pa.Schema, stages: Sequence[Stage], options: RayOptions
) -> Iterator[dict[str, Any]]:
    """Every row, once, as the last stage hands it on, in whatever order; leaving the iterator stops the actors.

    Args:
        rows: Each known by its ``question_id`` and ``first_index``, which the stages keep.
        schema: Of these rows.
        stages: The first of them gets the rows.
        options: How often actors may be restarted.

    Raises:
        InputError: What a stage said in a row's ``error``.
        EngineError: Actors died too often, or some rows never came back.
    """
    left = {_key(row): row for row in rows}
    for _ in range(_ROUNDS):
        if not left:
            return
        with closing(_run(list(left.values()), schema, stages, options)) as tables:
            for table in tables:
                with signals_deferred():  # what came together is handed over whole
                    yield from _new_rows(table, left)
    if left:
        name = next(iter(left))[0]
        raise EngineError(f"ray: {len(left)} requests never came back, the first of question {name!r}")


def _new_rows(table: pa.Table, left: dict[tuple[str, int], Any]) -> Iterator[dict[str, Any]]:
    """The rows that are among those ``left``, which they leave; a batch that was run again brings others once more."""
    for row in table.to_pylist():
        if row["error"] is not None:
            raise InputError(row["error"])
        if left.pop(_key(row), None) is not None:
            yield row


def _key(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["question_id"], row["first_index"]


def _run(
    rows: Sequence[Mapping[str, Any]], schema: pa.Schema, stages: Sequence[Stage], options: RayOptions
) -> Generator[pa.Table, None, None]:
    """One run of the pipeline."""
    import ray.data

    for handler in logging.getLogger("ray.data").handlers:
        if handler.name == "console":  # what fails is raised; Ray's files have the rest
            handler.setLevel(logging.CRITICAL + 1)
    size = stages[0].rows
    with _context(ray.data.DataContext.get_current()):
        parts = [pa.Table.from_pylist(rows[start : start + size], schema) for start in range(0, len(rows), size)]
        dataset = ray.data.from_arrow(parts)
        for stage in stages:
            dataset = _with_stage(dataset, stage, options.restarts)
    tables: Any = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
    try:
        with closing(tables):
            yield from tables
    except ray.exceptions.RayError as error:
        raise _readable(error, options) from error


@contextmanager
def _context(context: Any) -> Iterator[None]:
    """Settings of Ray Data that a dataset made here takes along; the caller's own are put back."""
    ours = {"enable_progress_bars": False, "print_on_execution_start": False, "target_max_block_size": _BLOCK_BYTES}
    before = {name: getattr(context, name) for name in ours if hasattr(context, name)}
    try:
        for name in before:
            setattr(context, name, ours[name])
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)


def _with_stage(dataset: Any, stage: Stage, restarts: int) -> Any:
    import ray

    resources = stage.resources
    most = resources.most_actors or resources.actors
    pool = ray.data.ActorPoolStrategy(min_size=resources.actors, max_size=most)
    limits: dict[str, Any] = {"max_restarts": restarts, "max_task_retries": restarts}
    taken = signature(dataset.map_batches).parameters.values()
    if not any(parameter.kind is Parameter.VAR_KEYWORD for parameter in taken):
        limits = {}  # Ray Data will take no limits, and restart without end
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says so beforehand
        return dataset.map_batches(
            stage.actor,
            fn_constructor_args=(stage.engine,),
            batch_size=stage.rows,
            batch_format="pyarrow",
            compute=pool,
            num_cpus=resources.cpus,
            num_gpus=resources.gpus or None,
            **limits,
        )


def _readable(error: BaseException, options: RayOptions) -> EngineError:
    """One line for what Ray reports."""
    import ray

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ray.exceptions.ActorDiedError):
            return EngineError(
                f"ray: an actor died more than {options.restarts} times in a row; its log in Ray says why"
            )
        seen = seen.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return EngineError(f"ray: {lines[-1] if lines else type(error).__name__}")
