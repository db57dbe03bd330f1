"""The trial of ``check --deploy``, which takes locks for a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from redis import Redis

from django_redislock import lock, lock_backends
from django_redislock.backends.redis import trial_checks
from django_redislock.backends.redis.keys import BUCKETS
from django_redislock.backends.redis.slots import SLOTS
from django_redislock.checks import check_backends
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.support.cluster import ClusterSet
from tests.support.fixtures import UsePlace
from tests.support.processes import frozen, wait_until

pytestmark = pytest.mark.timeout(180)

DO_THAT = "Do what the text says, and run this check again."
RIGHTS = (
    "The server answers, but refuses: give the rights that the documentation of the backend lists "
    "to the user of LOCKS['default']['LOCATION'] and ['OPTIONS']."
)


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server
        lock_backends["default"].close()


@pytest.fixture
def client(server: EmbeddedServer) -> Iterator[Redis]:
    with Redis.from_url(server.url, decode_responses=True) as client:
        yield client


def the_message() -> checks.CheckMessage:
    (message,) = [one for one in check_backends(deploy=True) if one.id == "locks.E009"]
    assert message.level == checks.ERROR
    assert message.msg.startswith("LOCKS['default']: no lock can be acquired and released. Redis (")
    return message


def without_replicas(client: Redis) -> None:
    client.config_set("min-replicas-to-write", 1)


def without_memory(client: Redis) -> None:
    client.config_set("maxmemory", 1)


def without_disk(client: Redis) -> None:
    client.config_set("save", "3600 1")
    Path(client.config_get("dir")["dir"], "dump.rdb").mkdir()
    client.bgsave()

    def has_failed() -> bool:
        return bool(client.info("persistence")["rdb_last_bgsave_status"] == "err")

    wait_until(has_failed, within=30)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(
            without_replicas,
            "(NOREPLICAS). Repair the replicas, or lower min-replicas-to-write",
            # Older servers let scripts write without enough replicas.
            marks=pytest.mark.redis_server("7.0"),
        ),
        (without_memory, "reached maxmemory (OOM). Raise maxmemory, or remove"),
        (without_disk, "it cannot save its data (MISCONF). Its log says why"),
    ],
)
def test_a_server_that_grants_nothing_is_an_error_that_says_what_to_do(
    use: UsePlace, server: EmbeddedServer, client: Redis, spoil: Callable[..., Any], words: str
) -> None:
    use("", entry={"LOCATION": server.url})
    assert check_backends(deploy=True) == []
    spoil(client)
    message = the_message()
    assert words in message.msg
    assert message.hint == DO_THAT


def test_a_replica_that_hangs_is_not_taken_for_a_wrong_address(
    use: UsePlace, server: EmbeddedServer, client: Redis
) -> None:
    options = {"replicas": 1, "socket_timeout": 5}
    use("", entry={"LOCATION": server.url, "OPTIONS": options})
    follow = ("--replicaof", HOST, str(server.port), "--repl-diskless-sync-delay", "0")
    with EmbeddedServer(args=follow) as replica:
        wait_until(lambda: client.wait(1, 100) == 1, within=60, what="the replica is in step")
        with frozen(replica.pid):
            message = the_message()
    assert "too few replicas that acknowledge" in message.msg
    assert message.hint == DO_THAT


@pytest.mark.redis_server("7.0")
@pytest.mark.parametrize(
    "rules",
    [
        *("%R~lock:* &lock:* +@all", "~other:* &lock:* +@all", "~lock:* &lock:* +@all -zadd"),
        # These are needed by waiters and by semaphores.
        *("~lock:* &lock:* +@all -rpush", "~lock:* &lock:* +@all -zrem"),
    ],
)
def test_a_user_without_a_right_is_an_error(
    use: UsePlace, server: EmbeddedServer, client: Redis, rules: str
) -> None:
    client.execute_command(*f"ACL SETUSER few reset on >p resetchannels {rules}".split())
    location = server.url.replace("://", "://few:p@")
    use("", prefix="lock", entry={"LOCATION": location})
    message = the_message()
    assert "refuses that to the user in the settings, who needs the rights" in message.msg
    assert message.hint == RIGHTS


@contextmanager
def without_slot(cluster: ClusterSet) -> Iterator[None]:
    """Take the slot of one bucket away from a Cluster that serves the others all the same."""
    slot, owner = SLOTS[-1], cluster.owner_of(SLOTS[-1])
    # The owner first, which would tell the others again that it has the slot.
    for primary in sorted(cluster.primaries, key=lambda one: one is not owner):
        with cluster.client(primary) as client:
            client.config_set("cluster-require-full-coverage", "no")
            client.execute_command("CLUSTER", "DELSLOTS", slot)
    yield
    with cluster.client(owner) as client:
        client.execute_command("CLUSTER", "ADDSLOTS", slot)


@pytest.mark.redis_server("7.0")
def test_each_node_of_a_cluster_is_tried(use: UsePlace) -> None:
    with ClusterSet(2) as cluster:
        use("", entry=cluster.entry)
        assert check_backends(deploy=True) == []
        with cluster.client(cluster.primaries[1]) as client:
            client.config_set("min-replicas-to-write", 1)
            assert f"at 127.0.0.1:{cluster.primaries[1].port} has too few" in the_message().msg
            client.config_set("min-replicas-to-write", 0)
        with without_slot(cluster):
            use("", entry=cluster.entry)  # as in a new process, which knows no topology
            message = the_message()
            assert "some slots have no node (CLUSTERDOWN). `redis-cli --cluster" in message.msg
            assert message.hint == DO_THAT
        lock_backends["default"].close()


def test_the_trial_leaves_nothing_behind(
    use: UsePlace, server: EmbeddedServer, client: Redis
) -> None:
    use("", prefix="lock", entry={"LOCATION": server.url})
    assert check_backends(deploy=True) == []
    backend = lock_backends["default"]
    assert (backend.list().total, backend.waited_for().total) == (0, 0)
    # The counter of fences belongs to all names, and never goes away.
    assert [key.rpartition(":")[2] for key in client.scan_iter()] == ["fence"]
    assert backend.meter is not None
    assert backend.meter.take().tallies == {}, "nothing is counted"


def test_the_trial_leaves_nothing_behind_that_stays_if_it_is_cut_short(
    use: UsePlace, server: EmbeddedServer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    use("", entry={"LOCATION": server.url})
    with lock("a"):
        shared = set(client.keys())
    backend = lock_backends["default"]
    monkeypatch.setattr(backend, "cancel", lambda *_: None)
    monkeypatch.setattr(backend, "force_release", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        check_backends(deploy=True)
    left = set(client.keys()) - shared
    assert left
    bucket_keys = ("fence", "index", "waited")
    stays = [key for key in left if client.pttl(key) < 0 and not key.endswith(bucket_keys)]
    assert stays == []
    assert max(map(client.pttl, left)) <= 65_000


def test_the_trial_has_a_name_in_each_bucket() -> None:
    assert len(trial_checks._one_of_each_bucket()) == BUCKETS


def test_a_server_about_which_more_is_known_is_not_tried(
    use: UsePlace, server: EmbeddedServer, client: Redis
) -> None:
    use("", entry={"LOCATION": server.url, "OPTIONS": {"replicas": 1}})
    assert [one.id for one in check_backends(deploy=True)] == ["locks.W008"]
    assert client.keys() == []
