"""Undocumented parts of redis-py that threads need.

redis-py opens a connection: it resolves the primary, does the TLS handshake, authenticates and
selects the database. This module then takes over the socket, since redis-py's own way of sending
and reading takes ten function calls for each command.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from functools import cache
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

from ....clock import monotonic

__all__ = ["error_of", "open_socket"]


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


def open_socket(
    connection: AbstractConnection, within: float, keep: Callable[[socket.socket], object]
) -> None:
    """Connect within ``within`` seconds in total, and pass the socket to ``keep``.

    Raises what redis-py raises, and ``OSError``. The time that Sentinels and name servers take to
    answer is counted, but not limited.
    """
    settings: Any = connection
    settings.retry = Retry(NoBackoff(), 0)
    # The packer of hiredis crashes the process when a signal handler raises inside it.
    settings._command_packer = PythonRespSerializer(
        settings._buffer_cutoff, settings.encoder.encode
    )
    _limit(connection, within)
    try:
        connection.connect()
        connected: socket.socket | None = connection._sock
        if connected is None:
            raise RedisConnectionError("The connection has no socket.")
        # In this order, so that the socket always has an owner that closes it when deleted.
        keep(connected)
        connection._sock = None
    except UnicodeError as error:
        # No host can have this name. redis-py itself converts this error only for coroutines.
        raise RedisConnectionError(error) from error
    except BaseException:
        connection.disconnect()
        raise


def _limit(connection: AbstractConnection, within: float) -> None:
    """Give a connection ``within`` seconds for everything that it does from now on."""
    limited: Any = connection
    own = limited.socket_timeout, limited.socket_connect_timeout
    limited.deadline = monotonic() + within
    limited.__class__ = _limited(limited.__class__)
    limited.socket_timeout, limited.socket_connect_timeout = own


@cache
def _limited(kind: type) -> type:
    """Return a subclass of a connection class that has a deadline."""
    return type(kind.__name__, (_Limited, kind), {})


def _until_deadline(name: str) -> property:
    """Return a property: a time-out that never lasts beyond the connection's deadline."""
    own = f"_own_{name}"

    def read(connection: Any) -> float:
        left: float = connection.deadline - monotonic()
        if left <= 0:
            # On an OSError, redis-py closes a socket that is not connected yet.
            raise TimeoutError("The server did not answer in time.")
        longest: float | None = getattr(connection, own)
        return left if longest is None else min(left, longest)

    return property(read, lambda connection, value: setattr(connection, own, value))


class _Limited:
    """Mixin that limits the total time of all steps of connecting, which redis-py does not."""

    deadline: float
    _sock: socket.socket
    socket_timeout = _until_deadline("socket_timeout")
    socket_connect_timeout = _until_deadline("socket_connect_timeout")

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        self._sock.settimeout(self.socket_timeout)
        return super().read_response(*args, **kwargs)  # type: ignore[misc] # of a class of redis-py
