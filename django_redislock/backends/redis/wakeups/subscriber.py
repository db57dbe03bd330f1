"""The connection on which messages are pushed to this process, for one thread."""

from __future__ import annotations

import math
import socket
from functools import partial
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from ....clock import monotonic
from ..commands import pack
from ..sources.source import Source
from ..wire.driver import CHUNK, arrived, open_by
from ..wire.parser import Parser

__all__ = ["Subscriber"]

# A PING without an answer reveals a connection that a firewall has silently dropped. In seconds.
PING_AFTER = 15.0
PONG_WITHIN = 5.0

# A connection to a server that may no longer be the primary is given up, but not before it is this
# old (seconds): the address may go on leading to that server for a while.
OUTDATED_AFTER = 0.5


class Subscriber:
    """Closed at first. All failures raise ``RedisError`` or ``OSError``."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.sock: socket.socket | None = None
        self._parser = Parser()
        # When data last arrived (monotonic).
        self.received_at = 0.0
        self._pinged_at = -math.inf
        self._opened_at = 0.0
        # Whether another server may have become the primary since the connection was opened.
        self.is_outdated = False
        # Whether the server has failed to answer on another connection.
        self.is_doubted = False

    def open(self) -> None:
        """Connect with RESP2, in which messages arrive as replies."""
        self.is_outdated = self.is_doubted = False
        deadline = monotonic() + self._source.timeout
        settings = {"protocol": 2, "health_check_interval": 0} | self._user()
        open_by(deadline, partial(self._source.connection, deadline, **settings), self._keep)
        self._parser, self.received_at = Parser(), monotonic()
        self._opened_at = self.received_at

    def _user(self) -> dict[str, str]:
        """Return the user of a password without one, whom RESP3 names too.

        A server that asks for no password accepts any from this user, but refuses one alone.
        """
        kwargs = self._source.pool.connection_kwargs
        alone = kwargs.get("password") and not kwargs.get("username")
        return {"username": "default"} if alone else {}

    def _keep(self, sock: socket.socket) -> None:
        self.sock = sock

    def close(self) -> None:
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()

    def send(self, *words: str) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._source.timeout)
            self.sock.sendall(pack(*words))

    def reply(self) -> Any:
        """Wait for the reply to the only command that was sent."""
        (reply,) = self._parser.read(1, self._received)
        return reply

    def probe(self, now: float) -> float:
        """Send a PING in doubt, or if no data has come for a while.

        Return when to call again (monotonic).
        Raises ``OSError`` if the last PING was not answered, or the connection is outdated.
        """
        if self.is_outdated:
            if now >= self._opened_at + OUTDATED_AFTER:
                raise OSError("another server may be the primary now")
            return self._opened_at + OUTDATED_AFTER
        ping_at = self.received_at + PING_AFTER
        if self._pinged_at <= self.received_at:
            if now <= ping_at and not self.is_doubted:
                return ping_at
            self.is_doubted = False
            self.send("PING")
            self._pinged_at = now
        elif now > self._pinged_at + PONG_WITHIN:
            raise OSError("the server did not answer a PING")
        return self._pinged_at + PONG_WITHIN

    def messages(self) -> list[Any]:
        """The messages that have arrived, without waiting for more."""
        sock, found = self.sock, list[Any]()
        if sock is not None and sock.gettimeout() != 0:
            sock.settimeout(0)
        try:
            for data in arrived(sock):
                self.received_at = monotonic()
                found += self._parser.feed(data)
        except (RedisConnectionError, OSError):
            if not found:  # else the next call raises it
                raise
        return found

    def _received(self) -> bytes:
        data = self.sock.recv(CHUNK) if self.sock is not None else b""
        if not data:
            raise ConnectionError("the server closed the wake-up connection")
        return data
