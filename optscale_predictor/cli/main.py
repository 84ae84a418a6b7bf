"""The command ``optscale``: one verb a task, each a typed function whose docstring is its help.

Bad input ends with one line and exit code 2; Ctrl-C, SIGTERM and SIGHUP with exit code 130, all that has come kept.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from optscale_predictor._support.extras import missing_package
from optscale_predictor._support.messages import last_line, messages_shown, take_verbosity
from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor._support.stop_signals import signals_end_run
from optscale_predictor.cli.verbs import POOL_VERBS, VERBS
from optscale_predictor.errors import InputError, mistake_behind, path_mistake, shown_mistake

_LOG = logging.getLogger(__name__)


def main(args: Sequence[str] | None = None) -> None:
    """Runs ``optscale``; ``args`` without the program's name, from the command line by default."""
    verbosity, given = take_verbosity(sys.argv[1:] if args is None else args)
    with messages_shown(verbosity):
        try:
            with signals_end_run():
                _dispatch(with_underscores(given))
        except ValueError as error:
            mistake = mistake_behind(error)  # LightningCLI wraps what a group of options raises
            if mistake is None:
                raise
            _exit_with(mistake)
        except ModuleNotFoundError as error:
            mistake = missing_package(error)
            if mistake is None:
                raise
            _exit_with(mistake)
        except KeyboardInterrupt:
            last_line(f"interrupted{_what_is_left(given)}")
            raise SystemExit(130) from None
        except MemoryError:
            _exit_with(InputError(f"not enough memory{_what_is_left(given)}"))
        except BrokenPipeError:
            # Whoever read our output has gone (`optscale ... | head`); there is nobody to tell.
            sys.stderr.close()
            raise SystemExit(1) from None
        except OSError as error:
            mistake = path_mistake(error)
            if mistake is None:
                raise
            _exit_with(mistake)


def _exit_with(mistake: InputError) -> NoReturn:
    _LOG.debug("what the line below came of:", exc_info=True)
    last_line(f"error: {shown_mistake(mistake)}")
    raise SystemExit(2) from None


def _what_is_left(arguments: Sequence[str]) -> str:
    """What a command that was ended leaves, to end a line with; empty where that is nothing."""
    verb = VERBS.get(_split_verb(arguments)[0])
    return "; what was committed is kept, run the same command to go on" if verb is not None and verb.goes_on else ""


def _split_verb(arguments: Sequence[str]) -> tuple[str, list[str]]:
    words = 2 if arguments[:1] == ["pool"] else 1
    return " ".join(arguments[:words]).replace("_", "-"), list(arguments[words:])


def _dispatch(arguments: list[str]) -> None:
    name, rest = _split_verb(arguments)
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


def with_underscores(arguments: Sequence[str]) -> list[str]:
    """Arguments whose flags are spelled as ours are: ``--max-samples`` is ``--max_samples``.

    Args:
        arguments: As a shell hands them over; values, and what follows a lone ``--``, stay as they are.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [*(_with_underscores(one) for one in arguments[:end]), *arguments[end:]]


def _with_underscores(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    return f"--{flag[2:].replace('-', '_')}{equals}{value}"


def _help_or_mistake(arguments: Sequence[str]) -> None:
    """Prints the verbs where no verb is named, and the version where that is asked for.

    Raises:
        InputError: A verb is named that there is not.
    """
    below_pool = arguments[:1] == ["pool"]
    verbs = POOL_VERBS if below_pool else VERBS
    program = "optscale pool" if below_pool else "optscale"
    asked = arguments[1:] if below_pool else arguments
    if asked and asked[0] in ("-V", "--version") and not below_pool:
        from optscale_predictor._support.version import __version__

        print(f"optscale {__version__}")
        return
    if not asked or asked[0] in ("-h", "--help"):
        about = (
            "What a pool holds, whether it is sound, and how it travels."
            if below_pool
            else "Adaptive Best-of-N for language models: one verb a task."
        )
        parser = argparse.ArgumentParser(prog=program, description=about, usage=f"{program} VERB [FLAGS]")
        if not below_pool:
            parser.add_argument("-V", "--version", action="store_true", help="show the version and exit")
        parser.add_argument("-v", "--verbose", action="store_true", help="what libraries log, warnings, times")
        parser.add_argument("-q", "--quiet", action="store_true", help="results, warnings and errors alone")
        listed = parser.add_subparsers(title="verbs", metavar="VERB", help=f"more on each: {program} VERB --help")
        for name, verb in verbs.items():
            listed.add_parser(name, help=verb.summary.replace("%", "%%"))
        parser.print_help()
        return
    if asked[0].startswith("-"):
        raise InputError(f"{asked[0]}: a verb comes first, then its flags; {program} --help lists the verbs")
    near = did_you_mean(asked[0], verbs)
    raise InputError(f"unknown verb {asked[0]!r}{near}; verbs are {', '.join(verbs)}; more: {program} --help")
