"""Real local servers whose replies are written out, and an HTTP client that is connected to them."""

import asyncio
import json
from types import SimpleNamespace

from aiohttp import web
from aiohttp.test_utils import TestServer

from optscale_predictor.backends.http_client import JsonService


class Server:
    """Answers the n-th request with the n-th of ``replies``, the last one from then on; keeps what it was asked.

    A reply is JSON, or (status, JSON or text, headers), or a coroutine function of the request.
    """

    def __init__(self, *replies):
        self.replies, self.asked, self.under_way, self.most = replies, [], 0, 0

    async def handle(self, request):
        body = await request.read()
        self.asked.append(SimpleNamespace(method=request.method, path=request.path, body=body, headers=request.headers))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
            if callable(reply):
                return await reply(request)
            status, content, headers = reply if isinstance(reply, tuple) else (200, reply, {})
            text = content if isinstance(content, str) else json.dumps(content)
            return web.Response(status=status, text=text, headers=headers)
        finally:
            self.under_way -= 1


def fail(status, content="", **headers):
    return status, content, {name.replace("_", "-"): value for name, value in headers.items()}


def run(servers, use, urls=None, **options):
    """What ``use(service)`` returns, its service connected to the servers."""

    async def main():
        started = []
        for server in servers:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", server.handle)
            started.append(TestServer(app))
            await started[-1].start_server()
        found = [str(one.make_url("/v1")) for one in started]
        try:
            async with JsonService(urls(found) if urls else found, **{"timeout": 600.0, **options}) as service:
                return await use(service), service
        finally:
            for one in started:
                await one.close()

    return asyncio.run(main())


def ask(payload=None, read=lambda reply: reply["x"]):
    return lambda service: service.ask("/things", payload, read)


OK = {"x": 7}
