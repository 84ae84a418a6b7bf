"""HTTP below the routes: what is no HTTP, and the limits on headers, bodies, time and connections."""

import json
import logging
import socket

import pytest
from answering import WrittenServer, serving
from served_optscale import plain, scaler_of, served, until
from stopped_clock import HUNG

from optscale_predictor.serving import application, http_protocol

POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n"
MALFORMED = {
    "no request": b"how are you?\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n",
    "another version": b"GET / HTTP/7.x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a header without a colon": GET + b"nonsense\r\n\r\n",
    "a header's name": GET + b"na me: x\r\n\r\n",
    "a header with a zero": GET + b"x: a\0b\r\n\r\n",
    "a length that is none": POST + b"Content-Length: many\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length and chunks": POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk's size": POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
    "a long line": b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": GET + b"x: " + b"y" * 9000 + b"\r\n\r\n",
    "many headers": GET + b"".join(b"x%d: y\r\n" % number for number in range(200)) + b"\r\n",
}


@pytest.fixture(scope="module")
def strict():
    """A server that only refuses: its generator is never asked."""
    generator = WrittenServer()
    with serving(generator.app()) as url, served(scaler_of(url), conversations=False, max_body=1000) as server:
        yield server
    assert generator.bodies == []


def connect(server):
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=HUNG)


def reply_to(server, sent):
    """Status and body of what comes back."""
    with connect(server) as line:
        line.sendall(sent)
        return read(line)


def read(line):
    found = b""
    while b"\r\n\r\n" not in found and (new := line.recv(65536)):
        found += new
    head, _, body = found.partition(b"\r\n\r\n")
    lengths = [one.split(b":")[1] for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")]
    while len(body) < int(lengths[0]):
        body += line.recv(65536)
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("kind", MALFORMED)
def test_what_is_no_http_is_an_error_in_the_same_shape_and_no_traceback(strict, caplog, kind):
    caplog.set_level(logging.INFO)
    status, body = reply_to(strict, MALFORMED[kind])
    error = body["error"]
    assert status == 400 and set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", "malformed_http")
    assert "\n" not in error["message"]
    if "long" in kind:
        assert "longer than 8190 bytes" in error["message"]
    if kind == "many headers":
        assert "more than 128 header fields" in error["message"]
    assert not [record for record in caplog.records if record.exc_info or record.levelno > logging.INFO]


def test_an_expectation_that_is_not_met_is_an_error_in_the_same_shape(strict):
    status, body = reply_to(strict, POST + b"Expect: wonders\r\nContent-Length: 2\r\n\r\n{}")
    assert status == 417 and set(body["error"]) == {"message", "type", "param", "code"}


def test_a_mistake_of_a_route_is_logged_and_told_to_nobody(strict, caplog, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("a secret of the server")

    monkeypatch.setattr(strict.application._metrics, "page", fail)
    status, body = reply_to(strict, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, body["error"]["type"], body["error"]["code"]) == (500, "server_error", "internal_error")
    assert "secret" not in body["error"]["message"] and "a secret of the server" in caplog.text


@pytest.mark.parametrize("announced", [b"Content-Length: 1001\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_body_that_is_too_large_is_refused_as_soon_as_that_is_known(strict, announced):
    chunk = b"" if b"Length" in announced else b"3e9\r\n" + b" " * 1001
    status, body = reply_to(strict, POST + announced + chunk)
    assert status == 413 and body["error"]["message"] == "the body is larger than 1000 bytes"


def test_large_bodies_that_are_on_their_way_together_are_bounded(strict):
    waiting = [connect(strict) for _ in range(application._BODIES)]
    try:
        for line in waiting:
            line.sendall(POST + b"Content-Length: 1000\r\n\r\n ")
        until(lambda: strict.application._reading == 1000 * application._BODIES)
        status, body = reply_to(strict, POST + b"Content-Length: 1000\r\n\r\n")
        assert (status, body["error"]["code"]) == (503, "busy")
        status, body = reply_to(strict, POST + b"Content-Length: 2\r\n\r\n{}")
        assert (status, body["error"]["param"]) == (400, "model")  # a small one is read all the same
    finally:
        for line in waiting:
            line.close()
    until(lambda: strict.application._reading == 0)
    status, body = reply_to(strict, POST + b"Content-Length: 900\r\n\r\n" + b"{}".ljust(900))
    assert (status, body["error"]["param"]) == (400, "model")


def test_headers_and_bodies_that_do_not_come_are_given_up():
    """A server of its own: its clock is put forward."""
    generator = WrittenServer()
    with (
        serving(generator.app()) as url,
        served(scaler_of(url), conversations=False) as server,
        connect(server) as slow,
        connect(server) as slower,
        connect(server) as silent,
    ):
        slow.sendall(POST + b"Content-Length: 10\r\n\r\n{")
        slower.sendall(GET + b"x: never en")
        until(lambda: server.application._reading == 10)
        server.advance(61)
        status, body = read(slow)
        assert status == 408 and body["error"]["message"] == "the body did not come within 60 s"
        server.advance(20)
        assert slower.recv(100) == b"" and silent.recv(100) == b""


def test_beyond_the_connections_that_are_taken_clients_are_told_so():
    generator = WrittenServer()
    with serving(generator.app()) as url, served(scaler_of(url), conversations=False, max_connections=2) as server:
        with connect(server) as first, connect(server) as second:
            for line in (first, second):
                line.sendall(GET + b"\r\n")
                assert read(line)[0] == 200
            with connect(server) as third:
                status, body = read(third)
                assert (status, body["error"]["code"]) == (503, "too_many_connections")
                assert third.recv(100) == b""
            first.sendall(GET + b"\r\n")
            assert read(first)[0] == 200  # those that are there go on
        with plain() as client:
            until(lambda: client.get(f"{server.url}/health").status_code == 200)


def test_the_limit_of_open_files_is_raised_and_never_lowered(monkeypatch):
    import resource

    limits = [100, 1000]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.__setitem__(slice(None), new))
    for connections, soft in ((50, 306), (10, 306), (5000, 1000)):
        http_protocol.allow_open_files(connections)
        assert limits == [soft, 1000]
