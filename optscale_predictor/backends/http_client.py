"""JSON over HTTP to one or several servers, on an event loop: every reply is read and checked, or asked for again.

A server that is busy (429), broken (5xx), slow (time-out), cut off, or that answers what cannot be read, is asked again
after a growing, jittered wait. Where there are several servers, one that just failed rests while others are asked. What
a server refuses for good (any other 4xx) is an error of that request alone. An error in a reply of status 200 counts as
what its code or type says.

The API key comes from the environment (``OPTSCALE_API_KEY``, else ``OPENAI_API_KEY``) and goes nowhere else: errors
show neither it nor a password in a URL.
"""

import asyncio
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from optscale_predictor._support.json_reader import MISSHAPEN, parse_json
from optscale_predictor.backends.server_replies import UnreadableReplyError, refused_field, said, status_within
from optscale_predictor.backends.server_urls import shown
from optscale_predictor.errors import InputError, MissingExtraError, RequestRefusedError, ServiceError, UnreachableError

T = TypeVar("T")

_RETRIED_STATUSES = (408, 409, 425, 429)  # and every 5xx
LONGEST_WAIT = 60.0  # seconds
_REST = 1.0  # seconds for which a server that failed is asked only if all did
MOST_REPLY = 2**26  # bytes of a reply, besides those of the tokens that were asked for
_MOST_TOKENS_REPLY = 2**30  # bytes of those
_TOKEN, _TOKEN_LOGPROBS = 64, 1024  # bytes of a token in a reply, at most; and with its log-probabilities


class _TransientError(Exception):
    """What may go away by itself; ``retry_after`` is the server's own word on when, in seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class _NoConnectionError(_TransientError):
    """The server could not be reached."""


class JsonService:
    """One service at one or several base URLs; an asynchronous context manager, one an event loop.

    Args:
        urls: Base URLs, for example ``http://127.0.0.1:8000/v1``; requests go to the one with the fewest under way.
        timeout: Seconds that one try may take, > 0.
        max_retries: How often a request is sent again, >= 0.
        concurrency: Most requests under way at once, >= 1, over all servers together; one that waits to be sent again
            is not under way.
        longest_wait: Seconds between two tries at most, > 0.

    Attributes:
        retries: Requests sent again so far.
        cancelled: Requests under way when their caller left.
    """

    def __init__(
        self,
        urls: Sequence[str],
        timeout: float,
        max_retries: int = 8,
        concurrency: int = 1024,
        longest_wait: float = LONGEST_WAIT,
    ) -> None:
        try:
            import aiohttp
            import tenacity
        except ImportError as error:
            raise MissingExtraError(error.name or "aiohttp", "server") from None
        self._aiohttp, self._tenacity = aiohttp, tenacity
        self._urls = [url.rstrip("/") for url in urls]
        self._timeout, self._max_retries, self._longest_wait = timeout, max_retries, longest_wait
        self._under_way: Counter[str] = Counter()
        self._rests_until: defaultdict[str, float] = defaultdict(float)
        self._key = os.environ.get("OPTSCALE_API_KEY") or os.environ.get("OPENAI_API_KEY") or ""
        self._slots = asyncio.Semaphore(concurrency)
        self._session: Any
        self.retries = self.cancelled = 0

    async def __aenter__(self) -> Self:
        """Opens the connections' pool."""
        self._session = self._aiohttp.ClientSession(
            connector=self._aiohttp.TCPConnector(limit=0),
            timeout=self._aiohttp.ClientTimeout(total=self._timeout),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes them."""
        await self._session.close()

    async def ask(self, path: str, payload: Mapping[str, object] | None, read: Callable[[Any], T]) -> T:
        """Asks for something and returns what ``read`` makes of the reply.

        Args:
            path: Below the base URLs.
            payload: What is posted, as JSON; None: nothing is, the path is got.
            read: Called with the parsed reply; one that it cannot read is asked for again.

        Raises:
            RequestRefusedError: The server refuses this request for good (400, 404, 422 and so on).
            UnreachableError: Every try failed, at last because nothing answers there.
            ServiceError: The server refuses the key, or every try failed otherwise.
        """
        tries = self._tenacity.AsyncRetrying(
            stop=self._tenacity.stop_after_attempt(self._max_retries + 1),
            wait=self._wait,
            retry=self._tenacity.retry_if_exception_type(_TransientError),
            before_sleep=self._count,
            reraise=True,
        )
        try:
            async for attempt in tries:
                with attempt:
                    # A slot is held for one try, not for the wait before the next: a server that is down would else
                    # keep requests from those that answer.
                    async with self._slots:
                        url = self._idlest()  # chosen anew for every try: the last one's server rests
                        reply = await self._once(url, path, payload)
                    return read_or_retry(read, reply, shown(url))
        except _TransientError as error:
            times = f" ({self._max_retries + 1} tries)" if self._max_retries else ""
            kind = UnreachableError if isinstance(error, _NoConnectionError) else ServiceError
            raise kind(f"{shown(url)}: {error}{times}") from error
        raise ServiceError(f"{path}: was not asked")

    def _idlest(self) -> str:
        """The URL with the fewest requests under way, of those that do not rest (of all, where all do).

        A server that refuses at once always has the fewest under way: without its rest it would draw every request.
        """
        now = time.monotonic()
        awake = [url for url in self._urls if self._rests_until[url] <= now]
        return min(awake or self._urls, key=lambda one: self._under_way[one])

    async def _once(self, url: str, path: str, payload: Mapping[str, object] | None) -> Any:
        """One try: the parsed reply."""
        try:
            status, body, retry_after = await self._exchange(url, path, payload)
            self._require_answer(url, status, f"{status}", body, payload, retry_after)
            reply = _parsed(body)
            within = status_within(reply)
            self._require_answer(url, within, f"{status} with an error", body, payload, retry_after)
            return reply
        except _TransientError as error:
            # As long as the server asks for (Retry-After), so that what it asks of one request holds for all.
            self._rests_until[url] = time.monotonic() + max(_REST, error.retry_after)
            raise

    async def _exchange(self, url: str, path: str, payload: Mapping[str, object] | None) -> tuple[int, bytes, str]:
        """One try's status, body and ``Retry-After``."""
        self._under_way[url] += 1
        try:
            send = self._session.get if payload is None else self._session.post
            async with send(f"{url}{path}", json=payload, headers=self._headers(url)) as response:
                told = response.headers.get(self._aiohttp.hdrs.RETRY_AFTER, "")
                return response.status, await _body(response, most_reply(payload), shown(url)), told
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        except TimeoutError:
            raise _TransientError(f"no answer within {self._timeout:g} s") from None
        except self._aiohttp.ClientConnectorError:
            raise _NoConnectionError("cannot connect; is the server up?") from None
        except self._aiohttp.InvalidURL:
            raise ServiceError(f"{shown(url)}: not a URL") from None
        except self._aiohttp.ClientError as error:
            raise _TransientError(f"the connection broke ({type(error).__name__})") from None
        finally:
            self._under_way[url] -= 1

    def _headers(self, url: str) -> dict[str, str]:
        """The key, unless the URL brings a user's name and password of its own."""
        if not self._key or shown(url) != url:
            return {}
        return {self._aiohttp.hdrs.AUTHORIZATION: f"Bearer {self._key}"}

    def _require_answer(
        self, url: str, status: int, shown_status: str, body: bytes, payload: Mapping[str, object] | None, wait: str
    ) -> None:
        if status < 400:
            return
        message = f"the server answered {shown_status}{said(body, self._key)}"
        if status in (401, 403):
            raise ServiceError(f"{shown(url)}: the server refuses the key ({status}); check OPTSCALE_API_KEY")
        if status in _RETRIED_STATUSES or status >= 500:
            raise _TransientError(message, _seconds(wait))
        raise RequestRefusedError(f"{shown(url)}: {message}", refused_field(body, payload or ()))

    def _wait(self, state: Any) -> float:
        """Seconds before the next try: half a second doubled each time, jittered; longer where the server says so.

        Jittered, because requests that failed together would else come back together. A server's word is heeded up to
        ``LONGEST_WAIT``: one that asks for an hour would stop a run without a message.
        """
        backed_off = self._tenacity.wait_random_exponential(multiplier=0.5, max=self._longest_wait)(state)
        return float(max(backed_off, min(state.outcome.exception().retry_after, LONGEST_WAIT)))

    def _count(self, _: Any) -> None:
        self.retries += 1


def read_or_retry(read: Callable[[Any], T], reply: Any, server: str) -> T:
    """What ``read`` makes of a reply; one that it cannot read is transient, whatever it stumbles on.

    Args:
        read: Reads it.
        reply: As it was parsed from JSON.
        server: What errors call the server.

    Raises:
        ServiceError: ``read`` says that no other reply is worth asking for; names the server.
    """
    try:
        return read(reply)
    except UnreadableReplyError as error:
        raise _TransientError(str(error)) from error
    except ServiceError as error:
        raise ServiceError(f"{server}: {error}") from error
    except InputError:
        raise
    except MISSHAPEN as error:
        raise _TransientError(
            f"its reply cannot be read ({type(error).__name__}); is this an OpenAI-compatible server?"
        ) from error


def most_reply(payload: Mapping[str, object] | None) -> int:
    """Bytes that the reply to a request may have: ``MOST_REPLY``, and what the tokens take that it asks for.

    Args:
        payload: What is posted; ``n``, ``max_tokens`` and ``logprobs`` are looked at.
    """
    asked = payload or {}
    limits = [asked.get(name) for name in ("max_tokens", "max_completion_tokens")]
    tokens = max([one for one in limits if isinstance(one, int)], default=0)
    samples = count if isinstance(count := asked.get("n", 1), int) else 1
    logprobs = asked.get("logprobs")  # 0 of them is the token's own
    width = _TOKEN if logprobs is None or logprobs is False else _TOKEN_LOGPROBS
    return MOST_REPLY + min(_MOST_TOKENS_REPLY, samples * tokens * width)


async def _body(response: Any, most: int, server: str) -> bytes:
    """A reply's body, unpacked, which is not read on beyond its limit.

    Raises:
        RequestRefusedError: It is larger. Another try would be as large.
    """
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > most:
            response.close()  # whatever else comes is not waited for
            raise RequestRefusedError(f"{server}: its reply has more than {most:,} bytes; is this the right server?")
    return bytes(body)


def _seconds(told: str) -> float:
    """What a ``Retry-After`` asks for; 0 where it says a date, or what is no number."""
    return float(told) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", told) else 0.0


def _parsed(body: bytes) -> Any:
    try:
        return parse_json(body, "its reply", half_pairs=True)
    except InputError as error:
        raise _TransientError(f"{error}; is this an OpenAI-compatible server?") from None
