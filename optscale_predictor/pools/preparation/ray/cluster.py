"""The Ray cluster: what each stage may use of it, as options for the command line, and the connection to it.

A session joins the cluster that is there. Where there is none it starts one on this machine and stops it at the end.
"""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from optscale_predictor._support.stop_signals import take_signals_back
from optscale_predictor.errors import InputError, MissingExtraError


@dataclass(frozen=True)
class StageResources:
    """Actors of one stage, each with an engine of its own.

    Attributes:
        actors: Actors that the stage starts with and keeps, >= 1.
        most_actors: Actors that it may grow to while work waits and the cluster has room; as many as actors by default.
        cpus: CPU cores of each, >= 0.
        gpus: GPUs of each, >= 0; a share of one is allowed, and vLLM needs its tensor_parallel_size.
        batch_samples: Samples handed to an actor at once, >= 1: its engine runs dry at the end of each batch.
    """

    actors: int = 1
    most_actors: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    batch_samples: int = 2048

    def __post_init__(self) -> None:
        """Checks every range."""
        if self.actors < 1:
            raise InputError(f"actors must be >= 1, got {self.actors}")
        if self.most_actors is not None and self.most_actors < self.actors:
            raise InputError(f"most_actors must be >= actors ({self.actors}), got {self.most_actors}")
        if not (self.cpus >= 0 and self.gpus >= 0):
            raise InputError(f"cpus and gpus must be >= 0, got {self.cpus} and {self.gpus}")
        if self.batch_samples < 1:
            raise InputError(f"batch_samples must be >= 1, got {self.batch_samples}")


@dataclass(frozen=True)
class RayOptions:
    """Stages on a Ray cluster.

    Attributes:
        generation: Of the stage that draws samples.
        scoring: Of the stage that scores them.
        restarts: How often Ray may restart an actor that died, and run its batch again, >= 0.
    """

    generation: StageResources = field(default_factory=StageResources)
    scoring: StageResources = field(default_factory=StageResources)
    restarts: int = 3

    def __post_init__(self) -> None:
        """Checks the range."""
        if self.restarts < 0:
            raise InputError(f"restarts must be >= 0, got {self.restarts}")


_LOG = logging.getLogger(__name__)
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
    take_signals_back()  # Ray ends the process at SIGTERM
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
            _LOG.warning(f"ray: {lack}; waiting for it to grow")
