"""An open connection of an event loop. Requests go out at once; replies come in the same order."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from ssl import SSLWantWriteError
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError, NoScriptError, RedisError

from ....clock import monotonic
from ..errors import NotAsked, as_redis_error, is_worth_a_retry
from ..sources.source import Source
from .driver import Opening, arrived
from .parser import Parser

__all__ = ["AsyncLink", "Request"]


class Request:
    """Commands that a task has sent together, and whose replies it awaits."""

    __slots__ = (
        *("again", "commands", "deadline", "future", "replies", "retried", "sent_at"),
        "unknown_script",
    )

    def __init__(
        self, commands: Sequence[bytes], future: asyncio.Future[None], deadline: float
    ) -> None:
        self.commands = commands
        self.future = future
        self.deadline = deadline
        self.replies: list[Any] = []
        # When it was last sent (monotonic), if it was.
        self.sent_at = 0.0
        # Whether it was sent twice, and whether it has met an error: after another one it fails.
        self.again = self.retried = False
        self.unknown_script = False

    def fail(self, error: Exception) -> None:
        """Raise the error in the task, unless it has its replies or has stopped waiting."""
        if not self.future.done():
            self.future.set_exception(error)


class AsyncLink:
    """A connection that ends at the first error, and then calls ``on_end(link, error)``.

    ``on_end`` may be called twice. A request keeps its place when its task has stopped waiting, so
    that each reply is matched with its own request.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_end: Callable[[AsyncLink, Exception], None]
    ) -> None:
        self.unanswered: deque[Request] = deque()
        self._loop = loop
        self._on_end = on_end
        self._parser = Parser()
        self._sock: socket.socket | None = None
        self._unsent: list[bytes] = []
        # Whether a step is in progress. If an asynchronous exception has interrupted a step, the
        # order of the replies is in doubt.
        self._in_step = False

    async def open(self, source: Source) -> None:
        """Connect as redis-py does. Raises what redis-py raises, and ``NotAsked``.

        A thread of its own connects: callers that block may take all those of the loop's executor.
        """
        is_over = asyncio.Event()
        tell = partial(self._loop.call_soon_threadsafe, is_over.set)
        try:
            opening = Opening(lambda: source.connection(monotonic() + source.timeout), tell)
        except RuntimeError as error:
            raise NotAsked(f"no thread can be started that connects ({error})") from error
        try:
            await is_over.wait()
            self.take(opening.take())
        except BaseException:
            self._close()
            opening.give_up()
            raise

    def take(self, sock: socket.socket) -> None:
        """Use a connected socket."""
        self._sock = sock
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._read_arrived)

    def send(self, request: Request, now: float) -> None:
        """Send the commands of a request after those of all earlier requests."""
        if self._in_step or self._sock is None:
            self.end(RedisConnectionError("A request was interrupted while it was sent."))
            return
        self._in_step = True
        request.sent_at = now
        alone, had_unsent = not self.unanswered, bool(self._unsent)
        self.unanswered.append(request)
        self._unsent += request.commands
        if alone:
            self._write(self._sock)
        elif not had_unsent:
            # Commands that several tasks send in one iteration of the loop are written together.
            self._loop.call_soon(self._flush)
        self._in_step = False

    def _flush(self) -> None:
        if self._sock is None:
            return
        if self._in_step:
            self.end(RedisConnectionError("A request was interrupted while it was sent."))
            return
        self._in_step = True
        try:
            self._loop.remove_writer(self._sock.fileno())
            self._write(self._sock)
        except BaseException:
            self.end(RedisConnectionError("A request was interrupted while it was sent."))
            raise
        self._in_step = False

    def _write(self, sock: socket.socket) -> None:
        """Send as much as the socket takes, and the rest when it takes more."""
        data = b"".join(self._unsent)
        try:
            sent = sock.send(data)
        except (BlockingIOError, SSLWantWriteError):
            sent = 0
        except OSError as error:  # or TLS is renegotiated, and would have to read first
            self.end(as_redis_error(error))
            return
        self._unsent = [data[sent:]] if sent < len(data) else []
        if self._unsent:
            self._loop.add_writer(sock.fileno(), self._flush)

    def end(self, error: Exception) -> None:
        """Close the connection, and ignore whatever arrives afterwards."""
        self._close()
        self._on_end(self, error)

    def _close(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            sock.close()

    def _read_arrived(self) -> None:
        try:
            for data in arrived(self._sock):
                self.receive(data)
        except (RedisError, OSError) as error:
            self.end(as_redis_error(error) if isinstance(error, OSError) else error)
        except BaseException:  # meant for other code, but what had arrived is lost
            self.end(RedisConnectionError("A reply was interrupted while it was read."))
            raise

    def receive(self, data: bytes) -> None:
        """Read the replies in this data."""
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
