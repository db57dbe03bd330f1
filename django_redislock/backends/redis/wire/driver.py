"""Undocumented parts of redis-py, and what arrives at a socket that it has connected.

redis-py opens a connection: it resolves the primary, does the TLS handshake, authenticates and
selects the database. This module then takes over the socket, since redis-py's own way of sending
and reading takes ten function calls for each command.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
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
    TryAgainError,
)
from redis.retry import Retry

__all__ = ["CHUNK", "arrived", "error_of", "open_socket"]

CHUNK = 65536


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
