"""Options as flat flags: one spelling on the command line, in recipes and in lm-eval's ``--model_args``.

A generator's options are flags of their own names, those of sampling among them (``--temperature``); a verifier's have
``verifier_`` in front (``--verifier_url``); the models are ``--generator`` and ``--verifier``. Options of one engine
keep their group (``--server.timeout``, ``--vllm.dtype``). Types, defaults and help come from the dataclasses.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from typing import Any, NoReturn, TypeVar, get_type_hints

from docstring_parser import parse
from jsonargparse import Namespace

from optscale_predictor._support.config_files import ConfigParser
from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.errors import InputError, mistake_behind

Options = TypeVar("Options", bound=GeneratorOptions | VerifierOptions)


class FlagParser(ConfigParser):
    """A parser whose every error is one line that names the flag, without the usage in front of it.

    Attributes:
        stray_hint: What to add of an argument that nothing takes and that is no flag; nothing by default.
        other_flags: Flags that others take before this parser, and that somebody may have meant.
    """

    other_flags: tuple[str, ...] = ()

    stray_hint: Callable[[str], str] = staticmethod(lambda _: "")

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises what jsonargparse would print.

        Args:
            message: Its own words.
            ex: What it stumbled on.

        Raises:
            InputError: Always.
        """
        raise _mistake(message, ex, self._known_flags(), self.stray_hint) from ex

    def _known_flags(self) -> list[str]:
        return [*(spelled for action in self._actions for spelled in action.option_strings), *self.other_flags]

    def read(self, given: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
        """Every flag's value, of its type, defaults included.

        Args:
            given: Arguments as a shell hands them over, or flags with their values; a flag of a group may be written
                with a dot or in a mapping of its own.

        Raises:
            InputError: There is no such flag, or a value is not of its type or out of its range.
        """
        try:
            if isinstance(given, Mapping):
                parsed = self.parse_object(dict(given))
            else:
                self._require_flags(given)
                parsed = self.parse_args(list(given))
            self._require_values(dict(parsed.items()))
            values = dict(vars(self.instantiate(parsed)))
            self._require_counts(values)
            return values
        except InputError:
            raise
        except (TypeError, ValueError, KeyError) as error:
            raise _mistake(str(error), error, self._known_flags(), self.stray_hint) from error
        except RecursionError:
            raise InputError("a flag's value is nested too deeply") from None

    def _require_flags(self, given: Sequence[str]) -> None:
        """Refuses a flag that there is not: its value would be taken for what stands in no flag."""
        known = self._known_flags()
        for one in given:
            flag = one.partition("=")[0]
            # What belongs to a group may be one of its own settings: jsonargparse knows.
            if flag.startswith("--") and flag != "--" and flag.partition(".")[0] not in known and flag not in known:
                raise InputError(f"unrecognized arguments: {flag}{did_you_mean(flag, known)}")

    @staticmethod
    def _require_counts(values: Mapping[str, Any]) -> None:
        """Refuses whole numbers that nothing counts in: libraries and files hold 64 bits."""
        for flag, value in values.items():
            if isinstance(value, int) and abs(value) >= 1 << 63:
                raise InputError(f"--{flag} must lie below 2^63, got {value!s:.40}")

    def _require_values(self, parsed: Mapping[str, Any]) -> None:
        """Refuses a null that is no default: jsonargparse takes null for any type, as a flag that was not given.

        An empty text is refused as well, unless it is the default: it comes of a shell's variable that is not set, and
        would be taken for a flag that was not given.

        Args:
            parsed: Every flag's value, those of groups by their whole names; also from a file of flags.
        """
        defaults = self.get_defaults()
        for flag, value in parsed.items():
            default = defaults.get(flag)
            if value is None and default is not None:
                shown = "" if isinstance(default, Namespace) else f"; its default is {default!r}"
                raise InputError(f"--{flag} may not be null{shown}")
            if value == "" and default != "":
                place = f"--{flag}" in self._known_flags() or "." in flag
                raise InputError(
                    f"--{flag} may not be empty; its default is {default!r}" if place else f"{flag} is empty"
                )

    def add_options(self, options: GeneratorOptions | VerifierOptions) -> None:
        """Adds the flags of a generator's or verifier's options.

        Args:
            options: The flags' defaults.
        """
        group = self.add_argument_group(_group_title(options))
        for flag, option, holder in _flags(options):
            kind, default = get_type_hints(type(holder))[option.name], getattr(holder, option.name)
            if is_dataclass(kind) and isinstance(kind, type):
                self.add_class_arguments(kind, flag, default=default)
            else:
                listed: dict[str, Any] = {"metavar": '["A", ...]'} if isinstance(default, tuple) else {}
                text = option_help(type(holder), option.name)
                group.add_argument(f"--{flag}", type=kind, default=default, help=text, **listed)


def flag_names(options: GeneratorOptions | VerifierOptions) -> list[str]:
    """The flags of a generator's or verifier's options, groups by their names alone."""
    return [flag for flag, _, _ in _flags(options)]


def described_flags(options: GeneratorOptions | VerifierOptions) -> Iterator[tuple[str, object, str]]:
    """Every flag of a generator's or verifier's options, with its default and its help; groups are spelled out.

    Args:
        options: The flags' defaults.
    """
    for flag, option, holder in _flags(options):
        value = getattr(holder, option.name)
        if is_dataclass(value):
            for one in fields(value):
                yield f"{flag}.{one.name}", getattr(value, one.name), option_help(type(value), one.name)
        else:
            yield flag, value, option_help(type(holder), option.name)


def take_options(default: Options, values: dict[str, Any]) -> Options:
    """The options that flags give; they are taken out of ``values``.

    Args:
        default: Options of the same class, for what ``values`` lacks.
        values: Values of the right types by flag, as :meth:`FlagParser.read` gives them.

    Raises:
        InputError: A value is out of its range, or options do not go together.
    """
    parts: dict[int, dict[str, Any]] = {}
    for flag, option, holder in _flags(default):
        parts.setdefault(id(holder), {})[option.name] = values.pop(flag, getattr(holder, option.name))
    own = parts[id(default)]
    if isinstance(default, GeneratorOptions):
        own["sampling"] = SamplingParams(**parts[id(default.sampling)])
    return type(default)(**own)


def _group_title(options: GeneratorOptions | VerifierOptions) -> str:
    """What the group of its flags is called in a help."""
    return "what draws samples" if isinstance(options, GeneratorOptions) else "what scores samples"


def _flags(options: GeneratorOptions | VerifierOptions) -> Iterator[tuple[str, "Field[Any]", Any]]:
    """Each flag with its field and the dataclass that holds it; sampling's own stand among a generator's."""
    role, prefix = ("generator", "") if isinstance(options, GeneratorOptions) else ("verifier", "verifier_")
    for option in fields(options):
        value = getattr(options, option.name)
        if isinstance(value, SamplingParams):
            yield from ((one.name, one, value) for one in fields(value))
        else:
            yield role if option.name == "model" else f"{prefix}{option.name}", option, options


def option_help(kind: type, name: str) -> str:
    """What the docstring of a class says of one of its attributes, in one line; empty where it says nothing.

    Args:
        kind: The class.
        name: The attribute.
    """
    described = {one.arg_name: one.description for one in parse(kind.__doc__ or "").params}
    return " ".join((described.get(name) or "").split())


def _mistake(
    message: str, error: BaseException | None, known: Sequence[str], stray_hint: Callable[[str], str]
) -> InputError:
    """One line for what jsonargparse says in several, or for the bad input that it met on its way.

    Args:
        message: Its words.
        error: What it stumbled on.
        known: The flags that there are.
        stray_hint: As the parser has it.
    """
    own = mistake_behind(error)
    if own is not None:
        return own
    flag = re.search(r'(?:Parser key|key) "([^"]+)"', message)
    wanted = list(dict.fromkeys(re.findall(r"Expected an? <class '([\w.]+)'>", message)))
    given = re.search(r"(?:Got|Given) value: (.*)", message, re.DOTALL)
    if flag and wanted and given:
        kinds = " or ".join(_KINDS.get(kind, kind) for kind in wanted)
        return InputError(f"--{flag[1]} must be {kinds}, got {' '.join(given[1].split())!r}")
    words = " ".join(message.split())
    if unknown := re.fullmatch(r"Option '(.+)' is not accepted", words):
        return InputError(f"unknown flag: {unknown[1]}{did_you_mean(f'--{unknown[1]}', known)}")
    stray = re.search(r"[Uu]nrecognized arguments: ([^\s=]+)", words)
    if stray is None:
        return InputError(words)
    return InputError(words + (did_you_mean(stray[1], known) if stray[1].startswith("-") else stray_hint(stray[1])))


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "NoneType": "null",
    "tuple": 'a list like ["a", "b"]',
    "list": 'a list like ["a", "b"]',
}
