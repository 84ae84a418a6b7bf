"""lm-eval's own tasks: what the installed lm-eval says of one, and its verdict on a text.

Our tasks that are lm-eval's too take their prompt, examples, stop strings and settings from here, so that they ask what
lm-eval asks, whichever version is installed. And lm-eval judges the answers itself, with its filters and metrics.
"""

from collections.abc import Mapping
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import lm_eval.tasks
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

from optscale_predictor.errors import InputError

#: The folder of the installed lm-eval that its tasks lie in.
OWN_TASKS = Path(lm_eval.tasks.__file__).parent
# What of an index entry says where a task belongs, and not what it is made of.
_INDEX_ONLY = ("tag", "group", "task")


def own_settings(path: str) -> dict[str, Any]:
    """The settings of one of lm-eval's own tasks, by the names that its YAML files use; functions are functions.

    Args:
        path: Its folder and name, ``gsm8k/gsm8k``.

    Raises:
        InputError: The installed lm-eval has no such task.
    """
    folder, _, task = path.partition("/")
    entry = TaskManager(include_defaults=False, include_path=str(OWN_TASKS / folder)).task_index.get(task)
    if entry is None or entry.cfg is None:
        raise InputError(f"the installed lm-eval ({lm_eval.__version__}) has no task {task!r} in its folder {folder!r}")
    kept = {name: value for name, value in deepcopy(entry.cfg).items() if name not in _INDEX_ONLY}
    return {name: _function(value) if _is_function(value) else value for name, value in kept.items()}


class OwnVerdict:
    """One of lm-eval's own tasks as a judge of texts.

    Args:
        settings: As :func:`own_settings` gives them.
        documents: The test documents, laid out as lm-eval's task expects.
    """

    def __init__(self, settings: Mapping[str, Any], documents: Any) -> None:
        self._task = _Judge({**settings, **_ONLY_TEST}, documents)

    def __call__(self, document: Mapping[str, Any], text: str) -> dict[str, dict[str, float]]:
        """The metrics of lm-eval's task on one text, by the name of its filter and their own.

        Args:
            document: The question's document.
            text: The reply that is judged.
        """
        instance = Instance("generate_until", dict(document), ("", {}), 0, resps=[text])
        # lm-eval applies filters to the instances of a whole run; a run of one text is the only way to one verdict.
        self._task._instances = [instance]
        self._task.apply_filters()
        return {
            name: {metric: float(value) for metric, value in self._task.process_results(document, [filtered]).items()}
            for name, filtered in instance.filtered_resps.items()
        }


_ONLY_TEST = {
    "task": "own",
    "test_split": "test",
    "training_split": None,
    "validation_split": None,
    "fewshot_split": None,
    "num_fewshot": 0,
    "custom_dataset": None,
}


class _Judge(ConfigurableTask):
    """A task of lm-eval's over documents at hand."""

    def __init__(self, config: dict[str, Any], documents: Any) -> None:
        self.dataset = {"test": documents}
        super().__init__(config=config)

    def download(self, *_: Any, **__: Any) -> None:
        """Nothing: the documents are at hand."""


def _is_function(value: object) -> bool:
    """Whether an index entry's value stands for a function: the file's folder, then ``MODULE.FUNCTION``."""
    return isinstance(value, str) and value.startswith(f"{OWN_TASKS}/")


def _function(value: str) -> Any:
    path = Path(value)
    module, _, name = path.name.rpartition(".")
    folder = ".".join(path.parent.relative_to(OWN_TASKS).parts)
    return getattr(import_module(f"lm_eval.tasks.{folder}.{module}"), name)
