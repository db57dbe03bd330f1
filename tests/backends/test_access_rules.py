"""Access rules of the documentation, which must suffice for everything the backend does."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.events import _send_counts
from django_redislock.local.background import background
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.concurrency import jobs
from tests.support.cluster import ClusterSet
from tests.support.fixtures import UsePlace
from tests.support.processes import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"
LUA = PAGE.parents[1] / "django_redislock" / "backends" / "redis" / "lua"
# Rules that Redis 6.2 does not know.
SHARDED = ("+spublish", "+ssubscribe", "+pubsub|shardnumsub")
REDIS_BINARY = "/usr/bin/redis-server"


def rules() -> list[str]:
    (lines,) = re.findall(r"^ACL (SETUSER.+\n(?: .+\n)*)", PAGE.read_text(), re.MULTILINE)
    return lines.split()


@pytest.fixture(
    params=[
        "embedded",
        "Redis",
        pytest.param("Cluster", marks=pytest.mark.redis_server("7.0")),
    ]
)
def location(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A location of locks, whose servers know the user of the page."""
    with ExitStack() as stack:
        if request.param == "Cluster":
            servers, scheme = stack.enter_context(ClusterSet(2)).primaries, "cluster"
        else:
            binary = REDIS_BINARY if request.param == "Redis" else None
            if binary and not os.access(binary, os.X_OK):
                pytest.skip(f"there is no {binary}")
            servers, scheme = [stack.enter_context(EmbeddedServer(binary=binary))], "redis"
        clients = [stack.enter_context(Redis.from_url(server.url)) for server in servers]
        location = f"{scheme}://locks:secret@{HOST}:{servers[0].port}"
        yield location, clients
        lock_backends["default"].close()


def use_as_user(location: Any, use: UsePlace, *without: Any) -> None:
    """Use the location with the rights of the page, but without some of them."""
    where, clients = location
    for client in clients:
        # As the page recommends.
        unknown = () if is_sharded(client) else SHARDED
        left_out = {*without, *unknown}
        client.execute_command("ACL", *(rule for rule in rules() if rule not in left_out))
    use("", prefix="lock", entry={"LOCATION": where})


def is_sharded(client: Any) -> bool:
    return int(client.info("server")["redis_version"].split(".")[0]) >= 7


def refused(location: Any) -> Any:
    """The commands and keys that were refused to the user."""
    _, clients = location
    return {entry["object"] for client in clients for entry in client.acl_log()}


@pytest.fixture
def backend(location: Any, use: UsePlace) -> Iterator[Any]:
    use_as_user(location, use)
    yield lock_backends["default"]
    # redis-py sends its own name, and ignores a refusal. Redis 6.2 does not log the subcommand.
    assert refused(location) <= {"client|setinfo", "client"}


def test_the_access_rules_suffice_for_threads(backend: Any) -> None:
    held, waiter = lock("a", lease=2), lock("a", wait=30)
    held.acquire()
    thread = threading.Thread(target=waiter.acquire)
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 1)
    assert not held.lost.wait(3), "it is renewed"
    assert [hold.waiters for hold in backend.list().holds] == [1]
    assert [one.name for one in backend.waited_for().names] == ["a"]
    held.release()
    thread.join()
    assert [len(entries) for entries in backend.walk() if entries] == [1]
    assert list(backend.force_release_all([("a", waiter.token)])) == [True]
    assert waiter.lost.wait(20)
    _send_counts(backend)
    assert background.flush(30)
    assert sum(slot.tallies["a"].acquired for slot in backend.tallies() if slot.tallies) == 2
    assert sum(minute.tally.acquired for minute in backend.minutes()) == 2
    assert backend.check(deploy=True) == []


def test_the_access_rules_suffice_for_tasks(backend: Any) -> None:
    async def work() -> None:
        held, waiter = lock("a"), lock("a", wait=30)
        async with held:
            assert not await lock("a").aacquire(wait=0.05), "it queues, and is cancelled"
            task = asyncio.create_task(waiter.aacquire())
            while not (await backend.ainspect("a"))[1]:
                await asyncio.sleep(0.01)
            await held.aextend(5)
        assert await task
        await waiter.arelease()

    asyncio.run(work())
    assert backend.list().total == 0


def test_the_access_rules_suffice_for_several_holds(backend: Any) -> None:
    """Semaphores, their queues, and the removal of holds that ended by themselves."""
    several = [lock("a", limit=3) for _ in range(3)]
    for handle in several:
        assert handle.acquire(wait=0)
    assert not lock("a").acquire(wait=0.05)
    assert len(backend.list().holds) == 3
    assert backend.entries(1, 2).total == 3
    for handle in several:
        handle.extend()
        handle.release()
    for number in range(100):
        with lock(f"b{number}"):
            pass


def test_the_access_rules_suffice_for_clearing(backend: Any) -> None:
    handles = [lock(f"c{number}", lease=2) for number in range(20)]
    for handle in handles:
        handle.acquire()
    shown = [(hold.name, hold.token) for hold in backend.list().holds]
    assert len(list(backend.force_release_all(shown))) == 20
    assert backend.list().total == 0
    assert all(handle.lost.wait(20) for handle in handles)


def test_the_access_rules_include_every_command_of_the_scripts() -> None:
    text = "".join(path.read_text() for path in LUA.glob("*.lua"))
    commands = set(re.findall(r"redis\.p?call\('([A-Z]+)'", text)) - {"PUBSUB"}
    assert commands
    assert {f"+{command.lower()}" for command in commands} <= set(rules())


@pytest.mark.parametrize("rule", ["~lock:*", "+zadd", "+evalsha"])
def test_a_missing_right_is_noticed(location: Any, use: UsePlace, rule: Any) -> None:
    use_as_user(location, use, rule)
    with pytest.raises(LockUnavailable):
        lock("a").acquire()
    assert refused(location) - {"client|setinfo"}
