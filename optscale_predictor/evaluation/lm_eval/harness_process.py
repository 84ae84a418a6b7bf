"""lm-eval as ``optscale eval`` runs it: with no more of its index of tasks than is asked for, and quiet about git.

lm-eval reads its thousands of task files whichever task is asked for (14 s of processor time), and asks git for a
commit whether or not there is a repository, whose complaint goes to the terminal. Neither has a setting; what they
come from is replaced while a command runs, and put back.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Harness:
    """lm-eval's command while it runs.

    Attributes:
        known: Names of the tasks that were looked for; empty until then.
    """

    def __init__(self) -> None:
        self.known: list[str] = []


@contextmanager
def harness(own_tasks_alone: bool) -> Iterator[Harness]:
    """lm-eval, to run a command in.

    Args:
        own_tasks_alone: Whether no task of lm-eval's own is asked for by its name.
    """
    import lm_eval.evaluator
    import lm_eval.tasks

    running, theirs = Harness(), lm_eval.tasks.TaskManager

    def manager(*args: Any, **given: Any) -> Any:
        made = theirs(*args, **{"include_defaults": not own_tasks_alone, **given})
        running.known = list(made.all_tasks)
        return made

    replaced = [(lm_eval.tasks, "TaskManager", manager), (lm_eval.evaluator, "get_git_commit_hash", _commit)]
    kept = [(place, name, getattr(place, name)) for place, name, _ in replaced]
    try:
        for place, name, ours in replaced:
            setattr(place, name, ours)
        yield running
    finally:
        for place, name, before in kept:
            setattr(place, name, before)


def _commit() -> str | None:
    """The commit of the repository that the command runs in; None where it is in none."""
    try:
        said = subprocess.run(["git", "describe", "--always"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.strip()
