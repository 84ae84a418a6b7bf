"""A request of HTTP/1.1 as bytes: a URL is looked at once, and what it says is the same for all requests to it."""

from base64 import b64encode
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

_IN_PATH = "/%:@!$&'()*+,;=~"


class Origin(NamedTuple):
    """Where connections lead; those of one may be used for each other's requests."""

    host: str
    port: int
    secure: bool


class Target(NamedTuple):
    """A URL as a request needs it: where to, and its first lines."""

    origin: Origin
    head: str


def request_target(url: str, got: bool) -> Target:
    """What a URL says.

    Args:
        url: With user and password, where it has them.
        got: Whether it is got; else something is posted to it.

    Raises:
        ValueError: It is no URL of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a URL")
    secure = parts.scheme == "https"
    usual = 443 if secure else 80
    port = usual if parts.port is None else parts.port
    host = parts.hostname.encode("idna").decode() if not is_address(parts.hostname) else parts.hostname
    path = quote(parts.path or "/", safe=_IN_PATH)
    path += f"?{quote(parts.query, safe=_IN_PATH + '?')}" if parts.query else ""
    named = (f"[{host}]" if ":" in host else host) + (f":{port}" if port != usual else "")
    lines = [f"{'GET' if got else 'POST'} {path} HTTP/1.1", f"Host: {named}", "Accept: */*"]
    lines.append("Accept-Encoding: gzip, deflate")
    if parts.username is not None:
        known = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"Authorization: Basic {b64encode(known.encode()).decode()}")
    return Target(Origin(host, port, secure), "\r\n".join(lines))


def request_bytes(head: str, headers: dict[str, str], body: bytes | None) -> bytes:
    """All bytes of a request.

    Args:
        head: Its first lines, of its target.
        headers: Further ones.
        body: What is posted, if anything is.

    Raises:
        ValueError: A header has a character that none may have.
    """
    lines = [head, *(f"{name}: {value}" for name, value in headers.items() if _is_header(name, value))]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "strict") + (body or b"")


def _is_header(name: str, value: str) -> bool:
    if not (value.isprintable() and value.isascii()):
        raise ValueError(f"the value of the header {name} holds what no header may")
    return True


def is_address(host: str) -> bool:
    """Whether a host is an IP address, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
