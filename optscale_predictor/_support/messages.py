"""What is said on the way to a result: the one place that sets up logging, for every verb.

Library code logs to ``logging.getLogger(__name__)`` and sets nothing up. The command line prints results on standard
output; everything else goes through here to standard error: lines of level INFO as they are, warnings with
``warning:`` in front. With ``-v`` come debugging lines, what other libraries log and Python's warnings; with
``--quiet`` only warnings and errors are left, and no progress bar.

A program that uses the library shows its lines with ``logging.basicConfig(level="INFO")``, and has no progress bars
after ``logging.getLogger("optscale_predictor").setLevel("WARNING")``.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum

OURS = "optscale_predictor"
# They show their own lines past the root's handlers, and set their own level when they are imported.
_THEIRS = ("transformers", "datasets", "huggingface_hub", "pytorch_lightning", "lightning_fabric", "lightning", "torch")
_LEVEL_VARIABLES = ("TRANSFORMERS_VERBOSITY", "DATASETS_VERBOSITY", "HF_HUB_VERBOSITY")
_NO_BARS = ("HF_DATASETS_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_PROGRESS_BARS")

_LM_EVAL_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")  # its own -v has one behind it

#: Flags that every verb has, and what each sets.
SPELLINGS = {"-v": "verbose", "--verbose": "verbose", "-q": "quiet", "--quiet": "quiet"}


class Verbosity(IntEnum):
    """How much is said; the value is the lowest level of our own lines that is shown."""

    QUIET = logging.WARNING
    NORMAL = logging.INFO
    VERBOSE = logging.DEBUG


def take_verbosity(arguments: Sequence[str]) -> tuple[Verbosity, list[str]]:
    """How much a command is to say, and its arguments without the flags that say so.

    Args:
        arguments: As a shell hands them over; what follows a lone ``--`` is left as it is.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    asked, rest = set(), []
    for one, following in zip(arguments[:end], [*arguments[1:], ""], strict=False):
        if one in SPELLINGS and not (one == "-v" and following.upper() in _LM_EVAL_LEVELS):
            asked.add(SPELLINGS[one])
        else:
            rest.append(one)
    rest += arguments[end:]
    if "verbose" in asked:  # who asks for both looks for a fault
        return Verbosity.VERBOSE, rest
    return (Verbosity.QUIET if "quiet" in asked else Verbosity.NORMAL), rest


def bars_shown() -> bool:
    """Whether progress bars are wanted: unless our logger was told to keep to warnings."""
    return logging.getLogger(OURS).level < logging.WARNING


def theirs_shown() -> bool:
    """Whether what other libraries log is wanted."""
    return logging.getLogger(OURS).level == logging.DEBUG


@contextmanager
def messages_shown(verbosity: Verbosity) -> Iterator[None]:
    """Shows what is logged on standard error; everything is as it was before when this is left.

    Args:
        verbosity: How much of it.
    """
    verbose, quiet = verbosity is Verbosity.VERBOSE, verbosity is Verbosity.QUIET
    root, ours = logging.getLogger(), logging.getLogger(OURS)
    own, theirs = MessageHandler(verbose), MessageHandler(verbose)
    # Failures of other libraries are shown in any case: nobody else may tell of them.
    theirs.setLevel(logging.INFO if verbose else logging.ERROR)
    theirs.addFilter(lambda record: not record.name.startswith(f"{OURS}."))  # shown already
    loggers = [ours, *map(logging.getLogger, _THEIRS)]
    levels = [logger.level for logger in loggers]
    handlers, root_level = list(ours.handlers), root.level
    outer = [handler for handler in root.handlers if isinstance(handler, MessageHandler)]
    variables = {name: os.environ.get(name) for name in (*_LEVEL_VARIABLES, *_NO_BARS)}
    capturing = logging._warnings_showwarning is not None  # type: ignore[attr-defined]
    try:
        ours.handlers = [own]
        _set_level(ours, int(verbosity))
        for handler in outer:
            root.removeHandler(handler)
        root.addHandler(theirs)
        if verbose:
            _set_level(root, logging.INFO)
        for logger in loggers[1:]:
            _set_level(logger, logging.INFO if verbose else logging.ERROR)
        # Workers inherit them, and these libraries read them when they are imported.
        os.environ.update(dict.fromkeys(_LEVEL_VARIABLES, "info" if verbose else "error"))
        if quiet:
            os.environ.update(dict.fromkeys(_NO_BARS, "1"))
        logging.captureWarnings(True)
        yield
    finally:
        if not capturing:
            logging.captureWarnings(False)
        root.removeHandler(theirs)
        for handler in outer:
            root.addHandler(handler)
        _set_level(root, root_level)
        ours.handlers = handlers
        for logger, level in zip(loggers, levels, strict=True):
            _set_level(logger, level)
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _set_level(logger: logging.Logger, level: int) -> None:
    """Sets it where it is another: to set one has every logger of the program forget what it had found out."""
    if logger.level != level:
        logger.setLevel(level)


@contextmanager
def messages_dated() -> Iterator[None]:
    """Begins every line with the date and the time of day, as in a log that somebody reads days later.

    For what runs until it is told to stop; where a program has set up its own logging, that is left alone.
    """
    loggers = (logging.getLogger(OURS), logging.getLogger())
    shown = [one for logger in loggers for one in logger.handlers if isinstance(one, MessageHandler)]
    before = [one.dated for one in shown]
    try:
        for one in shown:
            one.dated = True
        yield
    finally:
        for one, dated in zip(shown, before, strict=True):
            one.dated = dated


class MessageHandler(logging.Handler):
    """Writes lines to whatever standard error is by then, beside a progress bar where there is one.

    Args:
        verbose: Whether a line begins with the seconds since the start, and others' with their name.

    Attributes:
        dated: Whether a line begins with the date and the time of day, as in :func:`messages_dated`.
    """

    dated = False

    def __init__(self, verbose: bool) -> None:
        super().__init__()
        self._verbose, self._began = verbose, time.monotonic()

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback below it where the record has one.

        Args:
            record: What was logged.
        """
        line = record.getMessage().rstrip("\n")
        if record.levelno >= logging.WARNING:
            line = f"{record.levelname.lower()}: {line}"
        if self._verbose and not record.name.startswith(f"{OURS}."):
            line = f"{record.name}: {line}"
        if self.dated:
            line = f"{logging.Formatter().formatTime(record)} {line}"
        elif self._verbose:
            line = f"[{time.monotonic() - self._began:7.2f} s] {line}"
        if record.exc_info:
            line += f"\n{logging.Formatter().formatException(record.exc_info)}"
        return line

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a record, if anybody is there to see it.

        Args:
            record: What was logged.
        """
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        with suppress(OSError, ValueError):  # a terminal or file that was closed: no reason to lose work
            bars = sys.modules.get("tqdm")
            if bars is not None and hasattr(bars, "tqdm"):
                bars.tqdm.write(line, file=sys.stderr)
            else:
                print(line, file=sys.stderr, flush=True)


def say_loading(what: str, *modules: str) -> None:
    """Says that seconds of importing lie ahead; nothing where all was imported before.

    Args:
        what: Is loaded.
        modules: What takes the seconds.
    """
    if any(name not in sys.modules for name in modules):
        logging.getLogger(__name__).info(f"loading {what}")


def last_line(line: str) -> None:
    """Shows why a command ends before its result is there, however little is to be said.

    Args:
        line: ``error: `` and the mistake, or how to go on.
    """
    with suppress(OSError, ValueError):  # the terminal may have gone
        print(f"optscale: {line}", file=sys.stderr, flush=True)
