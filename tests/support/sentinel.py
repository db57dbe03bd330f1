"""Primary, replica, and a Sentinel that replaces one by the other."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError, RedisError, ResponseError

from django_redislock.testing.launcher import SupervisedProcess
from django_redislock.testing.servers import (
    HOST,
    PORT_ATTEMPTS,
    EmbeddedServer,
    find_binary,
    free_port,
)
from tests.support.processes import wait_until

NOBODY = 1  # a port on which nothing listens


class SentinelSet:
    """Three servers that end with the block. `cache` is their entry for CACHES["default"]."""

    def __enter__(self) -> SentinelSet:
        # django-redis keeps a pool per URL, and so per name.
        self.service = f"main-{secrets.token_hex(4)}"
        with ExitStack() as stack:
            self.primary = stack.enter_context(EmbeddedServer())
            follow = ("--replicaof", HOST, str(self.primary.port))
            at_once = ("--repl-diskless-sync-delay", "0")
            self.replica = stack.enter_context(EmbeddedServer(args=(*follow, *at_once)))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            # Another process may take the port first.
            started = any(self._watch(folder, stack) for _ in range(PORT_ATTEMPTS))
            assert started, "no Sentinel starts"
            wait_until(self._is_complete, within=60, what="the replica is known and in step")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def cache(self) -> dict[str, Any]:
        return {
            "LOCATION": f"redis://{self.service}/0",
            "OPTIONS": {
                "CLIENT_CLASS": "django_redis.client.SentinelClient",
                "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
                "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
                "SENTINELS": [(HOST, self.port)],
            },
        }

    def cut_replication(self) -> None:
        """Cut the link between the two, so that later writes stay on the primary."""
        with Redis(port=self.replica.port) as replica:
            replica.replicaof(HOST, NOBODY)

    def take_back(self) -> None:
        """Make the replaced server a replica of the other one."""
        old, new = self.primary, self.replica
        if old.process is None or old.process.poll() is not None:
            old.restart()
        else:
            old.kill(signal.SIGCONT)
        with Redis(port=old.port) as replica:
            replica.replicaof(HOST, new.port)
            wait_until(lambda: replica.role()[3] == b"connected", within=60, what="it is in step")
        self.primary, self.replica = new, old

    def lose_primary(self) -> None:
        """Kill the primary, and wait until the replica has replaced it."""
        self.primary.kill()
        self.wait_for_promotion()

    def wait_for_promotion(self) -> None:
        """Let Sentinel promote the replica, and wait until both servers know it."""
        with self._sentinel() as sentinel, Redis(port=self.replica.port) as replica:
            named = (HOST, self.replica.port)

            def is_promoted() -> bool:
                if sentinel.sentinel_get_master_addr_by_name(self.service) == named:
                    return bool(replica.role()[0] == b"master")
                # Refused while a failover is under way, or the replica has not been found yet.
                with contextlib.suppress(ResponseError):
                    sentinel.sentinel_failover(self.service)
                return False

            wait_until(is_promoted, within=60, what="the replica is promoted")

    def copied(self) -> None:
        """Wait until the replica has all writes."""
        with Redis(port=self.primary.port) as client:
            wait_until(lambda: client.wait(1, 100) == 1)

    def _watch(self, folder: Path, stack: ExitStack) -> bool:
        """Start a Sentinel on a free port, and return whether it got that port."""
        self.port, self._id = free_port(), secrets.token_hex(20)
        watching = SupervisedProcess(
            [find_binary(), str(self._configuration(folder)), "--sentinel"],
            stdout=subprocess.DEVNULL,
        )
        stack.callback(watching.stop)
        wait_until(lambda: self._answers() or watching.poll() is not None, within=60)
        return watching.poll() is None

    def _answers(self) -> bool:
        with self._sentinel() as sentinel, contextlib.suppress(RedisError):
            return bool(sentinel.execute_command("SENTINEL", "MYID") == self._id)
        return False

    def _configuration(self, folder: Path) -> Path:
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f"dir {folder}",
            f"sentinel myid {self._id}",
            f"sentinel monitor {self.service} {HOST} {self.primary.port} 1",
            # A primary that was only frozen for a while must not be replaced.
            f"sentinel down-after-milliseconds {self.service} 20000",
            f"sentinel failover-timeout {self.service} 20000",
        ]
        path = folder / "sentinel.conf"
        path.write_text("\n".join(lines))
        return path

    def _sentinel(self) -> Redis:
        return Redis(port=self.port, decode_responses=True)

    def _is_complete(self) -> bool:
        with self._sentinel() as sentinel, Redis(port=self.replica.port) as replica:
            try:
                replicas = sentinel.sentinel_slaves(self.service)
            except RedisConnectionError:
                return False
            return bool(replicas) and replica.role()[3] == b"connected"
