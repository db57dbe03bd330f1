"""Connection of an event loop that its tasks use at the same time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from redis.exceptions import (
    AuthenticationError,
    ConnectionError as RedisConnectionError,
    ReadOnlyError,
    RedisError,
    TimeoutError as RedisTimeoutError,
)

from ....clock import monotonic
from ..errors import NoAnswer, copy_of, is_worth_a_retry, marked
from ..scripts import to_be_sent_again
from ..sources.source import Source
from .async_links import AsyncLink, Request
from .driver import connecting
from .replies import Replies

__all__ = ["SharedConnection"]

# An opening is lost if it takes this much longer (seconds) than its time-out: a name server or a
# credential provider may never answer. Each thread that connects already adds as much, so
# that threads that hang pile up ever more slowly.
LOST_AFTER = 2.0

# A timer this late (seconds) shows that the loop was blocked, and could not read any reply.
BLOCKED = 0.05


class SharedConnection:
    """A connection that opens at the first request, and reopens when it has broken."""

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._loop = loop
        self._timeout = source.timeout
        # Every request that a task waits for, in order of arrival.
        self._requests: dict[Request, None] = {}
        self._link: AsyncLink | None = None
        self._opening: asyncio.Task[None] | None = None
        # When the opening counts as lost (monotonic).
        self._lost_at = 0.0
        # One timer for the earliest deadline of all requests.
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = math.inf
        # Whether the requests were given the time back in which the loop was blocked.
        self._was_late = False
        # Whether the loop is ending. The connection then closes as soon as no request is pending.
        self._ends = False

    async def exchange(self, commands: Sequence[bytes], within: float | None) -> Replies:
        """Send commands and return their replies. Resend scripts that the server has forgotten."""
        now = monotonic()
        limit = self._timeout if within is None or within > self._timeout else within
        request = Request(commands, self._loop.create_future(), now + limit)
        self._requests[request] = None
        try:
            if self._link is not None:
                self._link.send(request, now)
            else:
                self._open()
            if request.deadline < self._rings_at:
                self._ring_at(request.deadline)
            await request.future
        except RedisError as error:
            took, fresh = monotonic() - now, not request.sent_at
            self._source.breaker.failed(error, took, self._timeout, fresh=fresh)
            marked(error, sent=not fresh)
            raise
        finally:
            self._requests.pop(request, None)
            if self._ends:
                self._close_when_idle()
        if request.unknown_script:
            await self._send_texts(request)
        return Replies(request.replies, request.again)

    async def _send_texts(self, request: Request) -> None:
        places, again = to_be_sent_again(request.commands, request.replies)
        replies, twice = await self.exchange(again, request.deadline - monotonic())
        for place, reply in zip(places, replies, strict=True):
            request.replies[place] = reply
        request.again |= twice

    # Opening and losing the connection.

    def _open(self) -> None:
        if self._opening is None or self._opening.done():
            self._opening = self._loop.create_task(self._open_link())
            self._opening.add_done_callback(self._opened)
            self._lost_at = monotonic() + self._timeout + LOST_AFTER * (1 + connecting())
        elif monotonic() > self._lost_at:
            self._opening.cancel()  # and another one begins

    def _opened(self, opening: asyncio.Task[None]) -> None:
        # It was cancelled, or an asynchronous exception that was meant for other code has hit it.
        was_interrupted = opening.cancelled() or opening.exception() is not None
        if self._link is None and self._pending():
            self._open()
        elif self._link is not None and was_interrupted:
            self._link.end(RedisConnectionError("The opening of a connection was interrupted."))

    async def _open_link(self) -> None:
        link = AsyncLink(self._loop, self._ended)
        try:
            await link.open(self._source)
        except Exception as error:  # noqa: BLE001 - raised in every waiting task
            # As for threads: a connection that was cut is opened once more.
            is_final = isinstance(error, AuthenticationError) or not is_worth_a_retry(error)
            for request in self._pending():
                if is_final or request.retried:
                    request.fail(copy_of(error))
                request.retried = True
            return
        self._link, self._opening = link, None
        now = monotonic()
        for request in self._pending():
            # Tokens make it safe to resend commands that the old connection may have delivered.
            request.again = request.sent_at > 0
            request.replies, request.unknown_script = [], False
            link.send(request, now)

    def _ended(self, link: AsyncLink, error: Exception) -> None:
        if link is not self._link:
            return
        self._link = None
        if isinstance(error, ReadOnlyError):
            self._source.note_demotion()
        for request in [*self._requests]:
            if request.retried:
                request.fail(copy_of(error))
            request.retried = True
        if self._pending():
            self._open()

    def _pending(self) -> list[Request]:
        return [request for request in [*self._requests] if not request.future.done()]

    # Deadlines.

    def _ring_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(when - monotonic(), self._ring)
        self._rings_at = when

    def _ring(self) -> None:
        now, next_at = monotonic(), math.inf
        late = now - self._rings_at
        self._timer, self._rings_at = None, math.inf
        self._was_late = late > BLOCKED and not self._was_late
        if self._was_late:
            # A blocked loop is not mistaken for the server. Once, since a loop may always be late.
            self._ring_at(now + min(late, self._timeout))
            return
        for request in self._pending():
            if request.deadline <= now:
                timed_out = RedisTimeoutError("The server did not answer in time.")
                request.fail(NoAnswer() if self._link else timed_out)
            else:
                next_at = min(next_at, request.deadline)
        if self._link is not None and self._link.unanswered:
            silent_until = self._link.unanswered[0].sent_at + self._timeout
            if silent_until <= now:
                self._link.end(NoAnswer())
            else:
                next_at = min(next_at, silent_until)
        if next_at < self._rings_at:
            self._ring_at(next_at)

    # Closing.

    def close(self) -> None:
        """Close the connection. Pending requests are sent again on a new one."""
        if self._link is not None:
            self._link.end(RedisConnectionError("The lock backend was closed."))
        elif self._opening is not None and not self._pending():
            self._opening.cancel()

    def end(self) -> None:
        """Close the connection at the end of the loop.

        Other async generators that the loop closes may still have or send requests.
        """
        self._ends = True
        self._close_when_idle()

    def leave(self) -> None:
        """Close the connection of a closed loop, which runs no task that could be notified."""
        link, self._link = self._link, None
        if link is not None:
            link.end(RedisConnectionError("The event loop was closed."))

    def _close_when_idle(self) -> None:
        if not self._requests:
            self.close()
