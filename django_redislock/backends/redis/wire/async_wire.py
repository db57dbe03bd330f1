"""Connections to a server for coroutines: one for each event loop, shared by all of its tasks."""

from __future__ import annotations

import asyncio
import itertools
import math
import weakref
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from functools import partial
from os import getpid

from ....clock import monotonic
from ....process import process
from ..sources.source import Source
from .exclusive import Exclusive
from .replies import Replies
from .shared import SharedConnection

__all__ = ["AsyncWire"]

# Connections that a forked child must neither use nor close: the parent shares their selector.
_left_to_parent: list[object] = []

_numbers = itertools.count()


class AsyncWire:
    """Exchanges commands and replies with a server, for the tasks of all event loops."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._breaker = source.breaker
        self._failures = self._breaker.failures
        self._begin()

    def _begin(self) -> None:
        # The attribute under which a loop keeps its connections. They refer to their loop, so that
        # in any other place they would keep a loop for ever that nobody closes.
        self._attribute = f"_django_redislock_{next(_numbers)}"
        self._made: dict[weakref.ref[_LoopConnections], None] = {}

    async def aexchange(
        self, commands: Sequence[bytes], within: float | None = None, *, claim: bool = False
    ) -> Replies:
        """Send commands in one go; return their replies. ``claim`` is as in ``Node.exchange``.

        Raises ``redis.exceptions.TimeoutError`` if the replies take longer than ``within`` seconds
        or the connection's time-out; ``ServerAway`` at once if the server is known to be away.
        """
        if getpid() != process.pid:
            process.look()
        failures = self._failures
        if failures:
            self._breaker.refuse()
        loop = asyncio.get_running_loop()
        connections = vars(loop).get(self._attribute)
        if connections is None:
            connections = await self._connections_of(loop)
        replies: Replies = await connections.for_all.exchange(commands, within)
        if failures:
            self._breaker.answered()
        return replies

    async def aexchange_alone(
        self, prepare: Callable[[float], Sequence[bytes]], within: float | None = None
    ) -> Replies:
        """Like ``aexchange``, on a connection that no other task uses at the same time.

        ``prepare(left)`` returns the commands; ``left`` is the time (seconds) for the answer.
        """
        process.look()
        self._breaker.refuse()
        connections = await self._connections_of(asyncio.get_running_loop())
        deadline = monotonic() + min(math.inf if within is None else within, self.source.timeout)
        alone = await connections.alone.take(deadline - monotonic())
        try:
            left = deadline - monotonic()
            replies = await alone.exchange(prepare(left), left)
        except BaseException:
            # The next request would have to wait for the replies to this one.
            alone.close()
            raise
        finally:
            connections.alone.give_back(alone)
        self._breaker.answered()
        return replies

    async def _connections_of(self, loop: asyncio.AbstractEventLoop) -> _LoopConnections:
        connections: _LoopConnections | None = vars(loop).get(self._attribute)
        if connections is None:
            for earlier in self._all():
                if earlier.loop.is_closed():
                    earlier.leave()
            connections = vars(loop)[self._attribute] = _LoopConnections(self.source, loop)
            made = self._made
            made[weakref.ref(connections, lambda gone: made.pop(gone, None))] = None
            await anext(connections.closer)
        return connections

    def _all(self) -> list[_LoopConnections]:
        return [found for ref in list(self._made) if (found := ref()) is not None]

    def close(self) -> None:
        """Close the connections. Each event loop closes its own as soon as it gets to it."""
        for connections in self._all():
            with suppress(RuntimeError):  # the loop is closed, and its connections too
                connections.loop.call_soon_threadsafe(connections.close)

    def forget(self) -> None:
        """Leave all connections to the parent after a fork."""
        _left_to_parent.append(self._all())
        self._begin()


class _LoopConnections:
    """The connections of one event loop, which are closed when it ends."""

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.for_all = SharedConnection(source, loop)
        self.alone = Exclusive(loop, partial(SharedConnection, source, loop))
        self.closer = self._close_with_loop()

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        # Closing its unfinished async generators is all that a loop does before it ends.
        try:
            yield
        finally:
            for connection in self._all():
                connection.end()

    def close(self) -> None:
        for connection in self._all():
            connection.close()

    def leave(self) -> None:
        """Close the connections of a loop that was closed without ``shutdown_asyncgens()``.

        Otherwise they would stay open until they are garbage-collected.
        """
        for connection in self._all():
            connection.leave()

    def _all(self) -> list[SharedConnection]:
        return [self.for_all, *self.alone.made]
