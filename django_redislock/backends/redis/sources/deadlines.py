"""Deadlines of redis-py's blocking connections, for all steps of connecting together."""

from __future__ import annotations

import socket
from functools import cache
from typing import Any

from redis.connection import AbstractConnection

from ....clock import monotonic

__all__ = ["limit"]


def limit(connection: AbstractConnection, deadline: float) -> None:
    """Make everything that the connection does end by ``deadline`` (monotonic).

    The time that a name server takes to answer is counted, but not limited.
    """
    limited: Any = connection
    own = limited.socket_timeout, limited.socket_connect_timeout
    limited.deadline = deadline
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
