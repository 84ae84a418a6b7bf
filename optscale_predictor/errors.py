"""Errors a user can act on.

Bad input anywhere in the package raises an :class:`InputError` whose message is one line: what is wrong, where, and
the bound it broke. The command line prints that line and exits with code 2; a notebook sees a ``ValueError``. Servers
and engines that fail raise subclasses, which tell a request that must be given up from one that another server, or a
new process, may still answer. This module imports nothing of the package.
"""

import errno


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line that names it, its value and its bound.

    Args:
        message: A name in it may hold line breaks, as file names can; they become spaces.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(" ".join(str(message).splitlines()).strip())


class MissingExtraError(InputError):
    """An optional dependency is not installed.

    Args:
        package: Its name on the package index.
        extra: The extra of this package that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'optscale-predictor[{extra}]'")


class ServiceError(InputError):
    """A server the user named does not answer, or answers what cannot be used."""


class UnreachableError(ServiceError):
    """Nothing answers at a server's address."""


class RequestRefusedError(ServiceError):
    """A server or engine refuses one request for good (too long, say); others may be served.

    Args:
        message: One line.
        field: The request's field that the server does not take; empty where it names none.

    Attributes:
        field: As given.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class VerifierFailedError(InputError):
    """The verifier of a live run fails: a user's function that always raises, or does not return one score a sample."""


class EngineError(ServiceError):
    """An engine in this process died and cannot go on; only a new process can answer further requests."""


def fails_all(error: BaseException) -> bool:
    """Whether an error that came of several requests at once is one of the service, and not of one request among them.

    Args:
        error: What a batch of requests raised.
    """
    return isinstance(error, ServiceError) and not isinstance(error, RequestRefusedError)


_LONGEST = 1500  # characters of a mistake that is shown

#: What the system says where there is no room for more: on the disk, in a quota, or in a file of its size.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def shown_mistake(error: BaseException) -> str:
    """A mistake as it is shown: one line, whatever of the input it repeats.

    Line breaks become spaces, and other characters that no terminal should be sent (escape sequences, half of a
    surrogate pair) are written as Python escapes them.

    Args:
        error: The mistake.
    """
    line = " ".join(str(error).split())
    line = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 3 :]}"


def path_mistake(error: OSError) -> InputError | None:
    """The bad input that an error of the system is where it names a path: too long a name, no permission, a full disk.

    Args:
        error: What the system said.

    Returns:
        The mistake; None where the error names no path, and there is room for what is written.
    """
    if error.filename is None:  # the system names none where a file is open already
        return InputError(f"a file cannot be written: {error.strerror}") if error.errno in NO_ROOM else None
    return InputError(f"{error.filename}: {error.strerror or error}")


def mistake_behind(error: BaseException | None) -> InputError | None:
    """The bad input that an error is, or that caused it (libraries wrap what they meet); None where it is neither."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return error
