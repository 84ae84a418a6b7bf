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
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from optscale_predictor._support.brief_lock import BriefLock
from optscale_predictor._support.garbage_collection import rare_collections
from optscale_predictor._support.priority_semaphore import PrioritySemaphore
from optscale_predictor.backends.failed_tries import (
    NoConnectionError,
    TransientError,
    meaning_of,
    meaning_of_status,
    parsed_or_retry,
    read_or_retry,
)
from optscale_predictor.backends.posted_json import PostedJson
from optscale_predictor.backends.reachability import Reachability
from optscale_predictor.backends.reply_size import most_reply
from optscale_predictor.backends.server_replies import status_within
from optscale_predictor.backends.server_urls import shown
from optscale_predictor.backends.transports import HttpReply, UnansweredError, open_transport
from optscale_predictor.errors import MissingExtraError, ServiceError, UnreachableError

T = TypeVar("T")

LONGEST_WAIT = 60.0  # seconds
LONGEST_FINDING_OUT = 2.0  # seconds: with a server slower than that, waiting for one reply costs more than it saves
_REST = 1.0  # seconds for which a server that failed is asked only if all did


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
        finding_out: The turn of a request that finds out something of the servers which others would pay for as well.
        retries: Requests sent again so far.
        reachability: Which of the servers cannot be reached.
        cancelled: Requests that a server had, and had not answered, when their caller left.
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
            import tenacity

            self._transport = open_transport()
        except ImportError as error:
            raise MissingExtraError(error.name or "aiohttp", "server") from None
        self._tenacity, self._collections = tenacity, rare_collections(concurrency)
        self._urls = [url.rstrip("/") for url in urls]
        self._timeout, self._max_retries, self._longest_wait = timeout, max_retries, longest_wait
        self._under_way: Counter[str] = Counter()
        self._rests_until: defaultdict[str, float] = defaultdict(float)
        self._key = os.environ.get("OPTSCALE_API_KEY") or os.environ.get("OPENAI_API_KEY") or ""
        self._posting = {url: self._headers(url, posted=True) for url in self._urls}
        self._slots, self.finding_out = PrioritySemaphore(concurrency), BriefLock(LONGEST_FINDING_OUT)
        self.retries, self.cancelled, self.reachability = 0, 0, Reachability(len(set(self._urls)))

    async def __aenter__(self) -> Self:
        """Opens what its connections need."""
        await self._transport.__aenter__()
        self._collections.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes them."""
        self._collections.__exit__(None, None, None)
        await self._transport.close()

    async def ask(self, path: str, payload: Mapping[str, object] | PostedJson | None, read: Callable[[Any], T]) -> T:
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
        posted = payload if payload is None or isinstance(payload, PostedJson) else PostedJson.of(payload)
        try:
            try:
                return await self._try(path, posted, read)
            except TransientError as error:
                return await self._again(error, path, posted, read)
        except TransientError as error:
            times = f" ({self._max_retries + 1} tries)" if self._max_retries else ""
            kind = UnreachableError if isinstance(error, NoConnectionError) else ServiceError
            raise kind(f"{error.server}: {error}{times}") from error

    async def _again(
        self, failure: TransientError, path: str, posted: PostedJson | None, read: Callable[[Any], T]
    ) -> T:
        """What a further try returns. The first is not made here: most requests have no other."""
        tries = self._tenacity.AsyncRetrying(
            stop=self._tenacity.stop_after_attempt(self._max_retries + 1),
            wait=self._wait,
            retry=self._tenacity.retry_if_exception_type(TransientError),
            before_sleep=self._count,
            reraise=True,
        )
        async for attempt in tries:
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise failure
                return await self._try(path, posted, read)
        raise failure

    async def _try(self, path: str, posted: PostedJson | None, read: Callable[[Any], T]) -> T:
        """One try, in one coroutine: each within another is kept alive until the reply comes.

        Raises:
            TransientError: Another may succeed.
        """
        url = self._urls[0]
        body, most, fields = (None, most_reply(None), ()) if posted is None else posted
        try:
            # A slot is held for one try, not for the wait before the next: a server that is down would else keep
            # requests from those that answer.
            if not self._slots.take_free():
                await self._slots.take()
            try:
                url = self._idlest()  # chosen anew for every try: the last one's server rests
                headers = self._headers(url, posted=False) if body is None else self._posting[url]
                self._under_way[url] += 1
                try:
                    got = await self._transport.exchange(f"{url}{path}", body, headers, most, self._timeout)
                except asyncio.CancelledError as error:
                    self.cancelled += isinstance(error.__cause__, UnansweredError)
                    raise
                except Exception as error:
                    raise meaning_of(error, url, self._timeout, most) from None
                finally:
                    self._under_way[url] -= 1
                reply = self._reply(url, got, fields)
            except TransientError as error:
                # As long as the server asks for (Retry-After), so that what it asks of one request holds for all.
                self._rests_until[url] = time.monotonic() + max(_REST, error.retry_after)
                raise
            finally:
                self._slots.release()
            return read_or_retry(read, reply, url)
        except TransientError as error:
            error.server = shown(url)
            raise

    def _idlest(self) -> str:
        """The URL with the fewest requests under way, of those that do not rest (of all, where all do).

        A server that refuses at once always has the fewest under way: without its rest it would draw every request.
        """
        if len(self._urls) == 1:
            return self._urls[0]
        now = time.monotonic()
        awake = [url for url in self._urls if self._rests_until[url] <= now]
        return min(awake or self._urls, key=lambda one: self._under_way[one])

    def _reply(self, url: str, got: HttpReply, fields: Collection[str]) -> Any:
        """What a server answered, parsed."""
        if self.reachability.down:
            self.reachability.note_up(shown(url))
        if got.status >= 300:
            raise meaning_of_status(url, got.status, f"{got.status}", got, self._key, fields)
        if (within := status_within(reply := parsed_or_retry(got.body))) >= 300:
            raise meaning_of_status(url, within, f"{got.status} with an error", got, self._key, fields)
        return reply

    def _headers(self, url: str, posted: bool) -> dict[str, str]:
        """What a request carries: the key, unless the URL brings a user's name and password of its own."""
        headers = {"Content-Type": "application/json"} if posted else {}
        if self._key and shown(url) == url:
            headers["Authorization"] = f"Bearer {self._key}"
        return headers

    def _wait(self, state: Any) -> float:
        """Seconds before the next try: half a second doubled each time, jittered; longer where the server says so.

        Jittered, because requests that failed together would else come back together. A server's word is heeded up to
        ``LONGEST_WAIT``: one that asks for an hour would stop a run without a message.
        """
        backed_off = self._tenacity.wait_random_exponential(multiplier=0.5, max=self._longest_wait)(state)
        return float(max(backed_off, min(state.outcome.exception().retry_after, LONGEST_WAIT)))

    def _count(self, state: Any) -> None:
        self.retries += 1
        if isinstance(error := state.outcome.exception(), NoConnectionError):
            self.reachability.note_down(error.server)
