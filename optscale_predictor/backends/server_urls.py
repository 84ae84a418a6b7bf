"""URLs of servers: how flags write them, what is wrong with them, and how errors show them."""

import re
from urllib.parse import urlsplit

from optscale_predictor.errors import InputError


def server_urls(given: str, name: str) -> list[str]:
    """The URLs that a flag or argument lists, each with a scheme and a host.

    Args:
        given: One, for example ``http://127.0.0.1:8000/v1``, or several, separated by spaces.
        name: The flag or argument, for errors.

    Raises:
        InputError: There is none, or one is no URL of a server; a password in it is not shown.
    """
    urls = given.split()
    if not urls:
        raise InputError(f"{name} is empty")
    for url in urls:
        _require_url(url, name)
    return urls


def _require_url(url: str, name: str) -> None:
    if not re.match(r"(?i)https?://", url):
        # "localhost:8000" would be read as a scheme and a path: only what has // of its own names another scheme.
        hint = "" if "//" in url else f"; did you mean http://{shown(url)}?"
        raise InputError(f"{name} must begin with http:// or https://, got {shown(url)!r}{hint}")
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        sound = False
    if not sound:
        raise InputError(f"{name}: {shown(url)!r} is not a URL of a server, such as http://127.0.0.1:8000/v1")


def shown(url: str) -> str:
    """A URL as errors may show it: without a user's name and password."""
    return re.sub(r"(^|//)[^/@]*@", r"\1", url)
