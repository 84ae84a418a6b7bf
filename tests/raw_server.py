"""A server that writes its own bytes, and one conversation of an HTTP transport with it."""

import asyncio
from asyncio import new_event_loop

import pytest
from stopped_clock import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class RawServer:
    """Answers the n-th request with the n-th reply, the last one from then on.

    A reply is bytes, or a pair of bytes and whether the connection is closed after them; None: nothing comes.

    Attributes:
        heads: Of the requests.
        connections: Made so far.
        hung_up: Connections that the client has closed.
    """

    def __init__(self, *replies):
        self.replies, self.heads, self.connections, self.hung_up = replies, [], 0, 0

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while head := await self.head(reader):
                self.heads.append(head)
                reply = self.replies[min(len(self.heads), len(self.replies)) - 1]
                body, closed = reply if isinstance(reply, tuple) else (reply, False)
                writer.write(body or b"")
                if closed:
                    return
        except (ConnectionError, asyncio.CancelledError):
            self.hung_up += 1
        finally:
            writer.close()

    async def head(self, reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            self.hung_up += 1
            return b""
        size = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        await reader.readexactly(sum(size))
        return head


class DrippingServer(RawServer):
    """Sends its replies byte by byte, those of all connections in turns, once each has been asked."""

    def __init__(self, replies):
        super().__init__(*replies)
        self._asked = asyncio.Event()

    async def serve(self, reader, writer):
        reply = self.replies[self.connections]
        self.connections += 1
        self.heads.append(await self.head(reader))
        if len(self.heads) == len(self.replies):
            self._asked.set()
        await self._asked.wait()
        for place in range(len(reply)):
            writer.write(reply[place : place + 1])
            await writer.drain()
            await asyncio.sleep(0)
        try:
            await reader.read()
        except (ConnectionError, asyncio.CancelledError):
            self.hung_up += 1
        finally:
            writer.close()


def talk(make, server, use, tls=None):
    """What ``use(get, transport)`` returns; ``get`` asks the server once, by TLS where that has a context of it."""

    async def main():
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
        port = listening.sockets[0].getsockname()[1]
        transport = make()

        def get(path="/x", body=None, headers=None, most=1000, user="", timeout=600.0):
            url = f"{'https' if tls else 'http'}://{user}127.0.0.1:{port}{path}"
            return transport.exchange(url, body, headers or {}, most, timeout)

        try:
            async with asyncio.timeout(300):
                await transport.__aenter__()
                try:
                    return await use(get, transport)
                finally:
                    await transport.close()
        finally:
            listening.close()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main())


async def leave(get, server):
    """Asks, and leaves before the reply has come; returns when the server has seen the connection end."""
    asked = asyncio.ensure_future(get())
    await until(lambda: server.heads)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await until(lambda: server.hung_up == 1)


def bodies(make, server, number, **asked):
    async def use(get, _):
        return [(await get(**asked)).body for _ in range(number)]

    return talk(make, server, use)
