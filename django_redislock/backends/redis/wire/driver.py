"""Undocumented parts of redis-py, and what arrives at a socket that it has connected.

redis-py opens a connection: it resolves the primary, does the TLS handshake, authenticates and
selects the database. This module then takes over the socket, since redis-py's own way of sending
and reading takes ten function calls for each command.
"""

from __future__ import annotations

import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from ssl import SSLSocket, SSLWantReadError
from typing import Any

from redis._parsers.base import BaseParser
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, PythonRespSerializer
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError as RedisConnectionError,
    MasterDownError,
    MovedError,
    TimeoutError as RedisTimeoutError,
    TryAgainError,
)
from redis.retry import Retry

from ....clock import monotonic
from ....process import ServiceThread
from ....queues import take_within
from ..errors import NotAsked
from ..sources.hooks import opening

__all__ = ["CHUNK", "Opening", "arrived", "connecting", "error_of", "open_by"]

CHUNK = 65536

# The name of threads that connect, and how many of them may hang on behalf of our own threads.
CONNECTING = "django_redislock-connect"
MOST_CONNECTING = 32
# A connection usually ends by its deadline itself. It counts as hanging this much later (seconds).
LATE_BY = 0.25


# In older releases of redis-py only the client for a Cluster knows these errors.
OF_CLUSTER: dict[str, Callable[[str], Exception]] = {
    "ASK": AskError,
    "CLUSTERDOWN": ClusterDownError,
    "MASTERDOWN": MasterDownError,
    "MOVED": MovedError,
    "TRYAGAIN": TryAgainError,
}


# What Redis 6.2 puts before the error of a command inside a script.
_IN_SCRIPT = re.compile(r"ERR Error running script \(call to f_\w+\): (?:@user_script: ?\d+: )+-")


def error_of(text: str) -> Exception:
    """The exception that redis-py raises for an error reply."""
    if in_script := _IN_SCRIPT.match(text):
        text = text[in_script.end() :]
    code, _, rest = text.partition(" ")
    of_cluster = OF_CLUSTER.get(code)
    error: Exception = of_cluster(rest) if of_cluster else BaseParser.parse_error(text)
    return error


def open_socket(connection: AbstractConnection, keep: Callable[[socket.socket], object]) -> None:
    """Connect, and pass the socket to ``keep``. Raises what redis-py raises, and ``OSError``."""
    settings: Any = connection
    settings.retry = Retry(NoBackoff(), 0)
    # The packer of hiredis crashes the process when a signal handler raises inside it.
    settings._command_packer = PythonRespSerializer(
        settings._buffer_cutoff, settings.encoder.encode
    )
    try:
        with opening():
            connection.connect()
        connected: socket.socket | None = connection._sock
        if connected is None:
            raise RedisConnectionError("The connection has no socket.")
        # In this order, so that the socket always has an owner that closes it when deleted.
        keep(connected)
        connection._sock = None
    except BaseException:
        connection.disconnect()
        raise


class Opening:
    """A socket that is connected in a thread of its own, which calls ``over()`` at the end.

    Only that thread waits for a name server or a credential provider that never answers. Raises
    ``RuntimeError`` if no thread can be started.
    """

    def __init__(
        self, make: Callable[[], AbstractConnection], over: Callable[[], object] = lambda: None
    ) -> None:
        self._make = make
        self._over = over
        self._found: queue.SimpleQueue[socket.socket | BaseException] = queue.SimpleQueue()
        self._taken: socket.socket | None = None
        self._is_given_up = False
        threading.Thread(target=self._connect, name=CONNECTING, daemon=True).start()

    def take(self, within: float = 0.0) -> socket.socket:
        """Return the socket, or raise what redis-py raised; wait for at most ``within`` seconds."""
        try:
            found = take_within(self._found, within)
        except queue.Empty:
            raise RedisTimeoutError("The server did not answer in time.") from None
        if isinstance(found, BaseException):
            raise found
        self._taken = found
        return found

    def give_up(self) -> None:
        """Close the socket, also one that is connected later."""
        self._is_given_up = True
        found: object = self._taken
        with suppress(queue.Empty):
            found = self._found.get_nowait()
        if isinstance(found, socket.socket):
            found.close()

    def _connect(self) -> None:
        try:
            open_socket(self._make(), self._found.put)
        except BaseException as error:  # noqa: BLE001 - raised in the thread or task that waits
            self._found.put(error)
        if self._is_given_up:
            self.give_up()
        try:
            self._over()
        except RuntimeError:  # the event loop was closed
            self.give_up()


def open_by(
    deadline: float, make: Callable[[], AbstractConnection], keep: Callable[[socket.socket], object]
) -> None:
    """Like ``open_socket``. For a thread of ours, it ends by ``deadline`` (monotonic) in any case.

    Locks are renewed and handed over by one thread of ours for all callers.
    """
    if threading.get_ident() not in ServiceThread.own:
        open_socket(make(), keep)
        return
    if connecting() >= MOST_CONNECTING:
        raise NotAsked(
            f"{MOST_CONNECTING} threads of this process hang while they connect: a name server or "
            "a credential provider does not answer"
        )
    try:
        opening = Opening(make)
    except RuntimeError:  # the process is ending, or has as many threads as it may
        open_socket(make(), keep)
        return
    try:
        keep(opening.take(deadline + LATE_BY - monotonic()))
    except RedisTimeoutError:
        opening.give_up()
        raise


def connecting() -> int:
    """The number of threads that are connecting in this process."""
    return sum(thread.name == CONNECTING for thread in threading.enumerate())


def arrived(sock: socket.socket | None) -> Iterator[bytes]:
    """Yield the data that has arrived at a socket that does not block.

    Raises ``OSError``, and ``redis.exceptions.ConnectionError`` when the server has closed it.
    """
    while sock is not None:
        try:
            data = sock.recv(CHUNK)
        except (BlockingIOError, SSLWantReadError):
            return
        if not data:
            raise RedisConnectionError("The server closed the connection.")
        yield data
        # A selector does not report data that TLS has read ahead.
        if len(data) < CHUNK and not isinstance(sock, SSLSocket):
            return
