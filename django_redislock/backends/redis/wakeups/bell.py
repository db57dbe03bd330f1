"""Bell that wakes the thread of the wake-up connection, as messages on the connection do."""

from __future__ import annotations

import select
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
        # Not a selector: its Python code would run between a turn and the waiter that gets it.
        self._poll = select.poll()
        self._poll.register(self._receiver, select.POLLIN)
        self._other: int | None = None

    def ring(self) -> None:
        with suppress(OSError):  # it is ringing already, or the thread no longer waits
            self._sender.send(b"!")

    def hear_also(self, other: socket.socket | None) -> None:
        """Also wake up when data arrives at this socket."""
        if self._other is not None:
            self._poll.unregister(self._other)
        self._other = other.fileno() if other is not None else None
        if self._other is not None:
            self._poll.register(self._other, select.POLLIN)

    def wait(self, timeout: float) -> tuple[bool, bool]:
        """Wait until the bell rings, data arrives at the other socket, or the time is over.

        Return whether the bell rang, and whether data has arrived.
        """
        rung = has_arrived = False
        for ready, _ in self._poll.poll(timeout * 1000):
            if ready == self._other:
                has_arrived = True
            else:
                rung = True
                with suppress(BlockingIOError):
                    while self._receiver.recv(1024):
                        pass
        return rung, has_arrived

    def sleep(self, seconds: float, has_ended: Callable[[], bool]) -> None:
        """Wait for this time. A ring ends it only if ``has_ended()`` is true."""
        until = monotonic() + seconds
        while not has_ended() and (left := until - monotonic()) > 0:
            self.wait(left)

    def close(self) -> None:
        self._receiver.close()
        self._sender.close()
