"""The flags of ``optscale eval``: lm-eval's own parser with ours in it, and a file of settings beside them.

One parser reads all flags, so that an abbreviation (``--output``) means to us what it means to lm-eval.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor._support.text_files import read_text
from optscale_predictor._support.yaml_reader import read_yaml
from optscale_predictor.errors import InputError

TASKS = Path(__file__).parent / "tasks"
OUR_MODEL = "optscale"
RECORDS = "records"  # below --output_path
_COMMANDS = ("run", "ls", "validate")
# Flags of ours, which become arguments of our model.
_OURS = ("policies", "record")
# Flags of lm-eval's that our model or tasks have to do with, and those of them that are names with values.
_HEARD = ("device", "max_batch_size", "limit", "use_cache", "gen_kwargs", "metadata")
_MAPPINGS = ("gen_kwargs", "metadata")


@dataclass(frozen=True)
class EvalFlags:
    """What a command asks for.

    Attributes:
        command: ``run``, ``ls`` or ``validate``.
        parsed: All flags, as lm-eval's command takes them, once ours are turned into its own.
        ours: Whether our model answers.
        tasks: Names of tasks.
        model_args: Of our model, ours among them.
        settings: What else of lm-eval's our model has to do with, by flag; None or empty where nothing is said.
        output: ``--output_path``; None where there is none.
        record: Where the run's record goes; None where there is none.
    """

    command: str
    parsed: argparse.Namespace
    ours: bool
    tasks: tuple[str, ...]
    model_args: Mapping[str, Any]
    settings: Mapping[str, Any]
    output: Path | None
    record: Path | None


class EvalParser(argparse.ArgumentParser):
    """A parser whose every error is one line."""

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print below its usage.

        Args:
            message: Its own words.

        Raises:
            InputError: Always.
        """
        unknown = re.search(r"unrecognized arguments: ([^\s=]+)", message)
        near = _hint(unknown[1], list(self._option_string_actions)) if unknown else ""
        # The reader of a value has no name that a user knows.
        raise InputError(re.sub(r"invalid (functools\.partial\(.*?\)|\w+_\w+) value", "invalid value", message) + near)


def _hint(stray: str, flags: Sequence[str]) -> str:
    """What may have been meant by an argument that nothing takes."""
    if stray.startswith("-"):
        return did_you_mean(stray, [*flags, "--quiet", "--verbose"])
    from optscale_predictor.policies.describing import quoting_hint

    return quoting_hint(stray)


def eval_parser(command: str, explained: bool = False) -> EvalParser:
    """The parser of one of lm-eval's commands, ours among its flags where it runs.

    Args:
        command: ``run``, ``ls`` or ``validate``.
        explained: Whether its help has what there is to choose from, which takes seconds to import.
    """
    from lm_eval._cli.ls import List
    from lm_eval._cli.run import Run
    from lm_eval._cli.validate import Validate

    parser = EvalParser(
        prog=f"optscale eval{'' if command == 'run' else f' {command}'}",
        usage="optscale eval --tasks TASK [TASK ...] [FLAGS]" if command == "run" else None,
        description="Run lm-eval with the OptScale model and tasks; takes every flag of lm-eval.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if command == "run":
        _add_ours(parser, explained)
    {"run": Run, "ls": List, "validate": Validate}[command].create(_Only(parser))
    return parser


class _Only:
    """Stands where lm-eval adds a command to its parser, and has it fill one of ours."""

    def __init__(self, parser: EvalParser) -> None:
        self._parser = parser

    def add_parser(self, *_: str, **__: object) -> EvalParser:
        """Ours, whatever is said of the command."""
        return self._parser


def _add_ours(parser: EvalParser, explained: bool) -> None:
    # Before lm-eval adds its own: what it lists first stands first.
    group = parser.add_argument_group("ours, for --model optscale (the default)")
    group.add_argument(
        "--policies",
        "--policy",
        metavar='"A B C"',
        help="policies separated by spaces, in quotes, the primary one first; they share each question's samples",
    )
    group.add_argument(
        "--record",
        metavar="FOLDER",
        help=f"where the run's record goes, for optscale report; by default {RECORDS} below --output_path",
    )
    group = parser.add_argument_group("ours, for our tasks and every model")
    group.add_argument(
        "--prompt_file",
        metavar="FILE",
        help="text file with {question} in it, in place of the prompt of optscale_questions or optscale_arithmetic",
    )
    group.add_argument(
        "--system_file",
        metavar="FILE",
        help="text file with the system prompt, as --system_instruction gives it in words; goes with "
        "--apply_chat_template",
    )
    if explained:
        from optscale_predictor.evaluation.lm_eval.eval_help import help_sections

        for title, text in help_sections(TASKS):
            parser.add_argument_group(title, text)


def read_flags(args: Sequence[str]) -> EvalFlags:
    """What the arguments and their ``--config`` say.

    Args:
        args: lm-eval's and ours, with or without one of lm-eval's commands in front.

    Raises:
        InputError: A flag is none, has no value, or says what another says; or the file of settings cannot be read.
    """
    given = list(args)
    command = given.pop(0) if given and given[0] in _COMMANDS else "run"
    try:
        parsed = eval_parser(command, explained=bool({"-h", "--help"} & set(given))).parse_args(given)
    except (ValueError, AssertionError) as error:  # of lm-eval's own readers of values
        if isinstance(error, InputError):
            raise
        raise InputError(f"lm-eval: {' '.join(str(error).split())}") from error
    file = _settings(parsed.config) if command == "run" and parsed.config else {}
    theirs = getattr(parsed, "include_path", None) or file.get("include_path")
    parsed.include_path = str(TASKS) if theirs is None else [str(TASKS), str(theirs)]
    return _merged(parsed, file) if command == "run" else EvalFlags(command, parsed, False, (), {}, {}, None, None)


def _merged(parsed: argparse.Namespace, file: Mapping[str, Any]) -> EvalFlags:
    """Flags and file together, ours turned into lm-eval's."""
    own = {name: _taken(parsed, name) for name in _OURS}
    prompt, system = (_taken(parsed, name) for name in ("prompt_file", "system_file"))

    def value(name: str) -> Any:
        """As lm-eval has it: a flag comes before the file, unless it says nothing."""
        flag = getattr(parsed, name, None)
        return flag if flag or flag == 0 else file.get(name)

    model = value("model") or OUR_MODEL
    parsed.model, ours = model, model == OUR_MODEL
    tasks = value("tasks") or ()
    named = [str(tasks)] if isinstance(tasks, str) else map(str, tasks)
    names = tuple(name for one in named for name in one.split(",") if name)
    if system is not None:
        if value("system_instruction"):
            raise InputError("the system prompt is given twice: by --system_file, and by --system_instruction")
        parsed.system_instruction = read_text(Path(system), purpose="read the system prompt").strip()
    if prompt is not None:
        parsed.metadata = {**_mapping(value("metadata")), "prompt": prompt}
    settings = {name: _mapping(value(name)) if name in _MAPPINGS else value(name) for name in _HEARD}
    output = None if value("output_path") is None else Path(str(value("output_path")))
    if not ours:
        for name in _OURS:
            if own[name] is not None:
                raise InputError(f"--{name} is for --model {OUR_MODEL}, and --model is {model}")
        return EvalFlags("run", parsed, False, names, {}, settings, output, None)
    arguments = _mapping(value("model_args"))
    for name, text in own.items():
        if text is not None and name in arguments:
            raise InputError(f"{name} is given twice: as --{name}, and in --model_args")
    arguments |= {name: text for name, text in own.items() if text is not None}
    if output is not None:
        arguments.setdefault("record", str(_beside(output) / RECORDS))
    parsed.model_args = arguments
    record = arguments.get("record")
    return EvalFlags(
        "run", parsed, True, names, arguments, settings, output, None if record is None else Path(str(record))
    )


def _taken(parsed: argparse.Namespace, name: str) -> str | None:
    """A flag of ours, taken out of what lm-eval gets: it takes its flags for its own settings."""
    text: str | None = getattr(parsed, name)
    delattr(parsed, name)
    if text is not None and not text.strip():
        raise InputError(f"--{name} is empty")
    return text


def _beside(output: Path) -> Path:
    """The folder that lm-eval's results go into: ``--output_path`` may name a file of results."""
    return output.parent if output.suffix == ".json" else output


def _settings(path: str) -> dict[str, Any]:
    """A file of lm-eval's settings; lm-eval reads it as well, and would not say which key is none."""
    from lm_eval.config.evaluate_config import EvaluatorConfig

    settings = read_yaml(Path(path))
    if not isinstance(settings, dict):
        raise InputError(f"{path}: a file of settings has a flag of lm-eval's and its value in each line")
    known = [name for name in EvaluatorConfig.__dataclass_fields__ if name != "config"]
    for name in settings:
        if name in _OURS:
            raise InputError(f"{path}: {name} stands below model_args")
        if name not in known:
            raise InputError(f"{path}: {name!r} is no flag of lm-eval's{did_you_mean(str(name), known)}")
    return settings


def _mapping(given: object) -> dict[str, Any]:
    """Names with values: a mapping, or lm-eval's ``a=1,b=2``; empty where nothing is given."""
    if isinstance(given, str):
        from lm_eval.utils import simple_parse_args_string

        return dict(simple_parse_args_string(given))
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"names with values are expected, got {given!r}")
    return dict(given or {})
