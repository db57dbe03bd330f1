"""Undocumented parts of redis-py that threads need.

redis-py opens a connection: it resolves the primary, does the TLS handshake, authenticates and
selects the database. Then the socket is taken over: its own way of sending and reading takes ten
function calls for each command.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
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

__all__ = ["error_of", "open_socket"]


# Older releases of redis-py know them in their client for a Cluster alone.
OF_CLUSTER: dict[str, Callable[[str], Exception]] = {
    "ASK": AskError,
    "CLUSTERDOWN": ClusterDownError,
    "MASTERDOWN": MasterDownError,
    "MOVED": MovedError,
    "TRYAGAIN": TryAgainError,
}


def error_of(text: str) -> Exception:
    """The exception that redis-py raises for an error reply."""
    code, _, rest = text.partition(" ")
    of_cluster = OF_CLUSTER.get(code)
    error: Exception = of_cluster(rest) if of_cluster else BaseParser.parse_error(text)
    return error


def open_socket(
    connection: AbstractConnection, within: float, keep: Callable[[socket.socket], object]
) -> None:
    """Connect, each step ``within`` seconds, and let ``keep`` have the socket."""
    settings: Any = connection
    settings.retry = Retry(NoBackoff(), 0)
    # The one of hiredis crashes the process when a signal handler raises inside of it.
    settings._command_packer = PythonRespSerializer(
        settings._buffer_cutoff, settings.encoder.encode
    )
    for name in ("socket_timeout", "socket_connect_timeout"):
        own = getattr(settings, name)
        setattr(settings, name, within if own is None else min(own, within))
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
