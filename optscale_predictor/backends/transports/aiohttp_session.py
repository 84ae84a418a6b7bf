"""Requests by aiohttp's client, which every installation with the extra ``server`` has."""

import asyncio
from typing import Any, Self

from optscale_predictor.backends.transports._transport import (
    BrokenReplyError,
    HttpReply,
    LargeReplyError,
    NoServerError,
    Transport,
    UnansweredError,
)


class AiohttpSession(Transport):
    """One session of aiohttp's client."""

    def __init__(self) -> None:
        import aiohttp

        self._aiohttp = aiohttp

    async def __aenter__(self) -> Self:
        """Opens the connections' pool."""
        tracing = self._aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_note_sent)
        self._session = self._aiohttp.ClientSession(
            trace_configs=[tracing],
            connector=self._aiohttp.TCPConnector(limit=0),
            cookie_jar=self._aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
        )
        return self

    async def close(self) -> None:
        """See :class:`Transport`."""
        await self._session.close()

    async def exchange(
        self, url: str, body: bytes | None, headers: dict[str, str], most: int, timeout: float
    ) -> HttpReply:
        """See :class:`Transport`."""
        limit = self._aiohttp.ClientTimeout(total=timeout)
        method, sent = "GET" if body is None else "POST", list[float]()
        try:
            request = self._session.request(
                method, url, data=body, headers=headers, timeout=limit, allow_redirects=False, trace_request_ctx=sent
            )
            async with request as response:
                read = bytearray()
                async for part in response.content.iter_any():
                    read += part
                    if len(read) > most:
                        response.close()  # whatever else comes is not waited for
                        raise LargeReplyError
                told = response.headers.get(self._aiohttp.hdrs.RETRY_AFTER, "")
                return HttpReply(response.status, bytes(read), told)
        except asyncio.CancelledError as error:
            if not sent:
                raise
            raise error from UnansweredError(asyncio.get_running_loop().time() - sent[0])
        except self._aiohttp.ClientConnectorError as error:
            raise NoServerError from error
        except (self._aiohttp.InvalidURL, self._aiohttp.NonHttpUrlClientError) as error:
            raise ValueError("not a URL") from error
        except TimeoutError:
            raise
        except self._aiohttp.ClientError as error:
            raise BrokenReplyError(type(error).__name__) from error


async def _note_sent(session: Any, context: Any, headers: Any) -> None:
    """Notes when a request was sent, in the list that came with it."""
    context.trace_request_ctx.append(asyncio.get_running_loop().time())
