"""Requests by aiohttp's client, which every installation with the extra ``server`` has."""

from typing import Self

from optscale_predictor.backends.transports._transport import (
    BrokenReplyError,
    HttpReply,
    LargeReplyError,
    NoServerError,
    Transport,
)


class AiohttpSession(Transport):
    """One session of aiohttp's client."""

    def __init__(self) -> None:
        import aiohttp

        self._aiohttp = aiohttp

    async def __aenter__(self) -> Self:
        """Opens the connections' pool."""
        self._session = self._aiohttp.ClientSession(
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
        method = "GET" if body is None else "POST"
        try:
            sent = self._session.request(method, url, data=body, headers=headers, timeout=limit, allow_redirects=False)
            async with sent as response:
                read = bytearray()
                async for part in response.content.iter_any():
                    read += part
                    if len(read) > most:
                        response.close()  # whatever else comes is not waited for
                        raise LargeReplyError
                told = response.headers.get(self._aiohttp.hdrs.RETRY_AFTER, "")
                return HttpReply(response.status, bytes(read), told)
        except self._aiohttp.ClientConnectorError as error:
            raise NoServerError from error
        except (self._aiohttp.InvalidURL, self._aiohttp.NonHttpUrlClientError) as error:
            raise ValueError("not a URL") from error
        except TimeoutError:
            raise
        except self._aiohttp.ClientError as error:
            raise BrokenReplyError(type(error).__name__) from error
