"""A verb's flags: its parameters, with a generator's or verifier's options among them spelled out one by one."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import signature
from typing import Any

from jsonargparse import DefaultHelpFormatter

from optscale_predictor._support.messages import SPELLINGS
from optscale_predictor.backends.option_flags import FlagParser, take_options
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.cli.verb_examples import EXAMPLES

_EXAMPLES = "examples:"
# The same thing under another verb's name for it; taken where a verb has the one and not the other.
_SAME = {
    "--policy": "--policies",
    "--policies": "--policy",
    "--orders": "--num_orders",
    "--samples": "--num_samples",
    "--num_samples": "--samples",
    "--question": "--questions",
    "--model": "--generator",
}
_SAID = """\
  -v, --verbose   more: what libraries log, warnings, times, where a mistake was found
  -q, --quiet     results, warnings and errors alone"""
# Lists of any length, and what each of their elements is.
_LISTS = {"pools": "FOLDER ...", "runs": "FOLDER ...", "questions": "FILE ...", "files": "FILE ..."}


@cache
def verb_parser(verb: Callable[..., None], name: str) -> FlagParser:
    """The parser of a verb; its help is the verb's docstring. Made once: it takes as long as to read with it.

    Args:
        verb: A typed function with Google-style docstring.
        name: As the usage shows it, for example ``optscale pool info``.
    """
    options = _options(verb)
    about = (verb.__doc__ or "").partition("Args:")[0]
    examples = [f"  {name} {example}" for example in EXAMPLES.get(name.removeprefix("optscale "), ())]
    parser = FlagParser(
        prog=name,
        description=" ".join(about.split()),
        epilog="\n".join([_EXAMPLES, *examples]) if examples else None,
        formatter_class=_HelpFormatter,
    )
    parser.stray_hint = _quoting_hint if "question" not in signature(verb).parameters else _question_hint
    parser.other_flags = tuple(one for one in SPELLINGS if one.startswith("--"))
    parser.add_argument("--config", action="config", help="YAML file of flags.")
    parser.add_function_arguments(verb, as_group=False, as_positional=True, skip=set(options))
    _name_places(parser, name)
    for default in options.values():
        parser.add_options(default)
    # The command line itself takes them, before any verb's parser.
    parser.add_argument_group("what is said on the way, of every verb", _SAID)
    return parser


def _quoting_hint(stray: str) -> str:
    from optscale_predictor.policies.describing import quoting_hint  # a second to import, for a mistake alone

    return quoting_hint(stray)


def _question_hint(stray: str) -> str:
    return _quoting_hint(stray) or '; a question of several words is one value, in quotes: "What is 12 + 34?"'


class _HelpFormatter(DefaultHelpFormatter):
    """Keeps the lines of examples, which are to be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith((_EXAMPLES, _SAID)) else str(super()._fill_text(text, width, indent))


def _name_places(parser: FlagParser, name: str) -> None:
    """Says in the usage what stands in each place, and that flags follow; a verb of dozens of flags needs no more."""
    places = []
    for action in parser._actions:
        if not action.option_strings and action.dest != "help":
            if action.dest in _LISTS:
                action.metavar = _LISTS[action.dest]
            places.append(str(action.metavar or action.dest))
    parser.usage = " ".join([name, *places, "[FLAGS]"])


def verb_arguments(verb: Callable[..., None], name: str, given: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """What to call a verb with.

    Args:
        verb: The verb.
        name: As the usage shows it.
        given: Arguments as a shell hands them over, or flags with their values.

    Raises:
        InputError: There is no such flag, or a value is not of its type or out of its range.
    """
    parser = verb_parser(verb, name)
    values = parser.read(given if isinstance(given, Mapping) else [_same(one, parser) for one in given])
    values.pop("config", None)
    taken = {parameter: take_options(default, values) for parameter, default in _options(verb).items()}
    return values | taken


def _same(argument: str, parser: FlagParser) -> str:
    """An argument with its flag as this verb calls it."""
    flag, equals, value = argument.partition("=")
    known = parser._option_string_actions
    return f"{_SAME[flag]}{equals}{value}" if flag not in known and _SAME.get(flag) in known else argument


def gather_list(arguments: Sequence[str], first: int) -> list[str]:
    """Arguments with their list of any length as one JSON list, which is how jsonargparse takes positional lists.

    Args:
        arguments: A verb's.
        first: How many positional arguments stand before the list, >= 0.
    """
    rest = iter(arguments)
    flags, positional = [], []
    for argument in rest:
        if not argument.startswith("-") or argument == "-":
            positional.append(argument)
        elif "=" in argument or argument in ("-h", "--help"):
            flags.append(argument)
        else:
            flags += [argument, *([value] if (value := next(rest, None)) is not None else [])]
    listed = [json.dumps(positional[first:])] if len(positional) > first else []
    return [*flags, *positional[:first], *listed]


def _options(verb: Callable[..., None]) -> dict[str, GeneratorOptions | VerifierOptions]:
    """The defaults of those parameters that are options."""
    defaults = {name: parameter.default for name, parameter in signature(verb).parameters.items()}
    return {name: one for name, one in defaults.items() if isinstance(one, GeneratorOptions | VerifierOptions)}
