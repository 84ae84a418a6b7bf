"""What each stage may use of the cluster; plain data for the command line."""

from dataclasses import dataclass, field

from optscale_predictor.errors import InputError


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
