"""Bell that wakes the thread of the wake-up connection, as messages on the connection do."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from contextlib import suppress

from ....clock import monotonic

__all__ = ["Bell"]


class Bell:
    """One thread waits for it. Any thread may ring, which never blocks."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._receiver, selectors.EVENT_READ)
        self._other: socket.socket | None = None

    def ring(self) -> None:
        with suppress(OSError):  # it is ringing already, or the thread no longer waits
            self._sender.send(b"!")

    def hear_also(self, other: socket.socket | None) -> None:
        """Also wake up when data arrives at this socket."""
        if self._other is not None:
            self._selector.unregister(self._other)
        self._other = other
        if other is not None:
            self._selector.register(other, selectors.EVENT_READ)

    def wait(self, timeout: float) -> tuple[bool, bool]:
        """Wait until the bell rings, data arrives at the other socket, or the time is over.

        Return whether the bell rang, and whether data has arrived.
        """
        rung = has_arrived = False
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._receiver:
                rung = True
                with suppress(BlockingIOError):
                    while self._receiver.recv(1024):
                        pass
            else:
                has_arrived = True
        return rung, has_arrived

    def sleep(self, seconds: float, has_ended: Callable[[], bool]) -> None:
        """Wait for this time. A ring ends it only if ``has_ended()`` is true."""
        until = monotonic() + seconds
        while not has_ended() and (left := until - monotonic()) > 0:
            self.wait(left)

    def close(self) -> None:
        self._selector.close()
        self._receiver.close()
        self._sender.close()
