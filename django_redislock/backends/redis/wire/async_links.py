"""An open connection of an event loop. Requests go out at once; replies come in the same order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from redis.exceptions import ConnectionError as RedisConnectionError, NoScriptError, RedisError

from ..errors import is_worth_a_retry
from ..sources.source import Source
from .async_driver import drop_streams, open_transport
from .parser import Parser

__all__ = ["AsyncLink", "Request"]


class Request:
    """Commands that a task has sent together, and whose replies it awaits."""

    __slots__ = (
        *("again", "commands", "deadline", "future", "link", "replies", "sent_at"),
        "unknown_script",
    )

    def __init__(
        self, commands: Sequence[bytes], future: asyncio.Future[None], deadline: float
    ) -> None:
        self.commands = commands
        self.future = future
        self.deadline = deadline
        self.replies: list[Any] = []
        self.link: AsyncLink | None = None
        self.sent_at = 0.0
        self.again = False
        self.unknown_script = False

    def fail(self, error: Exception) -> None:
        """Raise the error in the task, unless it has its replies or has stopped waiting."""
        if not self.future.done():
            self.future.set_exception(error)


class AsyncLink(asyncio.Protocol):
    """A connection that ends at the first error, and then calls ``on_end(link, error)``.

    ``on_end`` may be called twice. A request keeps its place when its task has stopped waiting, so
    that each reply is matched with its own request.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_end: Callable[[AsyncLink, Exception], None]
    ) -> None:
        self.unanswered: deque[Request] = deque()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._on_end = on_end
        self._parser = Parser()
        self._connection: Any = None
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        # Whether a step is in progress. If an asynchronous exception has interrupted a step, the
        # order of the replies is in doubt.
        self._in_step = False

    async def open(self, source: Source) -> None:
        """Connect as redis-py does. Raises what redis-py raises."""
        self._connection = source.async_connection()
        await open_transport(self._connection, self)

    def send(self, request: Request, now: float) -> None:
        """Send the commands of a request after those of all earlier requests."""
        if self._in_step or self._transport is None:
            self.end(RedisConnectionError("A request was interrupted while it was sent."))
            return
        self._in_step = True
        request.link = self
        request.sent_at = now
        commands = request.commands
        data = commands[0] if len(commands) == 1 else b"".join(commands)
        alone = not self.unanswered
        self.unanswered.append(request)
        if alone and not self._unsent:
            self._transport.write(data)
        else:
            # Commands that several tasks send in one iteration of the loop are written together.
            if not self._unsent:
                self._loop.call_soon(self._flush)
            self._unsent.append(data)
        self._in_step = False

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None:
            self._transport.write(b"".join(unsent))

    def end(self, error: Exception) -> None:
        """Close the connection, and ignore whatever arrives afterwards."""
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.abort()
        self._on_end(self, error)

    # Callbacks of asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._in_step:
            self.end(RedisConnectionError("A reply was interrupted while it was read."))
            return
        self._in_step = True
        try:
            self._read(data)
        except (RedisError, ValueError, IndexError) as error:
            self.end(RedisConnectionError(f"The server sent an invalid reply: {error!r}"))
        self._in_step = False

    def _read(self, data: bytes) -> None:
        unanswered = self.unanswered
        for reply in self._parser.feed(data):
            request = unanswered[0]
            if isinstance(reply, Exception):
                if is_worth_a_retry(reply):
                    self.end(reply)
                    return
                request.unknown_script |= isinstance(reply, NoScriptError)
            request.replies.append(reply)
            if len(request.replies) == len(request.commands):
                # In this order, so that a request interrupted here is still in the queue.
                if not request.future.done():
                    request.future.set_result(None)
                unanswered.popleft()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        drop_streams(self._connection)
        if not self.closed.done():
            self.closed.set_result(None)
        why = f"Connection closed by server. {error or ''}".rstrip()
        self._on_end(self, RedisConnectionError(why))
