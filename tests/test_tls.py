"""Requests over TLS, on asyncio's event loop and on uvloop: to a server that is trusted, and to one that is not."""

import asyncio
import shutil
import ssl
import subprocess

import pytest
import raw_server
from raw_server import OK, RawServer, leave, talk

from optscale_predictor.backends.transports import NoServerError

pytest.importorskip("httptools")

from optscale_predictor.backends.transports.kept_connections import KeptConnections


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key and its own certificate for this machine, good for a day."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("needs openssl, to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "certificate.pem"]
    subprocess.run([openssl, *kind, *name, *files], check=True, capture_output=True)
    return folder


@pytest.fixture
def server_side(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "certificate.pem", certificate / "key.pem")
    return context


@pytest.fixture
def trusted(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "certificate.pem"))


@pytest.fixture(params=["asyncio", "uvloop"], autouse=True)
def event_loop_kind(request, monkeypatch):
    monkeypatch.setattr(raw_server, "new_event_loop", pytest.importorskip(request.param).new_event_loop)


@pytest.mark.usefixtures("trusted")
def test_connections_are_kept_and_replies_of_any_size_are_whole(server_side):
    large = b"x" * 1_000_000  # more than a TLS record, and than what is read at once
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + large

    async def use(get, _):
        together = await asyncio.gather(*(get(body=b"{}") for _ in range(5)))
        after = [await get(most=len(large)) for _ in range(2)]
        return [reply.body for reply in (*together, *after)]

    server = RawServer(*[OK] * 5, whole)
    assert talk(KeptConnections, server, use, server_side) == [b"ok"] * 5 + [large] * 2
    assert server.connections == 5 and len(server.heads) == 7


@pytest.mark.usefixtures("trusted")
def test_who_leaves_hangs_up(server_side):
    server = RawServer(None)
    talk(KeptConnections, server, lambda get, _: leave(get, server), server_side)


def test_a_server_that_is_not_trusted_is_told_nothing(server_side, monkeypatch, tmp_path):
    empty = tmp_path / "no_certificates.pem"
    empty.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))

    async def use(get, _):
        with pytest.raises(NoServerError, match="certificate"):
            await get()

    server = RawServer(OK)
    talk(KeptConnections, server, use, server_side)
    assert not server.heads
