"""System check that compares the clocks of the servers, their replicas and this host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.core.checks import CheckMessage, Warning
from redis import Redis
from redis.exceptions import RedisError

from ...clock import wall_time
from .sources.source import Source

__all__ = ["check_clocks"]

# Clocks set by NTP differ by some milliseconds.
TOLERANCE = 1.0  # seconds

_REPLICA = re.compile(r"slave\d+")


def check_clocks(where: str, servers: Sequence[Source]) -> Iterator[CheckMessage]:
    """Warn if a server that takes over from another would be behind it.

    ``where`` names the entry of ``LOCKS``. Raises what redis-py raises, except that a replica that
    cannot be reached from this host is left out.
    """
    ahead = {"this host": 0.0}
    for server in servers:
        client = server.client()
        ahead["the server" if len(servers) == 1 else server.at] = _ahead(client)
        for host, port in _replicas(client.info("replication")):
            with suppress(RedisError, OSError):
                ahead[f"its replica {host}:{port}"] = _ahead(server.node_at(host, port).client())
    first, last = max(ahead, key=ahead.__getitem__), min(ahead, key=ahead.__getitem__)
    if ahead[first] - ahead[last] > TOLERANCE:
        yield Warning(
            f"{where}: the clock of {first} is {ahead[first] - ahead[last]:.1f} s ahead of that of "
            f"{last}. Where one takes the place of the other, leases end early or late, and fences "
            "could fall if the counter were lost with it.",
            hint="Let NTP set the clocks of the servers and their replicas, and slew them.",
            id="locks.W007",
        )


def _ahead(client: Redis) -> float:
    """Return how far the clock of a server is ahead of ours (seconds)."""
    began = wall_time()
    seconds, microseconds = client.time()
    # The server read its clock at some time in between.
    return float(seconds + microseconds / 1_000_000 - (began + wall_time()) / 2)


def _replicas(info: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for name, replica in info.items():
        if _REPLICA.fullmatch(name) and isinstance(replica, dict):
            yield str(replica["ip"]), int(replica["port"])
