"""Sites: the servers of a run, with one class per topology."""

from __future__ import annotations

import dataclasses
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from typing_extensions import Self

from django_redislock.testing.servers import EmbeddedServer
from tests.support.cluster import ClusterSet
from tests.support.places import Place
from tests.support.proxy import Proxy
from tests.support.sentinel import SentinelSet
from tests.support.server_clock import server_with_clock


class Site:
    """Servers that end with the block. Workers keep their locks at `place`."""

    place: Place

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.place = self.start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def start(self, stack: ExitStack) -> Place:
        """Start the servers, and return the place of the locks."""
        raise NotImplementedError

    @property
    def direct(self) -> Place:
        """The same place without proxies, for inspecting the data."""
        return self.place

    def holding(self) -> list[EmbeddedServer]:
        """The servers that have names now."""
        raise NotImplementedError

    def heal(self) -> None:
        """Undo anything that a fault may have left behind, and wait until all servers answer."""
        for server in self.holding():
            _wait_for(server)


class OneServer(Site):
    """One server, without persistence."""

    server: EmbeddedServer

    def start(self, stack: ExitStack) -> Place:
        self.server = stack.enter_context(self.make_server())
        return Place(self.server.url)

    def make_server(self) -> EmbeddedServer:
        return EmbeddedServer()

    def holding(self) -> list[EmbeddedServer]:
        return [self.server]


class Persistent(OneServer):
    """A server that persists every write at once."""

    def make_server(self) -> EmbeddedServer:
        data = self.folder / "data"
        data.mkdir()
        return EmbeddedServer(
            args=("--dir", str(data), "--appendonly", "yes", "--appendfsync", "always")
        )


class WithClock(OneServer):
    """A server whose clock can be set."""

    def make_server(self) -> EmbeddedServer:
        server, self.clock = server_with_clock(self.folder)
        return server

    def heal(self) -> None:
        self.clock.shift(0)
        super().heal()


class BehindProxy(OneServer):
    """A server that workers reach through a proxy."""

    proxy: Proxy

    def start(self, stack: ExitStack) -> Place:
        place = super().start(stack)
        self.proxy = stack.enter_context(Proxy(self.server.url))
        return dataclasses.replace(place, url=self.proxy.url)

    @property
    def direct(self) -> Place:
        return dataclasses.replace(self.place, url=self.server.url, cache={})

    def heal(self) -> None:
        self.proxy.pass_through()
        super().heal()


class InCluster(Site):
    """Three primaries, and a replica of each."""

    def start(self, stack: ExitStack) -> Place:
        self.cluster = stack.enter_context(ClusterSet(replicas=3))
        return Place("", entry=self.cluster.entry)

    def holding(self) -> list[EmbeddedServer]:
        return self.cluster.owners()


class WithSentinel(Site):
    """A primary, its replica, and a Sentinel."""

    def start(self, stack: ExitStack) -> Place:
        self.servers = stack.enter_context(SentinelSet())
        return Place("", cache=self.servers.cache)

    def holding(self) -> list[EmbeddedServer]:
        return [self.servers.primary]


def client_of(server: EmbeddedServer) -> Redis:
    """Return a direct connection to a server, without proxies."""
    return Redis.from_url(server.url)


def _wait_for(server: EmbeddedServer) -> None:
    client: Any = client_of(server)
    with client:
        for _ in range(100):
            try:
                client.ping()
            except RedisError:
                time.sleep(0.05)
            else:
                return
