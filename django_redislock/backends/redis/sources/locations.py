"""Servers at the address in ``LOCATION``, with the connection settings from ``OPTIONS``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.utils.module_loading import import_string
from redis.connection import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
    to_bool,
)
from redis.exceptions import RedisError
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from ....exceptions import InvalidLockBackend
from ....spelling import suggestion

__all__ = ["check_options", "is_internal", "option_names", "parameters", "pool_at", "start_nodes"]

SENTINEL_PORT = 26379
CLUSTER_PORT = 6379

_HOSTS = re.compile(r"(?<=://)[^/?#]*")

# A / ? or # that ends the host, followed by an @: most likely a part of the password.
_UNESCAPED = re.compile(r"(?!unix:)\w+://[^/?#]*[/?#].*@")
_ESCAPE = (
    "it has one of / ? # before an @. In a user or a password write %2F for a /, %3F for a ? and "
    "%23 for a #"
)

CLASSES: dict[str, type] = {
    "redis": Connection,
    "rediss": SSLConnection,
    "unix": UnixDomainSocketConnection,
    "sentinel": SentinelManagedConnection,
    "cluster": Connection,
}
FORMS = (
    "redis://host:6379/0, rediss://host:6379/0 (TLS), unix:///path/to/socket?db=0, "
    "sentinel://host:26379,host:26379/service/0 or cluster://host:6379,host:6379"
)

# Arguments set by LOCATION, internal to redis-py, or of no use to locks.
_NOT_OPTIONS = frozenset(
    ("host", "port", "path", "kwargs", "connection_pool", "event_dispatcher", "himport_registry")
)
_PARTS_OF_REDIS_PY = ("maint_notifications", "maintenance_", "oss_cluster", "orig_")
_OF_ANY_LOCATION = frozenset(("connection_class", "max_connections"))
_OF_SENTINEL = frozenset(("force_master_ip", "min_other_sentinels", "sentinel_kwargs", "ssl"))


def pool_at(location: str, options: Mapping[str, Any], where: str) -> ConnectionPool:
    """Return a pool for the server at a location, without connecting.

    Raises ``InvalidLockBackend``. Its message uses ``where`` to name the entry of ``LOCKS``.
    """
    try:
        scheme, separator, _ = location.partition("://")
        if not separator or scheme not in CLASSES:
            raise ValueError("it must begin with " + ", ".join(f"{one}://" for one in CLASSES))
        address = _split(location)
        known = option_names(scheme, options.get("connection_class"))
        for name, _ in parse_qsl(address.query):
            if name not in known:
                advice = _advice(name, scheme, [*known], where)
                raise ValueError(
                    f"its query has no option {name!r}.{advice} It takes {', '.join(sorted(known))}"
                )
        if address.fragment:
            raise ValueError("it has a #, which is written %23")
        if not all("=" in part for part in address.query.split("&") if part):
            raise ValueError("what follows the ? is not name=value")
        if address.scheme == "sentinel":
            return _sentinel_pool(address, options)
        if address.scheme == "cluster":
            return _cluster_pool(location, address, options)
        return _pool(location, address, options)
    except ImportError as error:
        raise InvalidLockBackend(
            f"{where}['OPTIONS']['connection_class'] cannot be imported: {error}. Write the dotted "
            "path of a connection class, or the class itself."
        ) from error
    except (TypeError, ValueError, RedisError) as error:
        # An error of a part of the password would show it.
        hidden = _UNESCAPED.match(location) is not None
        why = _ESCAPE if hidden else str(error).removesuffix(".")
        raise InvalidLockBackend(
            f"{where}['LOCATION'] cannot be used: {why}. Write {FORMS}; "
            f"other settings of the connection go into {where}['OPTIONS']."
        ) from (None if hidden else error)


def start_nodes(location: str) -> list[tuple[str, int]]:
    """Return the nodes of a Cluster that a location names; none for any other location.

    Raises ``ValueError``.
    """
    address = _split(location)
    if address.scheme != "cluster":
        return []
    hosts = address.netloc.rpartition("@")[2].split(",")
    return [_host(host, CLUSTER_PORT, "node of the Cluster") for host in hosts]


def check_options(options: Mapping[str, Any], own: list[str], location: str, where: str) -> None:
    """Raise ``InvalidLockBackend`` for an option that neither we nor a connection can use.

    ``own`` are the names of the options that every backend takes.
    """
    scheme = location.partition("://")[0]
    known = option_names(scheme, options.get("connection_class")) if location else frozenset()
    for name in options:
        if name not in known:
            raise InvalidLockBackend(
                f"{where}['OPTIONS'] does not fit RedisLockBackend: it has no option {name!r}."
                f"{_advice(name, scheme, [*own, *known], where)} It takes {', '.join(own)}"
                f"{', and for the connection ' if known else ''}{', '.join(sorted(known))}."
            )


def option_names(scheme: str, connection_class: Any = None) -> frozenset[str]:
    """Return the names, as in redis-py, that ``OPTIONS`` may contain for this URL scheme."""
    names = set(_OF_ANY_LOCATION) | parameters(CLASSES.get(scheme, Connection))
    if scheme == "sentinel":
        names |= _OF_SENTINEL | parameters(SentinelManagedSSLConnection)
    if scheme == "cluster":
        names |= {"ssl"} | parameters(SSLConnection)
        names.discard("db")
    if isinstance(connection_class, type):
        names |= parameters(connection_class)
    return frozenset(name for name in names - _NOT_OPTIONS if not is_internal(name))


def is_internal(name: str) -> bool:
    """Whether an argument is one that redis-py's pools pass to their own connections."""
    return name.startswith(_PARTS_OF_REDIS_PY)


def parameters(connection_class: type) -> frozenset[str]:
    """Return the names of the arguments that a connection class and its bases take."""
    return frozenset(
        parameter.name
        for base in connection_class.__mro__
        if "__init__" in vars(base) and base is not object
        for parameter in list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        if parameter.kind is not parameter.VAR_KEYWORD
    )


def _advice(name: str, scheme: str, known: list[str], where: str) -> str:
    if name in _NOT_OPTIONS and scheme:
        return " Put it into LOCATION."
    if name in option_names("sentinel"):
        if not scheme:
            return (
                f" It belongs to a connection: write it in CACHES, or set {where}['LOCATION'] in "
                f"place of {where}['CACHE']."
            )
        return f" A connection to {scheme}:// does not take it; TLS begins with rediss://."
    near = suggestion(str(name), known)
    return f" Did you mean {near!r}?" if near else ""


def _pool(location: str, address: SplitResult, options: Mapping[str, Any]) -> ConnectionPool:
    if address.scheme == "unix":
        if address.hostname:
            raise ValueError(f"a path begins with a slash: unix:///{address.netloc}{address.path}")
        if not address.path:
            raise ValueError("it names no path")
    elif "," in address.netloc.rpartition("@")[2]:
        raise ValueError("it names several hosts, which need sentinel:// or cluster://")
    elif not address.hostname:
        raise ValueError("it names no host")
    elif address.path not in {"", "/"}:
        _database(address.path[1:])
    return ConnectionPool(**_arguments(parse_url(location), options))


def _sentinel_pool(address: SplitResult, options: Mapping[str, Any]) -> SentinelConnectionPool:
    credentials, _, hosts = address.netloc.rpartition("@")
    service, _, database = address.path[1:].partition("/")
    if not service:
        raise ValueError("it names no Sentinel service")
    url = f"redis://{credentials}@sentinel/{_database(database)}?{address.query}"
    kwargs = _arguments(parse_url(url), options)
    del kwargs["host"]
    of_sentinels = kwargs.pop("sentinel_kwargs", None)
    manager = Sentinel(
        [_host(host, SENTINEL_PORT, "Sentinel") for host in hosts.split(",")],
        min_other_sentinels=int(kwargs.pop("min_other_sentinels", 0)),
        sentinel_kwargs={
            **{name: value for name, value in kwargs.items() if name.startswith("socket_")},
            **(of_sentinels or {}),
        },
        **{name: kwargs.pop(name) for name in ("force_master_ip",) if name in kwargs},
    )
    return SentinelConnectionPool(unquote(service), manager, **kwargs)


def _cluster_pool(
    location: str, address: SplitResult, options: Mapping[str, Any]
) -> ConnectionPool:
    """Return a pool for the first start node. The other nodes use the same settings."""
    (host, port), *_ = start_nodes(location)
    if address.path not in {"", "/", "/0"}:
        raise ValueError("a Cluster has only one database, so leave the number out")
    credentials = address.netloc.rpartition("@")[0]
    kwargs = _arguments(parse_url(f"redis://{credentials}@cluster?{address.query}"), options)
    if to_bool(kwargs.pop("ssl", False)):
        kwargs.setdefault("connection_class", SSLConnection)
    return ConnectionPool(**kwargs | {"host": host, "port": port, "db": 0})


def _split(location: str) -> SplitResult:
    """Return the parts of a location, which may name several hosts.

    Releases of Python since 2025 refuse brackets (of IPv6 addresses) among several hosts.
    """
    hosts = _HOSTS.search(location)
    if hosts is None:
        return urlsplit(location)
    rest = location[: hosts.start()] + location[hosts.end() :]
    return urlsplit(rest)._replace(netloc=hosts[0])


def _arguments(of_url: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {**options, **of_url}
    if (made_by := options.get("connection_class")) is not None:
        arguments["connection_class"] = (
            import_string(made_by) if isinstance(made_by, str) else made_by
        )
    return arguments


def _host(host: str, port: int, what: str) -> tuple[str, int]:
    one = urlsplit(f"//{host}")
    if not one.hostname:
        raise ValueError(f"it names no host of a {what}")
    return one.hostname, one.port or port


def _database(text: str) -> int:
    if text and not text.isdecimal():
        raise ValueError(f"{text!r} is not a database number")
    return int(text or 0)
