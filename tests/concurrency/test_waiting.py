"""Cost of waiting: connections, commands, and no traces afterwards."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import pytest
from redis import Redis

from django_redislock import lock, lock_backends, waiting
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.backends.waiters import TaskWaiter, Turn
from django_redislock.conf import LockConfig
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency import jobs
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.settled import settle
from tests.support.tries import best_of

WAITERS = 1000
WATCHED = 10.0  # seconds: commands sent every ten seconds count only once or twice


def commands(client: Redis) -> int:
    """The number of commands received, without those called by scripts."""
    stats = client.info("commandstats")
    sent = {"evalsha", "eval", "ping", "ssubscribe", "subscribe", "hello", "client|setinfo"}
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in sent)


def pooled(backend: Any) -> int:
    """How many connections threads and coroutines have opened."""
    links = sum(link.sock is not None for link in backend.node._links)
    return links + len(backend.node.async_wire._all())


@pytest.mark.timeout(240)
def test_1000_waiters_take_two_connections_and_send_hardly_any_commands(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    place = use(own_server.url)
    backend = lock_backends["default"]
    served: list[int] = []

    async def wait_in_task() -> None:
        async with lock("a", wait=200) as held:
            served.append(held.fence)

    async def wait_in_tasks(number: int) -> None:
        await asyncio.gather(*(wait_in_task() for _ in range(number)))

    def wait_in_thread() -> None:
        with lock("a", wait=200) as held:
            served.append(held.fence)

    threads = [threading.Thread(target=wait_in_thread) for _ in range(200)]
    threads.append(threading.Thread(target=lambda: asyncio.run(wait_in_tasks(WAITERS - 200))))
    with place.client() as client, lock("a", lease=300):
        for thread in threads:
            thread.start()
        wait_until(lambda: jobs.queue_length("a") == WAITERS, within=100)

        def beyond(attempt: int) -> float:
            return int(client.info("clients")["connected_clients"]) - 1 - pooled(backend)

        def sent(attempt: int) -> float:
            began, before = time.monotonic(), commands(client)
            threading.Event().wait(WATCHED)
            return (commands(client) - before) / (time.monotonic() - began)

        # On a slow machine some may still be joining the queue.
        least_sent, least_beyond = best_of(sent, 1), best_of(beyond, 3)
    for thread in threads:
        thread.join()
    assert served == sorted(served)
    assert len(served) == WAITERS
    assert least_beyond <= 2
    assert least_sent < 1, "in a second"
    # The pools have not grown with the number of waiters.
    assert pooled(backend) < WAITERS / 10


@pytest.mark.parametrize("using", ["default", "memory"])
def test_many_waiters_whose_waits_end_leave_no_trace(
    monkeypatch: pytest.MonkeyPatch, using: str
) -> None:
    # A busy machine may answer late, which would be LockUnavailable.
    monkeypatch.setattr(waiting, "FIRST_ANSWER", 60.0)
    monkeypatch.setattr(waiting, "TOLERANCE", 60.0)

    async def give_up() -> bool:
        return await lock("a", using=using).aacquire(wait=0.5)

    async def give_up_together() -> list[bool]:
        return await asyncio.gather(*(give_up() for _ in range(200)))

    with lock("a", using=using) as held:
        assert not any(asyncio.run(give_up_together()))
        settle()
        assert lock_backends[using].inspect("a")[1] == []
        assert not lock_backends[using].waiters
        held.check()


async def test_a_turn_that_arrives_after_the_wait_is_given_back(place: Place) -> None:
    """The hand-over arrives when the attempt is over."""
    backend = lock_backends["default"]
    held, waiter = lock("a", lease=60), lock("a")
    await held.aacquire()
    waiting = asyncio.create_task(waiter.aacquire(wait=30))
    while not backend.inspect("a")[1]:
        await asyncio.sleep(0.001)
    token = backend.inspect("a")[1][0].token
    backend.waiters.leave("a", token)  # as at the end of its attempt
    held.release()
    other = lock("a", wait=20)
    await other.aacquire()
    assert not waiter.held
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await other.arelease()


@pytest.mark.parametrize("ticks", range(8))
async def test_a_cancellation_at_the_time_of_the_turn_is_not_swallowed(ticks: Any) -> None:
    waiter = TaskWaiter()
    awaiting = asyncio.create_task(waiter.await_turn(30))
    for _ in range(5):
        await asyncio.sleep(0)
    waiter._turns.append(Turn(1, 1.0))
    waiter._notified.set()
    for _ in range(ticks):
        await asyncio.sleep(0)
    if awaiting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await awaiting


async def test_a_wait_cancelled_before_it_listens_leaves_no_unretrieved_error(
    proxy: Proxy, use: UsePlace
) -> None:
    use(proxy.url, cache={"OPTIONS": {"SOCKET_TIMEOUT": 5}})
    errors: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    backend = lock_backends["default"]
    held = lock("a")
    await held.aacquire()
    connected = threading.Event()
    receive = backend.wakeups._receive

    def never(bell: Any) -> None:
        connected.set()
        refused.wait(20)
        raise ConnectionError("cut")

    refused = threading.Event()
    backend.wakeups._receive = never
    waiting = asyncio.create_task(lock("a").aacquire(wait=30))
    await asyncio.to_thread(connected.wait, 20)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    backend.wakeups._receive = receive
    refused.set()
    await asyncio.to_thread(wait_until, lambda: not backend.wakeups.listeners.wanted)
    gc.collect()
    await asyncio.sleep(0)
    await held.arelease()
    assert errors == []


def test_a_waiter_looks_again_when_the_backend_is_closed(place: Place) -> None:
    """For example by `setting_changed` in a test, when the old backend still has waiters."""
    backend, stranger = (
        lock_backends["default"],
        RedisLockBackend(LockConfig(key_prefix=place.prefix)),
    )
    held, waiter = lock("a", lease=60), lock("a", wait=40)
    held.acquire()
    thread = threading.Thread(target=waiter.acquire)
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 1)
    backend.close()
    stranger.release("a", held.detach())
    deadline = time.monotonic() + 25
    thread.join()
    waiter.release()
    stranger.close()
    assert time.monotonic() < deadline, "the waiter was not asked to look again"


@pytest.mark.parametrize("kind", ["thread", "task"])
def test_a_waiter_that_is_notified_right_before_its_end_only_waits_for_its_turn(
    place: Place, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """If all waiters are notified then, answers to all of them would come too late."""
    monkeypatch.setattr(waiting, "LAST_LOOK", 60.0)
    monkeypatch.setattr(waiting, "TOO_LATE", 60.0)
    backend, asked = lock_backends["default"], list[float]()
    for verb in ("acquire", "aacquire"):
        ask = getattr(backend, verb)
        monkeypatch.setattr(
            backend,
            verb,
            lambda claim, stay, *args, ask=ask: asked.append(stay) or ask(claim, stay, *args),
        )
    held, waiter = lock("a", lease=60), lock("a", lease=60)
    held.acquire()
    acquire = (
        waiter.acquire if kind == "thread" else lambda wait: asyncio.run(waiter.aacquire(wait))
    )
    thread = threading.Thread(target=acquire, args=(50,))
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 1)
    requests = len(asked)
    backend.waiters.nudge_all()
    held.release()
    thread.join()
    assert waiter.held
    assert len(asked) == requests
    waiter.release()


def test_a_hand_over_within_the_process_needs_no_message(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply to the release brings the turn: no other thread has to wake up for it."""
    holder, waiter = lock("a", lease=60), lock("a", lease=60)
    holder.acquire()
    thread = threading.Thread(target=waiter.acquire, args=(60,))
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 1)
    messages = []
    monkeypatch.setattr(holder.backend.wakeups, "_deliver", messages.append)
    holder.release()
    thread.join()
    assert waiter.owned()
    assert messages == []
    waiter.release()


def test_a_turn_that_arrives_too_late_does_not_end_the_hold(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the turn is on its way, its waiter looks and gets the lock with the answer."""
    holder, waiter = lock("a", lease=60), lock("a", lease=60)
    backend = holder.backend
    notify, return_turn = backend.waiters.notify, backend.wakeups._return_turn
    on_its_way, may_arrive, was_returned = threading.Event(), threading.Event(), threading.Event()

    def notify_late(*turn: Any) -> bool:
        on_its_way.set()
        assert may_arrive.wait(30)
        return notify(*turn)

    def return_and_note(*turn: str) -> None:
        return_turn(*turn)
        was_returned.set()

    holder.acquire()
    thread = threading.Thread(target=waiter.acquire, args=(60,))
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 1)
    monkeypatch.setattr(backend.waiters, "notify", notify_late)
    monkeypatch.setattr(backend.wakeups, "_return_turn", return_and_note)
    # Released as by another process, so that the turn comes in a message.
    assert backend.force_release("a", holder.detach())
    assert on_its_way.wait(30)
    backend.waiters.nudge("a")
    thread.join()
    may_arrive.set()
    assert was_returned.wait(30)
    assert waiter.owned()
    waiter.release()
