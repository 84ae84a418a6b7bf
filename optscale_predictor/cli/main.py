"""The command ``optscale``: one verb a task, each a typed function whose docstring is its help.

Bad input ends with one line and exit code 2; Ctrl-C, SIGTERM and SIGHUP with exit code 130, all that has come kept.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress

from optscale_predictor._support.stop_signals import signals_end_run
from optscale_predictor.cli.verbs import POOL_VERBS, VERBS
from optscale_predictor.errors import InputError, mistake_behind


def main(args: Sequence[str] | None = None) -> None:
    """Runs ``optscale``; ``args`` without the program's name, from the command line by default."""
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        with signals_end_run():
            _dispatch(arguments)
    except ValueError as error:
        mistake = mistake_behind(error)  # LightningCLI wraps what a group of options raises
        if mistake is None:
            raise
        print(f"optscale: error: {mistake}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may have gone
            print("optscale: interrupted; what was committed is kept, run the same command to go on", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # Whoever read our output has gone (`optscale ... | head`); there is nobody to tell.
        sys.stderr.close()
        raise SystemExit(1) from None


def _dispatch(arguments: list[str]) -> None:
    words = 2 if arguments[:1] == ["pool"] else 1
    name, rest = " ".join(arguments[:words]), arguments[words:]
    verb = VERBS.get(name)
    if verb is None:
        _help_or_mistake(arguments)
        return
    function = verb.load()
    if verb.passed_on:
        function(rest)
        return
    # The parser takes a second to import: not for the help of all verbs, nor for verbs that bring their own.
    from optscale_predictor.cli.verb_flags import gather_list, verb_arguments

    given = rest if verb.lists is None else gather_list(rest, verb.lists)
    function(**verb_arguments(function, f"optscale {name}", given))


def _help_or_mistake(arguments: Sequence[str]) -> None:
    """Prints the verbs where help is asked for.

    Raises:
        InputError: No verb is named, or one that there is not.
    """
    below_pool = arguments[:1] == ["pool"]
    verbs = POOL_VERBS if below_pool else VERBS
    program = "optscale pool" if below_pool else "optscale"
    asked = arguments[1:] if below_pool else arguments
    if asked and asked[0] in ("-h", "--help"):
        about = (
            "What a pool holds, whether it is sound, and how it travels."
            if below_pool
            else "Adaptive Best-of-N for language models: one verb a task."
        )
        parser = argparse.ArgumentParser(prog=program, description=about, usage=f"{program} VERB [FLAGS]")
        listed = parser.add_subparsers(title="verbs", metavar="VERB", help=f"more on each: {program} VERB --help")
        for name, verb in verbs.items():
            listed.add_parser(name, help=verb.summary.replace("%", "%%"))
        parser.print_help()
        return
    wrong = f"unknown verb {asked[0]!r}" if asked else "name a verb"
    raise InputError(f"{wrong}; verbs are {', '.join(verbs)}; more: {program} --help")
