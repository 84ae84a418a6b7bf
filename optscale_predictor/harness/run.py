"""``optscale eval``: lm-eval's own command line, with our model and tasks added and every flag handed on."""

import sys
from pathlib import Path

from optscale_predictor.errors import InputError, MissingExtraError

TASKS = Path(__file__).parent / "tasks"


def evaluate(args: list[str]) -> None:
    """Runs lm-eval with ``args``; ``--model optscale`` where they name no model.

    Raises:
        InputError: Bad arguments of ours.
        MissingExtraError: lm-eval is not installed.
    """
    try:
        from lm_eval.__main__ import cli_evaluate
    except ImportError:
        raise MissingExtraError("lm-eval", "eval") from None
    import optscale_predictor.harness.model  # noqa: F401 - registers the model

    given = sys.argv
    sys.argv = ["optscale eval", *with_defaults(args)]
    try:
        cli_evaluate()
    except InputError:
        raise
    except (KeyError, ValueError, AssertionError) as error:
        # What lm-eval raises for a task it does not know, or for more examples than there are.
        said = " ".join(str(error.args[0] if error.args else error).split())
        raise InputError(f"lm-eval: {said}") from error
    finally:
        sys.argv = given


def with_defaults(args: list[str]) -> list[str]:
    """``args`` with our task folder included and our model named."""
    if not args or args[0] in ("ls", "validate", "-h", "--help"):
        return [*args, "--include_path", str(TASKS)] if args and args[0] == "ls" else args or ["--help"]
    added = args if args[0] == "run" else ["run", *args]
    if not any(one in ("--model", "-M") or one.startswith("--model=") for one in args):
        added = [*added, "--model", "optscale"]
    if not any(one.startswith("--include_path") for one in args):
        added = [*added, "--include_path", str(TASKS)]
    return added
