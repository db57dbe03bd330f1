"""Attempts with a wait, while their server is known to hang."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency.away import PATIENCE, SLACK, find_out, is_open
from tests.support.places import Place
from tests.support.processes import frozen, wait_until
from tests.support.proxy import Proxy
from tests.support.settled import settle


def test_waiters_send_nothing_and_go_on_as_soon_as_the_server_is_back(
    place: Place, proxy: Proxy, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(proxy.url, prefix=place.prefix, entry={"PATIENCE": PATIENCE})
    backend = lock_backends["default"]
    listen, looks = backend.listen, []

    def counting(name: str, timeout: float) -> None:
        looks.append(name)
        listen(name, timeout)

    monkeypatch.setattr(backend, "listen", counting)
    proxy.hold()
    find_out()
    settle()
    proxy.forget()
    fences: list[int] = []

    def take() -> None:
        with lock("a", wait=40) as held:
            fences.append(held.fence)

    async def atake() -> None:
        async with lock("a", wait=40) as held:
            fences.append(held.fence)

    async def tasks() -> None:
        await asyncio.gather(*(atake() for _ in range(5)))

    threads = [threading.Thread(target=take) for _ in range(5)]
    threads.append(threading.Thread(target=lambda: asyncio.run(tasks())))
    for thread in threads:
        thread.start()
    wait_until(lambda: len(backend.waiters._waiting) == 10)
    wait_until(lambda: proxy.opened > 2, what="the server is probed")
    assert proxy.opened < 6, "each of them would have to connect"
    assert len(looks) <= 5, "each thread sleeps on"
    proxy.pass_through()
    # Much sooner than the waiters would look by themselves.
    began = time.monotonic()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 5
    assert len(set(fences)) == 10


@pytest.mark.parametrize("kind", ["thread", "task"])
@pytest.mark.parametrize(("wait", "patience"), [(0.5, PATIENCE), (20.0, 0.5), (20.0, 0.0)])
def test_a_wait_ends_with_its_deadline_or_the_patience(
    own_server: EmbeddedServer, use: Any, kind: str, wait: float, patience: float
) -> None:
    use(own_server.url, entry={"PATIENCE": patience})
    with lock("warm"):
        pass
    with frozen(own_server.pid):
        find_out()
        began = time.monotonic()
        with pytest.raises(LockUnavailable) as error:
            if kind == "thread":
                lock("a").acquire(wait=wait)
            else:
                asyncio.run(lock("a").aacquire(wait=wait))
        passed = time.monotonic() - began
    assert not error.value.asked
    assert min(wait, patience) <= passed < min(wait, patience) + SLACK


def test_a_claim_from_before_the_outage_is_cancelled(place: Place, proxy: Proxy, use: Any) -> None:
    """The claim may still be in the queue."""
    use(proxy.url, prefix=place.prefix, entry={"PATIENCE": 0.5})
    errors: list[LockUnavailable] = []

    def queue() -> None:
        with pytest.raises(LockUnavailable) as error:
            lock("a", wait=30).acquire()
        errors.append(error.value)

    holder = lock("a", lease=300)
    holder.acquire()
    thread = threading.Thread(target=queue)
    thread.start()
    backend = lock_backends["default"]
    wait_until(lambda: backend.inspect("a")[1])
    proxy.hold()
    find_out()
    backend.waiters.nudge_all()
    thread.join()
    assert errors[0].asked
    proxy.pass_through()
    wait_until(lambda: not is_open())
    wait_until(lambda: not backend.inspect("a")[1])
    holder.release()
