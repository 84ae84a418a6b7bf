"""The command ``optscale``: one verb a task, each a typed function whose docstring is its help.

Bad input ends with one line and exit code 2; Ctrl-C with exit code 130, everything committed so far kept.
"""

import json
import sys
from collections.abc import Callable, Sequence

from optscale_predictor.cli.verbs import COMMANDS
from optscale_predictor.errors import InputError

#: Verbs whose flags belong to another program (lm-eval, LightningCLI): handed over as they are.
PASSED_ON = ("eval", "train")

#: Verbs whose positional arguments end in a list of any length, and how many stand before it.
LISTS = {"report": 0, "pool merge": 0, "pool import": 1}


def main(args: Sequence[str] | None = None) -> None:
    """Runs ``optscale``; ``args`` without the program's name, from the command line by default."""
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        _dispatch(arguments)
    except ValueError as error:
        mistake = _mistake_behind(error)
        if mistake is None:
            raise
        print(f"optscale: error: {mistake}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("optscale: interrupted; what was committed is kept, run the same command to go on", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # Whoever read our output has gone (`optscale ... | head`); there is nobody to tell.
        sys.stderr.close()
        raise SystemExit(1) from None


def _mistake_behind(error: BaseException | None) -> InputError | None:
    """The bad input that an error is, or that caused it: jsonargparse wraps what a group of options raises."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return error


def _dispatch(arguments: list[str]) -> None:
    if arguments and arguments[0] in PASSED_ON:
        _passed_on(arguments[0])(arguments[1:])
        return
    from jsonargparse import auto_cli

    arguments = _gathered(arguments)
    auto_cli(COMMANDS, args=arguments, prog="optscale", description=__doc__.splitlines()[0], as_positional=True)


def _gathered(arguments: list[str]) -> list[str]:
    """The arguments with a verb's list written as one JSON list, which is how jsonargparse takes positional lists."""
    words = next((words for words in (1, 2) if " ".join(arguments[:words]) in LISTS), None)
    if words is None:
        return arguments
    verb, rest = " ".join(arguments[:words]), iter(arguments[words:])
    flags, positional = [], []
    for argument in rest:
        if not argument.startswith("-") or argument == "-":
            positional.append(argument)
        elif "=" in argument or argument in ("-h", "--help"):
            flags.append(argument)
        else:
            flags += [argument, *([value] if (value := next(rest, None)) is not None else [])]
    first = LISTS[verb]
    listed = [json.dumps(positional[first:])] if len(positional) > first else []
    return [*arguments[:words], *flags, *positional[:first], *listed]


def _passed_on(verb: str) -> Callable[[list[str]], None]:
    if verb == "eval":
        from optscale_predictor.evaluation.lm_eval.eval_command import evaluate

        return evaluate
    from optscale_predictor.predictor.training.train_command import main as train

    return train
