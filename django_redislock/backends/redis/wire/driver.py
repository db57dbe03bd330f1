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

__all__ = ["CHUNK", "CONNECTING", "arrived", "connecting", "error_of", "open_by", "open_socket"]

CHUNK = 65536

# The name of threads that connect, and how many of them may hang.
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
        connection.connect()
        connected: socket.socket | None = connection._sock
        if connected is None:
            raise RedisConnectionError("The connection has no socket.")
        # In this order, so that the socket always has an owner that closes it when deleted.
        keep(connected)
        connection._sock = None
    except UnicodeError as error:
        # No host can have this name.
        raise RedisConnectionError(error) from error
    except BaseException:
        connection.disconnect()
        raise


def open_by(
    deadline: float, make: Callable[[], AbstractConnection], keep: Callable[[socket.socket], object]
) -> None:
    """Like ``open_socket``. For a thread of ours, it ends by ``deadline`` (monotonic) in any case.

    A name server or a credential provider may never answer. A thread of its own waits for them
    then, since locks are renewed and handed over by one thread of ours for all callers.
    """
    if threading.get_ident() not in ServiceThread.own:
        open_socket(make(), keep)
        return
    if connecting() >= MOST_CONNECTING:
        raise NotAsked(f"{MOST_CONNECTING} threads of this process that connect hang")
    found: queue.SimpleQueue[socket.socket | BaseException] = queue.SimpleQueue()
    given_up: list[bool] = []

    def connect() -> None:
        try:
            open_socket(make(), found.put)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            found.put(error)
        if given_up:
            _close_all(found)

    try:
        threading.Thread(target=connect, name=CONNECTING, daemon=True).start()
    except RuntimeError:  # the process is ending
        open_socket(make(), keep)
        return
    try:
        result = take_within(found, deadline + LATE_BY - monotonic())
    except queue.Empty:
        given_up.append(True)
        _close_all(found)
        raise RedisTimeoutError("The server did not answer in time.") from None
    if isinstance(result, BaseException):
        raise result
    keep(result)


def _close_all(found: queue.SimpleQueue[socket.socket | BaseException]) -> None:
    with suppress(queue.Empty):
        while True:
            if isinstance(late := found.get_nowait(), socket.socket):
                late.close()


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
