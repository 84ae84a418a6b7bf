"""A connection to Ray: the cluster that is there, or one of this machine alone, stopped when its work is done."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from optscale_predictor.errors import InputError, MissingExtraError
from optscale_predictor.over_ray.options import StageResources

_STORE_BYTES = 2**30  # of a cluster of our own: samples are small, and few are under way at once


@contextmanager
def ray_session(stages: Sequence[StageResources]) -> Iterator[Any]:
    """Ray, connected.

    As it is where the caller connected it; else to the cluster that ``RAY_ADDRESS`` names (``local``: a new one),
    else to one that runs on this machine, else to one that is started here and stopped at the end.

    Args:
        stages: What will be asked of it.

    Raises:
        InputError: Ray is not installed or cannot be reached, or a cluster of this machine alone is too small.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    if ray.is_initialized():
        yield ray
        return
    started_here = _connect(ray)
    try:
        _require_room(ray, stages, started_here)
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any) -> bool:
    """Connects; whether to a cluster that was started for it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    quiet = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    named = os.environ.get("RAY_ADDRESS")
    if named != "local":
        try:
            with _without_stderr():
                ray.init(address=named or "auto", **quiet)
            return False
        except (ConnectionError, ValueError, RuntimeError) as error:
            if named:
                raise InputError(f"RAY_ADDRESS {named!r}: cannot connect: {error}") from error
    with _without_stderr():
        ray.init(address="local", include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
    return True


@contextmanager
def _without_stderr() -> Iterator[None]:
    """While Ray starts: its C++ side writes past Python's logging, and what goes wrong is raised."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _require_room(ray: Any, stages: Sequence[StageResources], started_here: bool) -> None:
    """Says what is missing for the least actors: else Ray would wait for it without a word."""
    there = ray.cluster_resources()
    for kind, unit, needed in (
        ("CPU", "CPU cores", sum(stage.actors * stage.cpus for stage in stages)),
        ("GPU", "GPUs", sum(stage.actors * stage.gpus for stage in stages)),
    ):
        if needed > there.get(kind, 0):
            lack = f"the stages need {needed:g} {unit}, the cluster has {there.get(kind, 0):g}"
            if started_here:
                raise InputError(f"{lack}; ask for fewer actors, or fewer {unit} each")
            print(f"ray: {lack}; waiting for it to grow", file=sys.stderr)
