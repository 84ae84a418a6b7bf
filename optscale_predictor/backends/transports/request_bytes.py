"""A request of HTTP/1.1 as bytes: a URL is looked at once, and what it says is the same for all requests to it."""

from base64 import b64encode
from ipaddress import ip_address
from typing import NamedTuple, Self
from urllib.parse import quote, unquote, urlsplit

_IN_PATH = "/%:@!$&'()*+,;=~"


class Origin(NamedTuple):
    """Where connections lead; those of one may be used for each other's requests."""

    host: str
    port: int
    secure: bool


class RequestHead(NamedTuple):
    """All of a request before its body, but for the body's length.

    Attributes:
        origin: Where to.
        headers: Further ones, as they were given.
        lines: The bytes.
    """

    origin: Origin
    headers: dict[str, str]
    lines: bytes

    @classmethod
    def of(cls, url: str, headers: dict[str, str], got: bool) -> Self:
        """What a URL and further headers say.

        Args:
            url: With user and password, where it has them.
            headers: Further ones.
            got: Whether it is got; else something is posted to it.

        Raises:
            ValueError: It is no URL of HTTP, or a header has a character that none may have.
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
        lines += [f"{name}: {value}" for name, value in headers.items() if _is_header(name, value)]
        return cls(Origin(host, port, secure), dict(headers), "\r\n".join(lines).encode("latin-1", "strict"))

    def with_body(self, body: bytes | None) -> bytes:
        """All bytes of a request.

        Args:
            body: What is posted, if anything is.
        """
        if body is None:
            return self.lines + b"\r\n\r\n"
        return b"%b\r\nContent-Length: %d\r\n\r\n%b" % (self.lines, len(body), body)


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
