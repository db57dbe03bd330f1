"""Bell of the thread of the wake-up connection, beside the messages on it."""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress

__all__ = ["Bell"]


class Bell:
    """One thread waits for it; any thread may ring, and nobody waits for that."""

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
        """Be woken, too, by what arrives at this socket."""
        if self._other is not None:
            self._selector.unregister(self._other)
        self._other = other
        if other is not None:
            self._selector.register(other, selectors.EVENT_READ)

    def wait(self, timeout: float) -> tuple[bool, bool]:
        """Return when somebody rings, something has arrived, or the time is over.

        Returns whether somebody rang, and whether something has arrived at the other socket.
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

    def close(self) -> None:
        self._selector.close()
        self._receiver.close()
        self._sender.close()
