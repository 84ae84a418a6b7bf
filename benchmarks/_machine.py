"""The machine that a benchmark runs on: what it is, and how much of it others use meanwhile."""

import os
import platform
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

_PACKAGES = ("numpy", "scipy", "torch", "transformers", "pytorch-lightning", "pyarrow", "aiohttp", "math-verify")


class Busy(NamedTuple):
    """Processor seconds so far.

    Attributes:
        clock: Seconds that passed, over all processors together.
        all: Seconds of work of every process, those of other users among them.
        own: Seconds of work of this process and of its children that have ended.
    """

    clock: float
    all: float
    own: float


def busy() -> Busy:
    """What the machine has done since it started, as Linux counts it."""
    ticks = [int(one) for one in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]  # waiting for a disk is no work of a processor
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    tick = os.sysconf("SC_CLK_TCK")
    return Busy(sum(ticks) / tick, (sum(ticks) - idle) / tick, sum(one.ru_utime + one.ru_stime for one in used))


def share_of_others(before: Busy, after: Busy) -> float:
    """Share of all processor time that went to other programs, in [0, 1].

    Args:
        before: When the benchmark began.
        after: When it and everything that it started had ended.
    """
    clock = after.clock - before.clock
    others = (after.all - before.all) - (after.own - before.own)
    return min(max(others / clock, 0.0), 1.0) if clock > 0 else 0.0


def descendants(process: int) -> list[int]:
    """The processes below one, as Linux lists them."""
    found: list[int] = []
    for listing in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, listing.read_text(encoding="ascii").split()):
            found += [child, *descendants(child)]
    return found


def load_average() -> float:
    """Processes that were ready to run, on average over the last minute."""
    return os.getloadavg()[0]


def describe() -> dict[str, str]:
    """Processor, cores, memory, system and versions, by what they are."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    described = {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }
    return {**described, "packages": ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name)))}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
