"""Unusable servers, and their errors and check messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from redis.connection import ConnectionPool

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis import server_checks
from django_redislock.backends.redis.server_checks import _check_version
from django_redislock.backends.redis.sources.source import Source
from django_redislock.backends.redis.wakeups.subscriber import Subscriber
from django_redislock.checks import check_backends
from django_redislock.conf import LockConfig
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.support.cluster import ClusterSet
from tests.support.fixtures import UsePlace

pytestmark = pytest.mark.timeout(180)

# Older servers let scripts write without enough replicas.
SCRIPTS_NEED_REPLICAS = pytest.mark.redis_server("7.0")


@pytest.fixture(autouse=True)
def _closed_at_the_end(use: UsePlace) -> Iterator[None]:
    yield
    lock_backends["default"].close()


@pytest.mark.redis_server("7.0")
def test_a_cluster_without_sharded_messages_is_refused(use: UsePlace) -> None:
    """Like one of Redis 6.2, where PUBLISH counts only the subscribers of one node."""
    with ClusterSet(1, args=("--rename-command", "SPUBLISH", "")) as servers:
        use("", entry=servers.entry)
        with pytest.raises(LockUnavailable, match=r"older than Redis 7\.0.*or newer, or Valkey"):
            lock("a").acquire(wait=0)


@pytest.mark.redis_server("7.0")
async def test_a_cluster_without_sharded_messages_is_refused_by_coroutines_too(
    use: UsePlace,
) -> None:
    with ClusterSet(1, args=("--rename-command", "SPUBLISH", "")) as servers:
        use("", entry=servers.entry)
        with pytest.raises(LockUnavailable, match=r"older than Redis 7\.0"):
            await lock("a").aacquire(wait=0)


@pytest.mark.parametrize(("mode", "refused"), [(1, 1), (0, 0)])
def test_the_check_requires_a_newer_version_for_a_cluster(mode: Any, refused: Any) -> None:
    server = {"redis_version": "6.2.14", "cluster_enabled": mode}
    messages = list(_check_version(LockConfig(), server))
    assert [message.id for message in messages] == ["locks.E002"] * refused
    assert all("a Cluster of Redis 6.2.14" in message.msg for message in messages)


@pytest.mark.redis_server("7.0")
def test_one_node_of_a_cluster_is_refused_as_a_standalone_server(
    use: UsePlace, cluster: Any
) -> None:
    use("", entry={"LOCATION": cluster.primaries[0].url})
    with pytest.raises(LockUnavailable, match="is a node of a Cluster.*cluster://host"):
        for number in range(50):
            lock(f"a{number}").acquire(wait=0)
    ids = [message.id for message in check_backends(deploy=True)]
    assert "locks.E005" in ids


def test_a_standalone_server_is_refused_as_a_cluster(use: UsePlace, redis_url: str) -> None:
    use("", entry={"LOCATION": redis_url.replace("redis://", "cluster://").removesuffix("/0")})
    with pytest.raises(LockUnavailable, match="It is not a Cluster. Write redis:// in LOCATION"):
        lock("a").acquire(wait=0)
    (message,) = check_backends(deploy=True)
    assert message.id == "locks.E005"
    assert "not a node of a Cluster" in message.msg


def test_the_check_for_a_replica_names_its_primary(use: UsePlace) -> None:
    with (
        EmbeddedServer() as primary,
        EmbeddedServer(args=("--replicaof", HOST, str(primary.port))) as replica,
    ):
        use("", entry={"LOCATION": replica.url})
        (message,) = check_backends(deploy=True)
        assert message.id == "locks.E006"
        assert f"{HOST}:{primary.port}" in message.msg
        lock_backends["default"].close()


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("EVAL", "cannot run a script that publishes"),
        ("PUBLISH", "cannot run a script that publishes"),
        ("SUBSCRIBE", "refuses SUBSCRIBE"),
        ("PUBSUB", "cannot run a script that publishes"),
    ],
)
def test_a_proxy_without_some_commands_is_an_error(use: UsePlace, missing: Any, words: str) -> None:
    with EmbeddedServer(args=("--rename-command", missing, "")) as server:
        use("", entry={"LOCATION": server.url})
        (message,) = check_backends(deploy=True)
        assert message.id == "locks.E007"
        assert words in message.msg


def test_a_proxy_that_does_not_count_all_receivers_is_an_error(
    use: UsePlace, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like one whose connections lead to several servers."""
    with EmbeddedServer() as other:
        elsewhere = Source(ConnectionPool.from_url(other.url), "elsewhere")
        monkeypatch.setattr(server_checks, "Subscriber", lambda source: Subscriber(elsewhere))
        use("", entry={"LOCATION": redis_url.replace("/0", "/9")})
        (message,) = check_backends(deploy=True)
        assert message.id == "locks.E007"
        assert "does not count the receivers of a PUBLISH" in message.msg


@pytest.mark.redis_server("7.0")
def test_one_node_that_evicts_is_a_warning_for_all(use: UsePlace, cluster: Any) -> None:
    use("", entry=cluster.entry)
    with cluster.client(cluster.primaries[-1]) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "100mb")
        try:
            (message,) = check_backends(deploy=True)
        finally:
            client.config_set("maxmemory", 0)
            client.config_set("maxmemory-policy", "noeviction")
    assert message.id == "locks.W002"


@pytest.mark.redis_server("7.0")
def test_a_cluster_passes_the_checks(use: UsePlace, cluster: Any) -> None:
    use("", entry=cluster.entry)
    assert check_backends(deploy=True) == []


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("EVAL", "runs no scripts"),
        ("EVALSHA", "runs no scripts"),
        ("HELLO", 'does not know RESP3. Write "protocol": 2 in OPTIONS'),
    ],
)
def test_the_error_of_a_proxy_without_some_commands_says_so(
    use: UsePlace, missing: str, words: str
) -> None:
    with EmbeddedServer(args=("--rename-command", missing, "")) as server:
        # Without a protocol, only some releases of redis-py use RESP3.
        use("", entry={"LOCATION": server.url, "OPTIONS": {"protocol": 3}})
        with pytest.raises(LockUnavailable) as caught:
            lock("a").acquire(wait=0)
        assert words in str(caught.value)
        assert len(str(caught.value)) < 300, "it does not repeat the script"


@pytest.mark.parametrize(("missing", "identity"), [("HELLO", "locks.W001"), ("ZADD", "locks.E009")])
def test_the_check_does_not_blame_the_login_for_a_missing_command(
    use: UsePlace, missing: str, identity: str
) -> None:
    with EmbeddedServer(args=("--rename-command", missing, "")) as server:
        use("", entry={"LOCATION": server.url, "OPTIONS": {"protocol": 3}})
        (message,) = check_backends(deploy=True)
        assert message.id == identity
        assert message.hint == "Do what the text says, and run this check again."


def test_a_server_that_knows_only_resp_2_can_be_used(use: UsePlace) -> None:
    with EmbeddedServer(args=("--rename-command", "HELLO", "")) as server:
        use("", entry={"LOCATION": f"{server.url}?protocol=2"})
        with lock("a"):
            pass
        assert check_backends(deploy=True) == []


@pytest.mark.redis_server("7.0")
def test_a_sentinel_is_refused_as_a_cluster(use: UsePlace) -> None:
    """It lacks these commands, as a Cluster of Redis 6.2 lacks one of them."""
    lacks = ("--rename-command", "CLUSTER", "", "--rename-command", "SPUBLISH", "")
    with EmbeddedServer(args=lacks) as server:
        use("", entry={"LOCATION": f"cluster://{HOST}:{server.port}"})
        words = "does not know the command CLUSTER. If it is a Sentinel, write sentinel://"
        with pytest.raises(LockUnavailable, match=words):
            lock("a").acquire(wait=0)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        pytest.param(
            "min-replicas-to-write",
            r"too few replicas .* \(NOREPLICAS\)\. Repair the replicas, or",
            marks=SCRIPTS_NEED_REPLICAS,
        ),
        ("maxmemory", r"reached maxmemory \(OOM\)\. Raise maxmemory, or remove"),
    ],
)
def test_the_error_of_a_server_that_accepts_no_writes_says_what_to_do(
    use: UsePlace, own_server: EmbeddedServer, setting: str, words: str
) -> None:
    use("", entry={"LOCATION": own_server.url})
    with Redis.from_url(own_server.url) as client:
        client.config_set(setting, 1)
    with pytest.raises(LockUnavailable, match=words):
        lock("a").acquire()


@pytest.mark.redis_server("7.0")
def test_the_error_of_a_user_without_a_right_says_so(
    use: UsePlace, own_server: EmbeddedServer
) -> None:
    with Redis.from_url(own_server.url) as client:
        client.execute_command(
            *["ACL", "SETUSER", "few", "on", ">p", "~lock:*", "&lock:*", "+@all", "-zadd"]
        )
    use("", prefix="lock", entry={"LOCATION": own_server.url.replace("://", "://few:p@")})
    with pytest.raises(LockUnavailable, match="to the user in the settings, who needs the rights"):
        lock("a").acquire()


@pytest.mark.redis_server("7.0")
def test_the_error_of_a_cluster_names_the_node_that_refuses(use: UsePlace, cluster: Any) -> None:
    use("", entry=cluster.entry)
    node = cluster.primaries[1]
    handles = [lock(f"a{number}") for number in range(50)]
    with lock("b"):
        pass  # from now on, the process knows the nodes
    with cluster.client(node) as client:
        client.config_set("min-replicas-to-write", 1)
        try:
            with pytest.raises(LockUnavailable, match=f"at {HOST}:{node.port} has too few"):
                for handle in handles:
                    handle.acquire(wait=0)
        finally:
            client.config_set("min-replicas-to-write", 0)
    for handle in handles:
        if handle.held:
            handle.release()
