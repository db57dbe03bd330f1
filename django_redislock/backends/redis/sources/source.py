"""Source of connections: where the server of a backend is, and how redis-py connects to it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.asyncio.connection import AbstractConnection as AsyncConnection
from redis.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import RedisError, ResponseError
from redis.sentinel import SentinelConnectionPool

from ....conf import LockConfig
from ....exceptions import InvalidLockBackend
from ....names import dotted_path
from ..breaker import breaker_of, ignore
from ..slots import Address, owners
from .caches import pool_of_cache
from .deadlines import limit
from .hooks import opening, with_hooks
from .locations import check_options, is_internal, pool_at, start_nodes
from .sentinels import Sentinels, timeout_of

__all__ = ["ClusterSource", "Source", "source_of"]

# Time-out (seconds) of a connection whose settings name none.
TIMEOUT = 5.0

# redis-py's own classes, which have an address.
_WITH_ADDRESS = frozenset((Connection, SSLConnection, UnixDomainSocketConnection))

# We retry requests, check connections and decode replies ourselves.
_DONE_OTHERWISE = frozenset(
    ("retry", "retry_on_timeout", "retry_on_error", "health_check_interval", "decode_responses")
)


def source_of(config: LockConfig, options: Mapping[str, Any], own: list[str]) -> Source:
    """Return the source that an entry of ``LOCKS`` names. Raises ``InvalidLockBackend``.

    ``options`` are the options of the connection, ``own`` the names of the backend's own options.
    """
    where = f"LOCKS[{config.alias!r}]"
    check_options(options, own, config.location, where)
    if config.location:
        pool, of = pool_at(config.location, options, where), ""
        entry = f"{where}['LOCATION'] with {where}['OPTIONS']"
    else:
        pool, of = pool_of_cache(config), f"cache {config.cache!r}"
        entry = f"CACHES[{config.cache!r}], which {where} uses,"
    try:
        start = start_nodes(config.location)
        source = ClusterSource(pool, start, where, of) if start else Source(pool, where, of)
        source.connection()
    except (TypeError, ValueError, AttributeError, RedisError) as error:
        raise InvalidLockBackend(
            f"{entry} cannot be used for a connection: {type(error).__name__}: {error}."
        ) from error
    return source


class Source:
    """A server and database, and the way to connect to them.

    ``where`` and ``at`` are for messages: the entry of the settings, and the address of the server.
    ``of``: what ``where`` calls the server, if not by its address, such as "cache 'default'".
    ``place`` is equal for two sources of the same database.
    """

    def __init__(self, pool: ConnectionPool, where: str, of: str = "") -> None:
        # For its settings only: no connection is ever taken from this pool.
        self.pool = pool
        kwargs = pool.connection_kwargs
        self.timeout = timeout_of(kwargs, "socket_timeout", TIMEOUT)
        self._connect_timeout = timeout_of(kwargs, "socket_connect_timeout", self.timeout)
        self.database = int(kwargs.get("db") or 0)
        made_by = pool.connection_class
        self._kind = made_by if isinstance(made_by, type) else type(made_by(**self._kwargs()))
        address, self.at, server = self._found_at(kwargs)
        self.place = (server, self.database)
        # Shared by all sources of this server. A TLS handshake that hangs says nothing about
        # connections without TLS, so these have another. If only the connection class knows the
        # address, its connections may lead to several servers, so the breaker is that of the pool.
        secure = issubclass(self._kind, SSLConnection)
        self.breaker = breaker_of(pool if server is pool.connection_class else (server, secure))
        called = of or address
        by_tls = " by TLS" if secure and not called.startswith("rediss://") else ""
        self.where = f"{where}, {called}{by_tls}"
        # Called with the source after a connection was found to lead to a replica.
        self.on_demoted: Callable[[Source], object] = ignore
        self._refuse_unusable(kwargs)
        self._sentinels = (
            Sentinels(pool, self.timeout) if isinstance(pool, SentinelConnectionPool) else None
        )

    def connection(self, deadline: float = math.inf, **other: Any) -> AbstractConnection:
        """Return a new connection, not connected yet. ``other`` overrides the settings.

        Whatever it does ends by ``deadline`` (monotonic), so one with a deadline is only to be
        opened: take over its socket then.
        """
        kwargs = self._kwargs() | other
        if self._sentinels is not None:
            kwargs["connection_pool"] = self._sentinels.primary(deadline)
        connection: AbstractConnection = self.pool.connection_class(**kwargs)
        if deadline < math.inf:
            limit(connection, deadline)
        return connection

    def note_demotion(self) -> None:
        """Note that a connection leads to a replica. The next ones should not."""
        if self._sentinels is not None:
            self._sentinels.doubt()
        self.on_demoted(self)

    def client(self) -> Redis:
        """Return a client for commands about the server as a whole."""
        connect: Callable[..., Any] = lambda **_: self.connection()  # noqa: E731 - typed
        return Redis(connection_pool=_Pool(connection_class=connect))

    def servers(self) -> list[Source]:
        """Return the source of each server that has locks. Raises what redis-py raises."""
        return [self]

    def node_at(self, host: str, port: int) -> Source:
        """Return the source of another node, with the same connection settings."""
        made_by = self.pool.connection_class
        if isinstance(self.pool, SentinelConnectionPool):
            made_by = SSLConnection if issubclass(self._kind, SSLConnection) else Connection
        elif issubclass(self._kind, UnixDomainSocketConnection):
            made_by = Connection
        kwargs = {
            name: value
            for name, value in self.pool.connection_kwargs.items()
            if name not in {"connection_pool", "path"}
        }
        pool = ConnectionPool(**kwargs | {"connection_class": made_by, "host": host, "port": port})
        return Source(pool, self.where)

    def _kwargs(self) -> dict[str, Any]:
        kwargs = {
            name: value
            for name, value in self.pool.connection_kwargs.items()
            if name not in _DONE_OTHERWISE and not is_internal(name)
        }
        return with_hooks(kwargs) | {
            "socket_timeout": self.timeout,
            "socket_connect_timeout": self._connect_timeout,
        }

    def _found_at(self, kwargs: Mapping[str, Any]) -> tuple[str, str, Hashable]:
        """Return the location, the address for messages, and a key that identifies the server."""
        if isinstance(self.pool, SentinelConnectionPool):
            service = str(self.pool.service_name)
            known = [
                client.connection_pool.connection_kwargs
                for client in self.pool.sentinel_manager.sentinels
            ]
            sentinels = [Address(str(one.get("host")), one.get("port", 0)) for one in known]
            hosts = ",".join(map(str, sentinels))
            address = f"sentinel://{hosts}/{service}/{self.database}"
            return address, f"the Sentinels {hosts}", (frozenset(sentinels), service)
        if path := kwargs.get("path"):
            return f"unix://{path}?db={self.database}", str(path), str(path)
        if "host" not in kwargs and self.pool.connection_class not in _WITH_ADDRESS:
            # Only the connection class knows the address.
            kind = str(self._kind)
            return kind, kind, self.pool.connection_class
        host, port = str(kwargs.get("host", "localhost")), int(kwargs.get("port") or 6379)
        scheme = "rediss" if issubclass(self._kind, SSLConnection) else "redis"
        at = str(Address(host, port))
        return f"{scheme}://{at}/{self.database}", at, (host.lower(), port)

    def _refuse_unusable(self, kwargs: Mapping[str, Any]) -> None:
        """Raise ``InvalidLockBackend`` for connections that threads cannot use."""
        if inspect.iscoroutinefunction(kwargs.get("redis_connect_func")):
            raise InvalidLockBackend(
                f"{self.where}, has a redis_connect_func that is a coroutine function; threads "
                "call it too. Write an ordinary function."
            )
        if issubclass(self._kind, AsyncConnection):
            raise InvalidLockBackend(
                f"{self.where}, has a connection_class for coroutines, {dotted_path(self._kind)}. "
                "Write the one for threads, which connect for coroutines too."
            )
        if any(one.__module__.partition(".")[0] == "fakeredis" for one in self._kind.__mro__):
            raise InvalidLockBackend(
                f"{self.where}, leads to fakeredis, which cannot keep locks. For tests, keep them "
                "in memory by the fixture locks, or override_locks() of django_redislock.testing; "
                "the fixture redislock_server starts a real server."
            )


class _Pool(ConnectionPool):
    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        with opening():
            return super().get_connection(*args, **kwargs)


class ClusterSource(Source):
    """A Cluster with the start nodes that the settings name. Connections lead to the first."""

    def __init__(
        self, pool: ConnectionPool, start: Sequence[tuple[str, int]], where: str, of: str = ""
    ) -> None:
        self.start = [Address(*one) for one in start]
        super().__init__(pool, where, of)

    def client(self) -> Redis:
        """Return a client of a start node that answers, or else of the last start node."""
        return self.node_at(*self._asked()).client()

    def servers(self) -> list[Source]:
        """Return the source of each node with locks, or of the server if it is not a Cluster."""
        asked = self._asked()
        node = self.node_at(*asked)
        try:
            found = owners(node.client().execute_command("CLUSTER", "SLOTS"), asked)
        except ResponseError:
            return [node]
        return [self.node_at(*one) for one in dict.fromkeys(found) if one]

    def _asked(self) -> Address:
        for address in self.start:
            with suppress(RedisError, OSError):
                self.node_at(*address).client().ping()
                break
        return address

    def _found_at(self, kwargs: Mapping[str, Any]) -> tuple[str, str, Hashable]:
        nodes = ",".join(map(str, self.start))
        server = frozenset((host.lower(), port) for host, port in self.start)
        return f"cluster://{nodes}", f"the Cluster {nodes}", server
