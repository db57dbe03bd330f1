"""System checks of the server of a Redis lock backend."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.redis import RedisCache
from django.core.checks import CheckMessage, Error, Warning
from redis.exceptions import RedisError, ResponseError

from ...conf import LockConfig
from ...exceptions import InvalidLockBackend
from .clock_checks import check_clocks
from .error_texts import described, hangs, remedy, state_of
from .errors import NotAsked, is_busy, of_node
from .sources.source import ClusterSource, Source, source_of
from .wakeups.subscriber import Subscriber

__all__ = ["DO_THAT", "check_server", "what_to_do"]

DO_THAT = "Do what the text says, and run this check again."

PUBLISH = "redis.call('PUBSUB', 'NUMSUB', ARGV[1]) return redis.call('PUBLISH', ARGV[1], '')"

# From this share of its memory on, a server that does not evict keys is reported.
NEARLY_FULL = 0.9

OLDEST_SERVER = (6, 2)
# The first release with sharded pub/sub.
OLDEST_CLUSTER = (7, 0)

SEPARATE = (
    'Give the locks another database number: LOCKS = {"default": {"LOCATION": "redis://.../1"}}, '
    'or an alias of CACHES that is never cleared, and LOCKS = {"default": {"CACHE": "locks"}}. On '
    "a Cluster give them a server of their own. If clear() is never called, silence this check."
)


def check_server(config: LockConfig, source: Source) -> Sequence[CheckMessage]:
    """Ask the server for what endangers locks."""
    try:
        nodes = source.servers()
        servers = list(map(_info, nodes))
        abilities = [*_check_abilities(config, source, servers[0])]
        clocks = [*check_clocks(_where(config), nodes)]
    except (RedisError, OSError) as error:
        return [
            Warning(
                described(source.where, source.at, error),
                hint=what_to_do(config, error),
                id="locks.W001",
            )
        ]
    return [
        *_first(_check_version(config, server) for server in servers),
        *_check_mode(config, source, servers[0]),
        *_first(_check_role(config, server) for server in servers),
        *_first(map(partial(_check_replicas, config), nodes, servers)),
        *abilities,
        *clocks,
        *_first(_check_memory(config, server) for server in servers),
        *_first(_check_shared_database(config, source, server) for server in servers),
    ]


def _info(node: Source) -> dict[str, Any]:
    """Return what a node says about itself. Its error names it, and not the whole Cluster."""
    try:
        info: dict[str, Any] = node.client().info()
    except RedisError as error:
        raise of_node(error, node.at) from error.__cause__
    return info


def what_to_do(config: LockConfig, error: Exception) -> str:
    """Return the hint for a server that did not answer, or refused."""
    named = (
        f"{_where(config)}['LOCATION'] and ['OPTIONS']"
        if config.location
        else f"CACHES[{config.cache!r}]"
    )
    if isinstance(error, NotAsked):
        return f"Correct {named}."
    if is_busy(error):
        return "The server answers, but is busy: run this check again later."
    if hangs(error):
        return (
            "See whether the server is stopped, swaps or runs a slow command, and run this check "
            "again."
        )
    if state_of(error):
        return DO_THAT
    if correct := remedy(error):
        return f"The server answers, but refuses: {correct} {named}."
    if isinstance(error, ResponseError):
        return DO_THAT
    return f"Correct the address in {named}, or run this check where the server can be reached."


def _first(found: Iterable[Iterable[CheckMessage]]) -> Iterator[CheckMessage]:
    """Yield the messages of the first server that has any."""
    for messages in map(list, found):
        if messages:
            yield from messages
            return


def _is_in_cluster(server: dict[str, Any]) -> bool:
    # Valkey has no redis_mode.
    return bool(server.get("cluster_enabled"))


def _where(config: LockConfig) -> str:
    return f"LOCKS[{config.alias!r}]"


def _check_version(config: LockConfig, server: dict[str, Any]) -> Iterator[CheckMessage]:
    # Valkey reports here the Redis version that it is compatible with.
    version = str(server.get("redis_version", "0"))
    in_cluster = _is_in_cluster(server)
    oldest = OLDEST_CLUSTER if in_cluster else OLDEST_SERVER
    if tuple(int(part) for part in version.split(".")[:2]) < oldest:
        what = "a Cluster of" if in_cluster else "the server is"
        yield Error(
            f"{_where(config)}: {what} Redis {version}, which is too old.",
            hint=f"Locks need Redis {oldest[0]}.{oldest[1]} or newer, or Valkey"
            f"{', for a Cluster' if in_cluster else ''}.",
            id="locks.E002",
        )


def _check_mode(
    config: LockConfig, source: Source, server: dict[str, Any]
) -> Iterator[CheckMessage]:
    in_cluster = _is_in_cluster(server)
    if in_cluster == isinstance(source, ClusterSource):
        return
    yield Error(
        f"{_where(config)}: the server is {'one' if in_cluster else 'not a'} node of a Cluster.",
        hint='Write "LOCATION": "cluster://host:6379,host:6379" with some of its nodes.'
        if in_cluster
        else 'Write "LOCATION": "redis://host:6379/0".',
        id="locks.E005",
    )


def _check_role(config: LockConfig, server: dict[str, Any]) -> Iterator[CheckMessage]:
    if server.get("role") == "slave":
        primary = f"{server.get('master_host')}:{server.get('master_port')}"
        yield Error(
            f"{_where(config)}: the server is a replica of {primary}, and what is written to it is "
            "refused or lost.",
            hint=f"Locks need the primary: name {primary}, the Sentinels that know it, or the "
            "Cluster.",
            id="locks.E006",
        )


def _check_replicas(
    config: LockConfig, node: Source, server: dict[str, Any]
) -> Iterator[CheckMessage]:
    wanted, there = config.options.get("replicas", 0), int(server.get("connected_slaves", 0))
    if server.get("role") != "slave" and there < wanted:
        which = f"the node {node.at}" if _is_in_cluster(server) else "the server"
        yield Warning(
            f"{_where(config)}['OPTIONS']['replicas'] is {wanted}, but {which} has {there} "
            f"replica{'' if there == 1 else 's'}: it grants no lock.",
            hint=f"Connect {'a replica' if wanted - there == 1 else 'more replicas'}, or "
            f"{'leave `replicas` out' if not there else f'write {there}'}.",
            id="locks.W008",
        )


def _check_abilities(
    config: LockConfig, source: Source, server: dict[str, Any]
) -> Iterator[CheckMessage]:
    """Check what proxies may lack: scripts, and publishing that counts all receivers."""
    if isinstance(source, ClusterSource) or server.get("role") == "slave":
        return
    channel = f"{config.key_prefix}:wake:check-{secrets.token_hex(8)}"
    subscriber, lacks = Subscriber(source), ""
    try:
        subscriber.open()
        subscriber.send("SUBSCRIBE", channel)
        if isinstance(refusal := subscriber.reply(), Exception):
            lacks = f"refuses SUBSCRIBE ({refusal})"
        elif not source.client().eval(PUBLISH, 0, channel):
            lacks = "does not count the receivers of a PUBLISH, so waiters would be passed over"
    except ResponseError as error:
        lacks = f"cannot run a script that publishes ({error})"
    finally:
        subscriber.close()
    if lacks:
        yield Error(
            f"{_where(config)}: the server {lacks}.",
            hint="If it is a proxy, name the server behind it: locks need scripts and pub/sub. "
            "Otherwise give the user the rights that the documentation of the backend lists.",
            id="locks.E007",
        )


def _check_memory(config: LockConfig, server: dict[str, Any]) -> Iterator[CheckMessage]:
    policy = server.get("maxmemory_policy", "noeviction")
    most, used = int(server.get("maxmemory", 0)), int(server.get("used_memory", 0))
    if most and policy != "noeviction":
        yield Warning(
            f"{_where(config)}: the server evicts keys when its memory is full "
            f"(maxmemory-policy {policy}); a lock that is evicted has a second holder.",
            hint='Keep locks on a server with "maxmemory-policy noeviction", apart from the cache: '
            "name it in LOCATION, or its cache alias in CACHE.",
            id="locks.W002",
        )
    elif most and used >= NEARLY_FULL * most:
        yield Warning(
            f"{_where(config)}: the server uses {used / most:.0%} of its maxmemory; when that is "
            "full, it grants no lock.",
            hint="Raise maxmemory, or remove from the server what does not belong to the locks.",
            id="locks.W005",
        )


def _check_shared_database(
    config: LockConfig, source: Source, server: dict[str, Any]
) -> Iterator[CheckMessage]:
    ours = (server.get("run_id"), source.database)
    # clear() of an alias dedicated to locks would empty their database too, but is never called.
    used = set() if config.location else {config.cache}
    dedicated = used - {DEFAULT_CACHE_ALIAS}
    sharing = [alias for alias in caches if alias not in dedicated and _flushed_by(alias) == ours]
    if not sharing:
        return
    text = (
        f"{_where(config)}: the locks share a database with the cache(s) "
        f"{', '.join(map(repr, sharing))}, and cache.clear() empties the whole database, including "
        "the locks."
    )
    # A Cluster has only one database.
    in_cluster = _is_in_cluster(server)
    if any(isinstance(caches[alias], RedisCache) for alias in sharing) and not in_cluster:
        yield Error(text, hint=SEPARATE, id="locks.E004")
    else:
        yield Warning(text, hint=SEPARATE, id="locks.W003")


def _flushed_by(alias: str) -> tuple[Any, int] | None:
    """Return the server and database that ``clear()`` of this cache empties."""
    try:
        source = source_of(LockConfig(cache=alias), {}, [])
        return source.client().info("server").get("run_id"), source.database
    except (InvalidLockBackend, RedisError, OSError):
        return None
