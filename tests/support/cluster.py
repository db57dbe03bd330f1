"""Cluster on this machine: primaries that share the slots, and their replicas."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError, ResponseError

from django_redislock.backends.redis import slots
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.support.processes import wait_until

ALL_SLOTS = 16384
# A primary that does not answer for this long (ms) is replaced.
NODE_TIMEOUT = 1000
WITHIN = 60.0  # seconds; a deadline for a machine under load, not an expectation

SETTINGS = (
    *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT)),
    # A replica may take over however much it has missed; that is not tested here.
    *("--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"),
)


class ClusterSet:
    """Servers that end with the block."""

    def __init__(
        self, primaries: int = 3, replicas: int = 0, *, binary: str | None = None, args: Any = ()
    ) -> None:
        self.numbers = primaries, replicas
        self.binary = binary
        self.args = tuple(args)

    def __enter__(self) -> ClusterSet:
        primaries, replicas = self.numbers
        with ExitStack() as stack:
            self._stack = stack
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.primaries = [self._server() for _ in range(primaries)]
            self.replicas = [self._server() for _ in range(replicas)]
            self._give_slots()
            self._introduce(self.servers)
            for number, replica in enumerate(self.replicas):
                self._follow(replica, self.primaries[number % primaries])
            self.wait_until_agreed()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def servers(self) -> list[EmbeddedServer]:
        return [*self.primaries, *self.replicas]

    @property
    def location(self) -> str:
        """The start nodes, in the form of ``LOCATION``."""
        return f"cluster://{','.join(f'{HOST}:{self._port(one)}' for one in self.servers)}"

    @property
    def entry(self) -> dict[str, Any]:
        """The entry for ``LOCKS["default"]``."""
        return {"LOCATION": self.location}

    def client(self, server: EmbeddedServer) -> Redis:
        """A connection to one of the servers."""
        return Redis(port=server.port, decode_responses=True)

    def add_primary(self) -> EmbeddedServer:
        """Add a primary that has no slots yet."""
        server = self._server()
        self.primaries.append(server)
        self._introduce([self.primaries[0], server])
        self.wait_until_agreed()
        return server

    def owner(self, key: str) -> EmbeddedServer:
        """The server that has the slot of a key, according to most nodes."""
        return self.owner_of(key_slot(key.encode()))

    def owners(self) -> list[EmbeddedServer]:
        """The servers that have slots of locks now."""
        return [*dict.fromkeys(self.owner_of(slot) for slot in slots.SLOTS)]

    def replica_of(self, primary: EmbeddedServer) -> EmbeddedServer:
        """A replica of this server."""
        own = self._id(primary)
        for server in self.servers:
            with contextlib.suppress(RedisError), self.client(server) as client:
                if self._nodes(client)[f"{HOST}:{server.port}"]["master_id"] == own:
                    return server
        raise AssertionError("the primary has no replica")

    def copied(self) -> None:
        """Wait until all replicas have all writes."""
        for server in self.servers:
            with contextlib.suppress(RedisError), self.client(server) as client:
                role: Any = client.role()
                if role[0] == "master":
                    written = int(role[1])
                    wait_until(lambda: self._all_have(client, written), what="it is copied")  # noqa: B023

    def _all_have(self, client: Redis, written: int) -> bool:
        role: Any = client.role()
        return all(int(offset) >= written for _, _, offset in role[2])

    def lose(self, primary: EmbeddedServer) -> EmbeddedServer:
        """Kill a primary; return its replica once it has the slots."""
        replica = self.replica_of(primary)
        primary.kill()
        self.wait_for_promotion(replica)
        return replica

    def fail_over(self, primary: EmbeddedServer) -> EmbeddedServer:
        """Promote a replica manually, without losing data."""
        replica = self.replica_of(primary)
        with self.client(replica) as client:

            def is_promoted() -> bool:
                with contextlib.suppress(ResponseError):  # a failover is already under way
                    client.execute_command("CLUSTER", "FAILOVER")
                return bool(client.role()[0] == "master")

            wait_until(is_promoted, within=WITHIN, what="the replica is promoted")
        with self.client(primary) as client:
            wait_until(lambda: client.role()[0] == "slave", within=WITHIN, what="it follows now")
        return replica

    def restore(self) -> None:
        """Restart killed servers, and wait until all nodes agree."""
        for server in self.servers:
            try:
                with self.client(server) as client:
                    client.ping()
            except RedisError:
                server.restart()
        self.wait_until_agreed()

    def wait_for_promotion(self, replica: EmbeddedServer) -> None:
        """Wait until a replica has the slots of its primary."""
        with self.client(replica) as client:
            wait_until(lambda: client.role()[0] == "master", within=WITHIN, what="promoted")

    @contextlib.contextmanager
    def frozen(self, server: EmbeddedServer) -> Iterator[None]:
        """Freeze a server during the block, so that it neither answers nor ends."""
        server.kill(signal.SIGSTOP)
        try:
            yield
        finally:
            server.kill(signal.SIGCONT)

    @contextlib.contextmanager
    def moving(self, slot: int, to: EmbeddedServer) -> Iterator[EmbeddedServer]:
        """Keep a slot between two servers during the block, then move it. Yields its owner."""
        owner = self.owner_of(slot)
        with self.client(owner) as source, self.client(to) as target:
            target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", self._id(owner))
            source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", self._id(to))
            try:
                yield owner
            finally:
                self.move_keys(slot, owner, to)
                for server in (to, owner, *self.primaries):
                    with self.client(server) as client:
                        if server in (to, owner) or client.role()[0] == "master":
                            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", self._id(to))

    def move(self, slot: int, to: EmbeddedServer) -> None:
        """Move a slot with its keys."""
        with self.moving(slot, to):
            pass

    def move_whole(self, slot: int, to: EmbeddedServer) -> None:
        """Move a slot in one step, as Valkey does since 9.0; key by key with older servers."""
        owner = self.owner_of(slot)
        with self.client(owner) as source:
            command = ("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self._id(to))
            try:
                source.execute_command(*command)
            except ResponseError:
                self.move(slot, to)
            else:
                with self.client(to) as target:
                    wait_until(lambda: self._has(target, slot), within=WITHIN, what="it has moved")

    def move_keys(self, slot: int, owner: EmbeddedServer, to: EmbeddedServer) -> None:
        with self.client(owner) as source:
            while keys := source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
                source.execute_command(
                    "MIGRATE", HOST, to.port, "", 0, 5000, "REPLACE", "KEYS", *keys
                )

    # Building the Cluster.

    def _server(self, *args: str) -> EmbeddedServer:
        folder = self._folder / f"node-{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        # The configuration must survive a restart.
        arguments = ("--dir", str(folder), *SETTINGS, *self.args, *args)
        return self._stack.enter_context(EmbeddedServer(binary=self.binary, args=arguments))

    def _port(self, server: EmbeddedServer) -> int:
        """The port at which nodes and clients reach the server."""
        return server.port

    def _give_slots(self) -> None:
        share = ALL_SLOTS // len(self.primaries)
        for number, server in enumerate(self.primaries):
            last = ALL_SLOTS if server is self.primaries[-1] else (number + 1) * share
            with self.client(server) as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last - 1)
        for number, server in enumerate(self.servers, start=1):
            with self.client(server) as client:
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number)

    def _introduce(self, servers: Sequence[EmbeddedServer]) -> None:
        first, *others = servers
        with self.client(first) as client:
            for server in others:
                client.execute_command("CLUSTER", "MEET", HOST, self._port(server))

    def _follow(self, replica: EmbeddedServer, primary: EmbeddedServer) -> None:
        with self.client(replica) as client:

            def follows() -> bool:
                with contextlib.suppress(ResponseError):  # the nodes have not met yet
                    client.execute_command("CLUSTER", "REPLICATE", self._id(primary))
                role: Any = client.role()
                return bool(role[0] == "slave" and role[3] == "connected")

            wait_until(follows, within=WITHIN, what="the replica is in step")

    def wait_until_agreed(self) -> None:
        """Wait until each server knows all others, and the owner of each slot."""
        ports = {str(server.port) for server in self.servers}
        for server in self.servers:
            with self.client(server) as client:

                def agrees(client: Redis = client) -> bool:
                    state = client.execute_command("CLUSTER INFO")["cluster_state"]
                    known = self._nodes(client)
                    followers = [one for one in known.values() if one["master_id"] != "-"]
                    complete = len(followers) == len(self.replicas)
                    # A node that has met no other node does not know its own address.
                    met = {address.rpartition(":")[2] for address in known}
                    return state == "ok" and met == ports and complete

                wait_until(agrees, within=WITHIN, what="the Cluster is ready")

    def _id(self, server: EmbeddedServer) -> str:
        with self.client(server) as client:
            return str(client.execute_command("CLUSTER", "MYID"))

    def _nodes(self, client: Redis) -> dict[str, Any]:
        nodes: dict[str, Any] = client.execute_command("CLUSTER NODES")
        return nodes

    def owner_of(self, slot: int) -> EmbeddedServer:
        for server in self.servers:
            with contextlib.suppress(RedisError), self.client(server) as client:
                if client.role()[0] == "master" and self._has(client, slot):
                    return server
        raise AssertionError(f"no server has the slot {slot}")

    def _has(self, client: Redis, slot: int) -> bool:
        (own,) = [one for one in self._nodes(client).values() if "myself" in one["flags"]]
        return any(int(part[0]) <= slot <= int(part[-1]) for part in own["slots"])
