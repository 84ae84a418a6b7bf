"""Several processes that share an evaluation, as ``torchrun`` or ``accelerate launch`` start them.

lm-eval deals the documents out and gathers the metrics; a model lends it the means. Each process has its own engine, or
asks the same server.
"""

import os
import re
from dataclasses import dataclass
from typing import Any

from optscale_predictor.errors import InputError


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run.

    Attributes:
        rank: Its number, from 0.
        size: How many there are, >= 1.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> "Ranks":
        """What the environment says (``RANK``, ``WORLD_SIZE``); joins the others where there are some.

        Raises:
            InputError: The environment's numbers make no sense.
        """
        rank, size = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        whole = all(re.fullmatch("[0-9]{1,9}", number) for number in (rank, size))
        if not (whole and 0 <= int(rank) < max(int(size), 1)):
            raise InputError(f"RANK={rank!r} and WORLD_SIZE={size!r} name no process of a run")
        if int(size) <= 1:
            return cls()
        import torch
        import torch.distributed as dist

        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", rank)) % torch.cuda.device_count())
        if not dist.is_initialized():
            dist.init_process_group("gloo")  # numbers and texts on the CPU are all that goes over it
        return cls(int(rank), int(size))

    def all_gather(self, tensor: Any) -> Any:
        """Every process's tensor, [size, ...] flattened."""
        if self.size == 1:
            return tensor
        import torch
        import torch.distributed as dist

        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor)
        return torch.cat([part.reshape(-1) for part in parts])

    def gather_object(self, thing: object, dst: int) -> list[Any] | None:
        """Every process's object, at process ``dst``; None at the others.

        Args:
            thing: This process's; it can be pickled.
            dst: The rank that gets them.
        """
        if self.size == 1:
            return [thing]
        import torch.distributed as dist

        gathered: list[Any] | None = [None] * self.size if self.rank == dst else None
        dist.gather_object(thing, gathered, dst=dst)
        return gathered

    def barrier(self) -> None:
        """Waits for all."""
        if self.size > 1:
            import torch.distributed as dist

            dist.barrier()
