"""Undocumented parts of redis-py that threads need.

redis-py opens a connection: it resolves the primary, does the TLS handshake, authenticates and
selects the database. Then the socket is taken over: its own way of sending and reading takes ten
function calls for each command.
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


# Older releases of redis-py know them in their client for a Cluster alone.
OF_CLUSTER: dict[str, Callable[[str], Exception]] = {
    "ASK": AskError,
    "CLUSTERDOWN": ClusterDownError,
    "MASTERDOWN": MasterDownError,
    "MOVED": MovedError,
    "TRYAGAIN": TryAgainError,
}


# How Redis 6.2 says that a command inside a script was refused.
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
    """Connect ``within`` seconds in all, and let ``keep`` have the socket.

    Raises what redis-py raises, and ``OSError``. How long Sentinels and name servers take to
    answer is counted, but not limited.
    """
    settings: Any = connection
    settings.retry = Retry(NoBackoff(), 0)
    # The one of hiredis crashes the process when a signal handler raises inside of it.
    settings._command_packer = PythonRespSerializer(
        settings._buffer_cutoff, settings.encoder.encode
    )
    _limit(connection, within)
    try:
        connection.connect()
        connected: socket.socket | None = connection._sock
        if connected is None:
            raise RedisConnectionError("The connection has no socket.")
        # At any time somebody has it who closes it: a connection that is dropped does.
        keep(connected)
        connection._sock = None
    except BaseException:
        connection.disconnect()
        raise


def _limit(connection: AbstractConnection, within: float) -> None:
    """Give a connection ``within`` seconds for all that it does from now on."""
    limited: Any = connection
    own = limited.socket_timeout, limited.socket_connect_timeout
    limited.deadline = monotonic() + within
    limited.__class__ = _limited(limited.__class__)
    limited.socket_timeout, limited.socket_connect_timeout = own


@cache
def _limited(kind: type) -> type:
    """The same class of connections, with that limit."""
    return type(kind.__name__, (_Limited, kind), {})


def _until_deadline(name: str) -> property:
    """A time-out that ends with the deadline of a connection, if not before."""
    own = f"_own_{name}"

    def read(connection: Any) -> float:
        left: float = connection.deadline - monotonic()
        if left <= 0:
            # An OSError, after which redis-py closes a socket that is not connected yet.
            raise TimeoutError("The server did not answer in time.")
        longest: float | None = getattr(connection, own)
        return left if longest is None else min(left, longest)

    return property(read, lambda connection, value: setattr(connection, own, value))


class _Limited:
    """Mixin that limits what redis-py does not: the time that all steps of connecting take."""

    deadline: float
    _sock: socket.socket
    socket_timeout = _until_deadline("socket_timeout")
    socket_connect_timeout = _until_deadline("socket_connect_timeout")

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        self._sock.settimeout(self.socket_timeout)
        return super().read_response(*args, **kwargs)  # type: ignore[misc] # of a class of redis-py
