"""Connections of an event loop that are used by one request at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = ["Exclusive"]

C = TypeVar("C")

# More requests than this wait for each other.
AT_ONCE = 32


class Exclusive(Generic[C]):
    """Connections, made when they are needed. Who takes one gives it back."""

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[], C]) -> None:
        self.made: list[C] = []
        self._loop = loop
        self._make = make
        self._idle: list[C] = []
        # Those who wait for a connection, in the order in which they came.
        self._line: deque[asyncio.Future[None]] = deque()

    async def take(self, within: float) -> C:
        """A connection that nobody uses. Raises ``redis.exceptions.TimeoutError``."""
        deadline = self._loop.time() + within
        while not self._idle:
            if len(self.made) < AT_ONCE:
                made = self._make()
                self.made.append(made)
                return made
            await self._wait(deadline)
        return self._idle.pop()

    def give_back(self, connection: C) -> None:
        self._idle.append(connection)
        self._ring()

    async def _wait(self, deadline: float) -> None:
        bell = self._loop.create_future()
        self._line.append(bell)
        try:
            await asyncio.wait([bell], timeout=deadline - self._loop.time())
            if not bell.done():
                raise RedisTimeoutError(f"All {AT_ONCE} connections for claims were in use.")
        except BaseException:
            with suppress(ValueError):
                self._line.remove(bell)
            if self._idle:  # the bell was for another
                self._ring()
            raise

    def _ring(self) -> None:
        if self._line:
            self._line.popleft().set_result(None)
