"""Prepares a predictor's training data: sample, score, targets, as one YAML file says.

    python data_prep/prepare.py data_prep/gsm8k.yaml small
    python data_prep/prepare.py data_prep/gsm8k.yaml large --check

A file holds steps, or variants that hold steps (``small``, ``large``). A step is named after its verb of ``optscale``
and holds that verb's flags, or a list of them where it is to run several times (two verifiers, say). Everything is
checked before anything runs; ``--check`` stops there. ``-v`` says more on the way, ``--quiet`` less. A rerun continues
where the last one stopped.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from optscale_predictor._support.messages import messages_shown, take_verbosity
from optscale_predictor._support.stop_signals import signals_end_run
from optscale_predictor._support.yaml_reader import read_yaml
from optscale_predictor.cli.verb_flags import verb_arguments
from optscale_predictor.cli.verbs import VERBS
from optscale_predictor.errors import InputError, path_mistake, shown_mistake

STEPS = ("generate", "score", "targets")


def prepare(path: str, variant: str | None, check: bool = False) -> None:
    """Runs the steps of a file in their order.

    Args:
        path: The file.
        variant: Which of its variants; None where it holds steps.
        check: Whether to run nothing.

    Raises:
        InputError: The file is not what this script describes.
    """
    runs = list(_runs(path, variant))
    for number, (location, verb, flags) in enumerate(runs, start=1):
        step = location.rpartition(": ")[2]
        print(f"prepare: step {number} of {len(runs)}: {step} {flags['pool']}", flush=True)
        if not check:
            verb(**flags)


def _runs(path: str, variant: str | None) -> Iterator[tuple[str, Callable[..., None], dict[str, Any]]]:
    """Every run of a verb that the file asks for, its flags checked, and its location in the file."""
    content = _mapping(_read(path), path)
    location = path
    if not content.keys() & set(STEPS):
        if variant is None or variant not in content:
            named = f"no variant {variant!r}" if variant else "name a variant"
            raise InputError(f"{path}: {named}; it has {', '.join(map(str, content))} (steps are {', '.join(STEPS)})")
        location = f"{path}: {variant}"
        content = _mapping(content[variant], location)
    elif variant is not None:
        raise InputError(f"{path}: it has steps and no variants, so no {variant!r}")
    if unknown := [str(key) for key in content if key not in STEPS]:
        raise InputError(f"{location}: no such step: {', '.join(unknown)}; steps are {', '.join(STEPS)}")
    for step in STEPS:
        given = content.get(step, [])
        for flags in given if isinstance(given, list) else [given]:
            yield f"{location}: {step}", VERBS[step].load(), _checked(step, flags, f"{location}: {step}")


def _checked(step: str, flags: Any, location: str) -> dict[str, Any]:
    """A verb's arguments, each of its type."""
    try:
        return verb_arguments(VERBS[step].load(), f"optscale {step}", _mapping(flags, location))
    except InputError as error:
        raise InputError(f"{location}: {str(error).removeprefix(f'{location}: ')}") from error


def _read(path: str) -> Any:
    return read_yaml(Path(path))


def _mapping(content: Any, location: str) -> dict[str, Any]:
    if not isinstance(content, dict) or not content:
        raise InputError(f"{location}: expected names with values, got {content!r:.60}")
    return content


def main(arguments: list[str]) -> int:
    """The script; its exit code is 2 for bad input, 130 for Ctrl-C, SIGTERM and SIGHUP."""
    verbosity, arguments = take_verbosity(arguments)
    names = [one for one in arguments if one != "--check"]
    try:
        if not 1 <= len(names) <= 2 or any(name.startswith("-") for name in names):
            raise InputError("usage: python data_prep/prepare.py FILE.yaml [VARIANT] [--check]")
        with messages_shown(verbosity), signals_end_run():
            prepare(names[0], names[1] if len(names) == 2 else None, check="--check" in arguments)
    except (InputError, OSError) as error:
        mistake = error if isinstance(error, InputError) else path_mistake(error)
        if mistake is None:
            raise
        print(f"prepare: error: {shown_mistake(mistake)}", file=sys.stderr)
        return 2
    except MemoryError:
        print("prepare: error: not enough memory; what was committed is kept, run the same again", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("prepare: interrupted; what was committed is kept, run the same command to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
