"""How packed commands travel: over connections of django-redis's own pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from threading import BoundedSemaphore, RLock
from time import monotonic
from typing import Any

from redis.connection import ConnectionPool
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from ...exceptions import LockUnavailable, readable
from ...process import process
from .scripts import with_text

__all__ = [
    "Connections",
    "is_worth_a_retry",
    "unavailable",
]

# Few connections stay out of the pool between two commands: taking one from it costs as much as a
# third of a round trip. Small pools are left alone.
KEPT = 4
SMALL_POOL = 20

# A connection that was used so short a time ago (seconds) is taken to be open yet.
FRESH = 0.05

# A burst of threads queues here for a moment instead of opening a connection each.
AT_ONCE = 32


def is_worth_a_retry(error: Exception) -> bool:
    """Whether a new connection may answer: the old one was cut, or its server is a replica now.

    A time-out is not: the server is slow, and another attempt would only double the delay.
    """
    return isinstance(error, (RedisConnectionError, ReadOnlyError))


def unavailable(where: str, name: str, error: Exception) -> LockUnavailable:
    """The error that says what became of a command for a name, or for the list of them all."""
    what = f"The lock {readable(name)!r}" if name else "The list of locks"
    # Of a Sentinel that does not answer, redis-py shows the whole client.
    said = str(error).partition(" : <")[0]
    return LockUnavailable(
        f"{what} cannot be had: Redis ({where}) did not do what it was asked: {said}",
        name=name,
    )


class Connections:
    """Sends commands for all threads of the process; every one of them is safe to send twice."""

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool = pool
        self.forget()

    def forget(self) -> None:
        """Leave all connections to the parent after a fork."""
        if getattr(self.pool, "pid", None) not in (None, process.pid):
            # Another thread may have held it at the fork, and redis-py takes it to start anew.
            self.pool._lock = RLock()
        self._kept: deque[tuple[Any, float]] = deque()
        self._keep = 0 if self.pool.max_connections < SMALL_POOL else KEPT
        self._gate = BoundedSemaphore(max(1, min(AT_ONCE, self.pool.max_connections // 2)))

    def close(self) -> None:
        """Give the kept connections back to the pool."""
        with suppress(IndexError):  # another thread may do the same
            while True:
                self.pool.release(self._kept.pop()[0])

    def send(self, command: bytes) -> tuple[Any, bool]:
        """Return the reply, and whether the command was sent a second time after a reset."""
        replies, again = self.send_all([command])
        if isinstance(replies[0], Exception):
            raise replies[0]
        return replies[0], again

    def send_all(self, commands: Sequence[bytes]) -> tuple[list[Any], bool]:
        """Send commands in one go; an error reply stands in its place in the list."""
        try:
            return self._send_once(commands), False
        except (RedisError, OSError) as error:
            if not is_worth_a_retry(error):
                raise
        # The connections kept beside this one have most likely gone the same way.
        self.close()
        return self._send_once(commands), True

    def _send_once(self, commands: Sequence[bytes]) -> list[Any]:
        process.look()
        try:
            connection, used_at = self._kept.pop()
        except IndexError:
            with self._gate:
                return self._send_pooled(commands)
        if monotonic() - used_at > FRESH and _is_cut(connection):
            # Found out before the command is sent, so that it is sent once; see ``send``.
            connection.disconnect()
        try:
            return _exchange(connection, commands)
        finally:
            self._give_back(connection)

    def _send_pooled(self, commands: Sequence[bytes]) -> list[Any]:
        try:
            connection = self.pool.get_connection()
        except RedisConnectionError as error:
            if not _is_exhausted(error):
                raise
        else:
            try:
                return _exchange(connection, commands)
            finally:
                self._give_back(connection)
        # The cache's own users have taken all of the pool: a release must not fail for that.
        connection = self.pool.connection_class(**self.pool.connection_kwargs)
        try:
            return _exchange(connection, commands)
        finally:
            connection.disconnect()

    def _give_back(self, connection: Any) -> None:
        if len(self._kept) < self._keep:
            self._kept.append((connection, monotonic()))
        else:
            self.pool.release(connection)


def _is_cut(connection: Any) -> bool:
    try:
        return bool(connection.can_read(timeout=0))
    except (RedisError, OSError):
        return True


def _exchange(connection: Any, commands: Sequence[bytes]) -> list[Any]:
    try:
        connection.send_packed_command([b"".join(commands)], check_health=False)
        replies = [_read(connection) for _ in commands]
        for place, command in enumerate(commands):
            if isinstance(replies[place], NoScriptError):
                connection.send_packed_command([with_text(command)])
                replies[place] = _read(connection)
    except (AttributeError, ValueError) as error:
        # How redis-py fails when another thread closes the connection, or the whole pool.
        connection.disconnect()
        raise RedisConnectionError("The connection was closed while it was in use.") from error
    except BaseException:
        # A reply that nobody has read would answer the next command.
        connection.disconnect()
        raise
    return replies


def _read(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ReadOnlyError:
        raise
    except ResponseError as error:
        return error


def _is_exhausted(error: Exception) -> bool:
    # redis-py names this error by a class of its own only since version 6.
    return str(error) in {"Too many connections", "No connection available."}
