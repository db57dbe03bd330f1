"""Conversion of valkey-py's connection pools, as django-valkey makes them, to pools of redis-py.

valkey-py is a fork of redis-py with other names. It need not be installed.
"""

from __future__ import annotations

import inspect
from typing import Any

from redis import connection, sentinel
from redis.connection import ConnectionPool
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedSSLConnection

__all__ = ["as_redis_pool", "is_of_valkey"]

# Both packages call their classes the same.
CLASSES = vars(connection) | vars(sentinel)

# Objects of valkey-py that redis-py has its own versions of, and features that we replace.
_OBJECTS = frozenset(
    ("parser_class", "connection_pool", "retry", "retry_on_error", "command_packer")
)


def is_of_valkey(pool: Any) -> bool:
    """Whether this is a pool of valkey-py's blocking connections, of any class."""
    return any(base.__module__ == "valkey.connection" for base in type(pool).__mro__)


def as_redis_pool(pool: Any) -> ConnectionPool:
    """Return a pool of redis-py with the same server and settings. Raises ``TypeError``."""
    made_by = pool.connection_class
    if not (inspect.isclass(made_by) and made_by.__module__.partition(".")[0] == "valkey"):
        raise TypeError(
            f"its connections are made by {made_by!r}, for which redis-py has no equivalent"
        )
    kwargs = {key: value for key, value in pool.connection_kwargs.items() if key not in _OBJECTS}
    kwargs["connection_class"] = CLASSES[made_by.__name__]
    manager = getattr(pool, "sentinel_manager", None)
    if manager is None:
        return ConnectionPool(**kwargs)
    kwargs.pop("host", None)
    known = [client.connection_pool.connection_kwargs for client in manager.sentinels]
    asked = Sentinel(
        [(one["host"], one["port"]) for one in known],
        min_other_sentinels=manager.min_other_sentinels,
        sentinel_kwargs={
            key: value for key, value in manager.sentinel_kwargs.items() if key not in _OBJECTS
        },
    )
    # The pool chooses its connection class by this.
    kwargs["ssl"] = kwargs.pop("connection_class") is SentinelManagedSSLConnection
    return SentinelConnectionPool(pool.service_name, asked, **kwargs)
