"""Work in a fork of the test's process: it may be killed, and what takes seconds to import is there already."""

import multiprocessing
import warnings
from collections.abc import Callable


def fork_of(work: Callable[..., object], *arguments: object) -> multiprocessing.process.BaseProcess:
    """A fork that has begun with the work."""
    fork = multiprocessing.get_context("fork").Process(target=work, args=arguments, daemon=True)
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork where there are threads: here they hold no lock that the work takes.
        warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
        fork.start()
    return fork


def exit_code_of_fork(work: Callable[..., object], *arguments: object) -> int:
    """The exit code of a fork that does the work; the negative number of the signal where one ended it."""
    fork = fork_of(work, *arguments)
    fork.join()
    assert fork.exitcode is not None
    return fork.exitcode
