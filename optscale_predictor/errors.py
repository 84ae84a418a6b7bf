"""Errors a user can act on.

Bad input anywhere in the package raises an :class:`InputError` whose message is one line: what is wrong, where, and
the bound it broke. The command line prints that line and exits with code 2; a notebook sees a ``ValueError``.
"""


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line that names it and its place."""


class MissingExtraError(InputError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'optscale-predictor[{extra}]'")


class ServiceError(InputError):
    """A server the user named does not answer, or answers what cannot be used."""


class UnreachableError(ServiceError):
    """Nothing answers at a server's address."""


class RequestRefusedError(ServiceError):
    """A server or engine refuses one request for good (too long, say); others may be served.

    Attributes:
        field: The request's field that the server does not take; empty where it names none.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class EngineError(ServiceError):
    """An engine in this process died and cannot go on; only a new process helps."""
