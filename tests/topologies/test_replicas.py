"""Grants that count only when a replica has them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis
from redis.connection import ConnectionPool
from redis.exceptions import MovedError, ResponseError, TryAgainError

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.sources.source import Source
from django_redislock.backends.redis.wire.node import PING, Node
from django_redislock.backends.redis.wire.replicated import ReplicatedNode
from django_redislock.backends.redis.wire.replies import Replies
from django_redislock.checks import check_backends
from django_redislock.exceptions import InvalidLockBackend
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.support.processes import freeze, frozen, thaw, wait_until
from tests.support.settled import settle
from tests.topologies.claims import attempt, failing, fails, is_held, kinds, taking
from tests.topologies.places import backend

pytestmark = pytest.mark.timeout(120)


class Pair:
    """A primary and its replica. Locks by the alias "plain" do not ask the replica."""

    def __init__(self, primary: EmbeddedServer, replica: EmbeddedServer) -> None:
        self.primary, self.replica = primary, replica


@contextmanager
def started() -> Iterator[Pair]:
    with EmbeddedServer() as primary:
        follow = ("--replicaof", HOST, str(primary.port), "--repl-diskless-sync-delay", "0")
        with EmbeddedServer(args=follow) as replica, Redis(port=replica.port) as client:
            wait_until(lambda: client.role()[3] == b"connected", what="the replica is in step")
            yield Pair(primary, replica)


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    with started() as pair:
        yield pair


@pytest.fixture
def pair(servers: Pair, settings: Any) -> Iterator[Pair]:
    use(settings, servers)
    with Redis(port=servers.primary.port) as client:
        client.set("written", 1)
        wait_until(lambda: client.wait(1, 100) == 1, what="the replica is in step")
    yield servers
    with Redis(port=servers.primary.port) as client:
        client.flushall()
    lock_backends["default"].close()


def use(settings: Any, pair: Pair, replicas: int = 1, patience: float = 25.0) -> None:
    location = {"LOCATION": f"redis://{HOST}:{pair.primary.port}/0", "PATIENCE": patience}
    options = {"replicas": replicas, "metrics": False}
    settings.LOCKS = {"default": {**location, "OPTIONS": options}, "plain": location}


@kinds
def test_a_grant_waits_for_the_replica(pair: Pair, kind: str) -> None:
    with lock("warm"):
        pass
    thread, taken = taking(kind, "a")
    with frozen(pair.replica.pid):
        thread.start()
        wait_until(lambda: is_held("a"))
        assert taken == []
    thread.join()
    assert taken == ["a"]


@kinds
def test_a_grant_without_an_acknowledgement_in_time_is_given_back(pair: Pair, kind: str) -> None:
    with frozen(pair.replica.pid):
        began = time.monotonic()
        with pytest.raises(LockUnavailable, match="0 of 1 replicas acknowledged it in time"):
            attempt(kind, "a")
        assert time.monotonic() - began < 3
        settle()
        assert not is_held("a")
    assert not backend().source.breaker.failures, "the server itself has answered"
    with lock("a", wait=20):
        pass


@kinds
def test_a_grant_for_which_the_script_was_sent_is_given_back_too(pair: Pair, kind: str) -> None:
    """A WAIT before the script ran has acknowledged nothing, and may have used up time."""
    with lock("warm"), Redis(port=pair.primary.port) as client:
        client.script_flush()
        with frozen(pair.replica.pid), pytest.raises(LockUnavailable, match="0 of 1"):
            attempt(kind, "a")


@kinds
def test_a_grant_of_a_primary_that_is_demoted_does_not_count(settings: Any, kind: str) -> None:
    with started() as pair:
        use(settings, pair)
        with lock("warm"):
            pass
        thread, refused = failing(kind, "a")
        with frozen(pair.replica.pid), Redis(port=pair.primary.port) as client:
            thread.start()
            wait_until(lambda: is_held("a"))
            client.replicaof(HOST, pair.replica.port)
            thread.join()
            assert refused == ["a"]
        lock_backends["default"].close()


@kinds
def test_a_turn_counts_only_after_its_acknowledgement(pair: Pair, kind: str) -> None:
    holder = lock("a", using="plain", lease=60)
    holder.acquire()
    thread, taken = taking(kind, "a", wait=40)
    thread.start()
    wait_until(lambda: lock_backends["plain"].inspect("a")[1])
    freeze(pair.replica.pid)
    try:
        holder.release()
        wait_until(lambda: not lock_backends["plain"].inspect("a")[1], what="it has its turn")
        time.sleep(1.5)  # longer than a request for the acknowledgement may take
        assert taken == []
    finally:
        thaw(pair.replica.pid)
    thread.join()
    assert taken == ["a"]


@kinds
def test_a_turn_without_acknowledgement_ends_at_the_deadline(pair: Pair, kind: str) -> None:
    holder = lock("a", using="plain", lease=60)
    holder.acquire()
    thread = threading.Thread(target=fails, args=(kind, "a", 3))
    thread.start()
    wait_until(lambda: lock_backends["plain"].inspect("a")[1])
    with frozen(pair.replica.pid):
        began = time.monotonic()
        holder.release()
        thread.join()
        assert time.monotonic() - began < 3 + 1.5
        settle()
        assert not is_held("a")


def test_unacknowledged_claims_do_not_hold_up_other_threads(pair: Pair) -> None:
    with lock("warm") as held:
        threads = [
            threading.Thread(target=lambda number=number: fails("thread", f"a{number}"))
            for number in range(50)
        ]
        with frozen(pair.replica.pid):
            for thread in threads:
                thread.start()
            wait_until(lambda: is_held("a20"))
            node = backend().node
            assert isinstance(node, Node)
            assert len(node._free) >= len(node._links) - 1, "a background job may have one"
            assert held.owned()
            held.extend()
            for thread in threads:
                thread.join()


async def test_unacknowledged_claims_do_not_hold_up_other_tasks(pair: Pair) -> None:
    async with lock("warm") as held:
        with frozen(pair.replica.pid):
            tasks = [asyncio.create_task(afails(f"a{number}")) for number in range(50)]
            await asyncio.to_thread(wait_until, lambda: is_held("a20"))
            began = time.monotonic()
            assert await held.aowned()
            await held.aextend()
            # One after the other, the claims would take half a second each.
            assert time.monotonic() - began < 5
            await asyncio.gather(*tasks)
    # Claims that waited for a connection got one when others gave theirs back.
    async with lock("again", wait=20):
        pass


async def afails(name: str) -> None:
    with pytest.raises(LockUnavailable):
        await lock(name).aacquire(wait=0)


def test_a_busy_answer_needs_no_replica(pair: Pair, settings: Any) -> None:
    use(settings, pair, patience=0)
    with frozen(pair.replica.pid), lock("a", using="plain"):
        assert lock("a").acquire(wait=0) is False
        # A waiter is written to the queue, which is not acknowledged either.
        assert lock("a").acquire(wait=1.5) is False


async def test_a_cancelled_claim_does_not_hold_up_others(pair: Pair) -> None:
    async with lock("warm"):
        pass
    with frozen(pair.replica.pid):
        task = asyncio.create_task(lock("a").aacquire(wait=5))
        await asyncio.to_thread(wait_until, lambda: is_held("a"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        began = time.monotonic()
        node = backend().node
        assert isinstance(node, ReplicatedNode)
        assert (await node._apart.async_wire.aexchange_alone(lambda _: [PING])).replies == [b"PONG"]
        assert time.monotonic() - began < 0.5


async def test_more_tasks_than_connections_take_turns(pair: Pair) -> None:
    async def take(name: str) -> None:
        async with lock(name, wait=20):
            pass

    await asyncio.gather(*(take(f"a{number}") for number in range(100)))
    with Redis(port=pair.primary.port) as client:
        assert len(client.client_list()) < 60


@pytest.mark.parametrize(
    ("within", "milliseconds"), [(None, 1000), (1.0, 380), (0.2, 50), (0.15, 30), (0.1, 1)]
)
def test_the_time_limit_of_wait_leaves_time_for_its_answer(
    monkeypatch: pytest.MonkeyPatch, within: float | None, milliseconds: int
) -> None:
    """A server checks only ten times a second which WAITs are over."""
    node = ReplicatedNode(Source(ConnectionPool(host=HOST, port=1), "a test"), 1)
    sent: list[bytes] = []

    def exchange(commands: Sequence[bytes], *args: object, **kwargs: object) -> Replies:
        sent.append(commands[-1])
        return Replies([1, 1], False)

    monkeypatch.setattr(node._apart, "exchange", exchange)
    node.exchange([PING], within, claim=True)
    assert sent == [pack("WAIT", 1, milliseconds)]


@pytest.mark.parametrize(
    ("answers", "kept"),
    [
        ([b"7", 1], [b"7"]),
        ([b"7", 0], ["0 of 1 replicas acknowledged it in time"]),
        ([b"OK", b"7", 0], [b"OK", "0 of 1 replicas acknowledged it in time"]),
        ([b"busy 1000 5 1000 1 line", 0], [b"busy 1000 5 1000 1 line"]),
        ([b"7", ResponseError("NOPERM")], ["NOPERM"]),
        # A node of a Cluster that has become a replica.
        ([MovedError("511 h:1"), ResponseError("cannot wait")], ["511 h:1"]),
        ([b"OK", TryAgainError("later"), 0], [b"OK", "later"]),
    ],
)
def test_only_a_grant_has_to_be_acknowledged(
    monkeypatch: pytest.MonkeyPatch, answers: list[Any], kept: list[Any]
) -> None:
    node = ReplicatedNode(Source(ConnectionPool(host=HOST, port=1), "a test"), 1)
    monkeypatch.setattr(node._apart, "exchange", lambda *args, **kwargs: Replies(answers, False))
    replies, _ = node.exchange([PING] * (len(answers) - 1), claim=True)
    texts = [str(one) if isinstance(one, Exception) else one for one in replies]
    assert all(str(one).startswith(str(start)) for one, start in zip(texts, kept, strict=True))


def test_more_replicas_than_there_are_never_acknowledge(pair: Pair, settings: Any) -> None:
    use(settings, pair, replicas=2)
    with pytest.raises(LockUnavailable, match="1 of 2 replicas"):
        lock("a").acquire(wait=0)


def test_the_check_warns_of_a_server_with_too_few_replicas(pair: Pair, settings: Any) -> None:
    def warned() -> list[str]:
        return [one.msg for one in check_backends(deploy=True) if one.id == "locks.W008"]

    use(settings, pair)
    assert warned() == []
    use(settings, pair, replicas=2)
    assert warned() == [
        "LOCKS['default']['OPTIONS']['replicas'] is 2, but the server has 1 replica: it grants no "
        "lock."
    ]


@pytest.mark.parametrize("replicas", [-1, 1.5, "1", True, None])
def test_replicas_must_be_a_whole_number(settings: Any, replicas: Any) -> None:
    entry = {"LOCATION": f"redis://{HOST}:1", "OPTIONS": {"replicas": replicas}}
    settings.LOCKS = {"default": entry}
    with pytest.raises(InvalidLockBackend, match=r"\['replicas'\] must be a whole number"):
        lock("a")
