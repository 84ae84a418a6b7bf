"""The command ``optscale``: one verb a task, each a typed function whose docstring is its help.

Bad input ends with one line and exit code 2; Ctrl-C with exit code 130, everything committed so far kept.
"""

import sys
from collections.abc import Callable, Sequence

from optscale_predictor.commands import COMMANDS
from optscale_predictor.errors import InputError

#: Verbs whose flags belong to another program (lm-eval, LightningCLI): handed over as they are.
PASSED_ON = ("eval", "train")


def main(args: Sequence[str] | None = None) -> None:
    """Runs ``optscale``; ``args`` without the program's name, from the command line by default."""
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        _dispatch(arguments)
    except InputError as error:
        print(f"optscale: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("optscale: interrupted; what was committed is kept, run the same command to go on", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # Whoever read our output has gone (`optscale ... | head`); there is nobody to tell.
        sys.stderr.close()
        raise SystemExit(1) from None


def _dispatch(arguments: list[str]) -> None:
    if arguments and arguments[0] in PASSED_ON:
        _passed_on(arguments[0])(arguments[1:])
        return
    from jsonargparse import auto_cli

    auto_cli(COMMANDS, args=arguments, prog="optscale", description=__doc__.splitlines()[0], as_positional=True)


def _passed_on(verb: str) -> Callable[[list[str]], None]:
    if verb == "eval":
        from optscale_predictor.harness.run import evaluate

        return evaluate
    from optscale_predictor.predictor.training import main as train

    return train
