"""Connections of an event loop that are used by one request at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from ..errors import NotAsked

__all__ = ["Exclusive"]

C = TypeVar("C")

# Maximum number of connections; further requests wait for one.
AT_ONCE = 32


class Exclusive(Generic[C]):
    """Connections, made on demand. A caller that takes one must give it back."""

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[], C]) -> None:
        self.made: list[C] = []
        self._loop = loop
        self._make = make
        # Empty while a request waits.
        self._idle: list[C] = []
        # The requests that wait for a connection, in order of arrival.
        self._line: deque[asyncio.Future[C]] = deque()

    async def take(self, within: float) -> C:
        """An unused connection. Raises ``NotAsked``."""
        if self._idle:
            return self._idle.pop()
        if len(self.made) < AT_ONCE:
            made = self._make()
            self.made.append(made)
            return made
        return await self._wait(within)

    def give_back(self, connection: C) -> None:
        """Give the connection to the first in line, so that a later request cannot overtake it."""
        if self._line:
            self._line.popleft().set_result(connection)
        else:
            self._idle.append(connection)

    async def _wait(self, within: float) -> C:
        turn: asyncio.Future[C] = self._loop.create_future()
        self._line.append(turn)
        try:
            await asyncio.wait([turn], timeout=within)
            if not turn.done():
                raise NotAsked(
                    f"all {AT_ONCE} connections of this event loop for claims were in use until "
                    "the time was over"
                )
        except BaseException:
            if turn.done():
                self.give_back(turn.result())
            else:
                with suppress(ValueError):
                    self._line.remove(turn)
            raise
        return turn.result()
