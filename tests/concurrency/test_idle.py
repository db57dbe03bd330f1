"""Idle processes: threads and connections end, and no needless work is done."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from django_redislock import lock
from django_redislock.local.hold import LocalHold
from django_redislock.local.registry import registry
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency.test_renewal import acquire_all
from tests.support.fixtures import UsePlace
from tests.support.places import MEMORY, Place
from tests.support.processes import wait_until

LEASE = 2.0


def test_no_thread_and_no_wake_up_connection_stay_when_nothing_is_held(
    own_server: EmbeddedServer, use: UsePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_redislock.local.renewal.LINGER", 0.2)
    monkeypatch.setattr("django_redislock.local.background.LINGER", 0.2)
    monkeypatch.setattr("django_redislock.events.SEND_EVERY", 0.2)
    monkeypatch.setattr("django_redislock.backends.redis.wakeups.connection.LINGER", 0.2)
    place = use(own_server.url)
    # Threads of other tests in this process may still be waiting for a server that is away.
    others = {thread.ident for thread in threading.enumerate()}
    for _ in range(3):
        with lock("a", lease=600):
            assert not lock("a").acquire(wait=0.01)
    wait_until(lambda: not {one.ident for one in threading.enumerate()} - others)
    assert not registry
    with place.client() as client:
        wait_until(
            lambda: "P" not in {one["flags"] for one in client.client_list()},
            what="the wake-up connection is closed",
        )
    with lock("a", lease=LEASE) as held:  # and everything starts again
        assert not held.lost.wait(LEASE * 1.5)


def test_an_acquire_does_not_examine_all_holds_of_its_thread(
    using_memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    alive = LocalHold.alive.fget

    def noting(hold: Any) -> Any:
        looked_at.append(hold.name)
        return alive(hold)

    handles = [lock(str(number)) for number in range(200)]
    acquire_all(handles)
    monkeypatch.setattr(LocalHold, "alive", property(noting))
    with lock("one more"):
        assert len(looked_at) < 20
    monkeypatch.undo()
    for handle in handles:
        handle.release()


@pytest.fixture
def using_memory(settings: Any) -> None:
    settings.LOCKS = {"default": {"BACKEND": MEMORY}}


def test_the_hold_of_a_dropped_handle_is_not_renewed(place: Place) -> None:
    held = lock("a", lease=LEASE)
    held.acquire()
    with pytest.warns(ResourceWarning):
        del held
    with lock("a", wait=20):
        pass
