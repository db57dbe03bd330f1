"""Check of the clocks of servers, their replicas and this host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_redislock import lock_backends
from django_redislock.checks import check_backends
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.support.processes import wait_until
from tests.support.server_clock import server_with_clock


def warnings() -> list[str]:
    found = check_backends(deploy=True)
    lock_backends["default"].close()
    return [message.msg for message in found if message.id == "locks.W007"]


@pytest.mark.parametrize(("shift", "ahead"), [(90, "the server"), (-90, "this host")])
def test_a_wrong_clock_of_a_server_is_a_warning(
    use: Callable[..., Any], tmp_path: Path, shift: float, ahead: str
) -> None:
    server, clock = server_with_clock(tmp_path)
    with server:
        use("", entry={"LOCATION": server.url})
        assert warnings() == []
        clock.shift(shift)
        (text,) = warnings()
        assert f"the clock of {ahead} is 90.0 s ahead" in text


def test_a_wrong_clock_of_a_replica_is_a_warning(use: Callable[..., Any], tmp_path: Path) -> None:
    replica, clock = server_with_clock(tmp_path)
    with EmbeddedServer() as primary:
        replica.args = ("--replicaof", HOST, str(primary.port))
        with replica, Redis.from_url(primary.url) as client:
            wait_until(lambda: client.info("replication")["connected_slaves"] == 1)
            clock.shift(-5)
            use("", entry={"LOCATION": primary.url})
            (text,) = warnings()
            assert f"5.0 s ahead of that of its replica {HOST}:{replica.port}" in text
            # A replica that cannot be reached from here is left out.
            client.config_set("slave-announce-port", 1)
        use("", entry={"LOCATION": primary.url})
        assert warnings() == []


def test_a_replica_of_a_server_at_a_unix_socket_is_checked(
    use: Callable[..., Any], tmp_path: Path
) -> None:
    replica, clock = server_with_clock(tmp_path)
    path = tmp_path / "redis.sock"
    with EmbeddedServer(args=["--unixsocket", str(path)]) as primary:
        replica.args = ("--replicaof", HOST, str(primary.port))
        with replica, Redis.from_url(primary.url) as client:
            wait_until(lambda: client.info("replication")["connected_slaves"] == 1)
            clock.shift(-5)
            use("", entry={"LOCATION": f"unix://{path}"})
            (text,) = warnings()
            assert f"5.0 s ahead of that of its replica {HOST}:{replica.port}" in text
