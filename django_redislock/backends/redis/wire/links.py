"""A blocking connection that serves one caller at a time."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from ssl import SSLWantReadError
from typing import Any

from redis.exceptions import (
    ConnectionError as RedisConnectionError,
    InvalidResponse,
    TimeoutError as RedisTimeoutError,
)

from ....clock import monotonic
from ..errors import as_redis_error, is_worth_a_retry
from ..scripts import to_be_sent_again
from ..sources.source import Source
from .driver import CHUNK, open_by
from .parser import ONE_REPLY, Parser

__all__ = ["Link"]

# A connection used within this time (seconds) is assumed to be still open, and not checked.
ASSUMED_OPEN = 0.05

_one_reply = ONE_REPLY.fullmatch


class Link:
    """A connection that opens when it is used. One caller has it at a time; see ``Node``.

    An exception may end an exchange at any point. So the link counts as dirty from before the
    first byte is sent until every reply was read. The next use of a dirty link reconnects it.
    """

    __slots__ = (
        *("_deadline", "_parser", "_source", "_timeout", "clean", "is_opening", "opened_at"),
        *("retired", "sock", "used_at"),
    )

    def __init__(self, source: Source) -> None:
        self._source = source
        self.sock: socket.socket | None = None
        self._parser = Parser()
        self.clean = False
        # When its last exchange began.
        self.used_at = 0.0
        # When it last began to connect.
        self.opened_at = 0.0
        # Whether its last exchange came no further than connecting, so that nothing was sent.
        self.is_opening = False
        # Whether another link has replaced it.
        self.retired = False
        # The current time-out of the socket.
        self._timeout = -1.0
        self._deadline = 0.0

    def exchange(self, commands: Sequence[bytes], within: float) -> list[Any]:
        """Send commands in one go; return their replies. Error replies are exceptions among them.

        Raises ``RedisError``; ``TimeoutError`` if the replies take longer than ``within`` seconds.
        """
        now = monotonic()
        self._deadline = now + within
        sock, clean, idle = self.sock, self.clean, now - self.used_at
        self.used_at, self.clean = now, False
        try:
            if sock is None or idle > ASSUMED_OPEN or not clean:
                sock = self._opened(clean)
            elif within != self._timeout:
                sock.settimeout(within)
                self._timeout = within
            sock.sendall(commands[0] if len(commands) == 1 else b"".join(commands))
            data = sock.recv(CHUNK)
            replies: list[Any]
            found = _one_reply(data) if len(commands) == 1 else None
            # The parser does the same, but calling it would take longer.
            if found and found[1]:
                replies, whole = [int(found[1])], True
            elif found and len(found[3]) == int(found[2]):
                replies, whole = [found[3]], True
            else:
                replies, whole = self._read(data, commands), self._parser.is_idle
            # An incomplete message that answers no command may have come with the replies.
            self.clean = whole
        except OSError as error:
            raise as_redis_error(error) from error
        finally:
            if not self.clean:
                self.close()
        return replies

    def _read(self, data: bytes, commands: Sequence[bytes]) -> list[Any]:
        try:
            replies = self._parser.read(len(commands), self._more, data)
            for reply in replies:
                if isinstance(reply, Exception):
                    self._look_at_errors(commands, replies)
                    break
        except (ValueError, IndexError) as error:
            raise InvalidResponse(f"The server sent an invalid reply: {error!r}") from error
        return replies

    def close(self) -> None:
        self.clean = False
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    __del__ = close

    def retire(self) -> None:
        """Interrupt whatever a caller may be doing with a link that was not given back."""
        self.retired = True
        if self.sock is not None:
            # Not close(): the file descriptor could be reused while the other thread still reads
            # from it. Not SSLSocket.shutdown() either: that thread would read on without TLS.
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    @property
    def is_fresh(self) -> bool:
        """Whether the link has connected, or tried to, in its last exchange."""
        return self.opened_at >= self.used_at

    def _opened(self, clean: bool) -> socket.socket:
        self.is_opening = True
        sock = self.sock
        if sock is None or not clean or not _is_open(sock):
            self.close()
            self.opened_at = monotonic()
            self._parser = Parser()
            make = partial(self._source.connection, self._deadline)
            open_by(self._deadline, make, self._keep)
            sock = self._connected()
        if self.retired:
            self.close()
            raise RedisConnectionError("The connection was given up.")
        self._timeout = self._left()
        sock.settimeout(self._timeout)
        self.is_opening = False
        return sock

    def _keep(self, sock: socket.socket) -> None:
        self.sock = sock

    def _connected(self) -> socket.socket:
        if self.sock is None:
            raise RedisConnectionError("The connection was closed while it was in use.")
        return self.sock

    def _left(self) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise RedisTimeoutError("The server did not answer in time.")
        return left

    def _more(self) -> bytes:
        sock, self._timeout = self._connected(), self._left()
        sock.settimeout(self._timeout)
        data = sock.recv(CHUNK)
        if not data:
            raise RedisConnectionError("The server closed the connection.")
        return data

    def _look_at_errors(self, commands: Sequence[bytes], replies: list[Any]) -> None:
        """Resend scripts that the server has forgotten. Raise errors that are worth a retry."""
        places, again = to_be_sent_again(commands, replies)
        if again:
            self._connected().sendall(b"".join(again))
            for place, reply in zip(places, self._parser.read(len(again), self._more), strict=True):
                replies[place] = reply
        for reply in replies:
            if isinstance(reply, Exception) and is_worth_a_retry(reply):
                raise reply


def _is_open(sock: socket.socket) -> bool:
    """Whether the server has neither closed the connection nor sent anything unexpected."""
    sock.settimeout(0)
    try:
        sock.recv(1)
    except (BlockingIOError, SSLWantReadError):
        return True
    except OSError:
        return False
    return False
