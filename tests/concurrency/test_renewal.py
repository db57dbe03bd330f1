"""Renewal: leases are extended while the work goes on, or reported as lost."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from django_redislock import LockError, LockLost, LockUnavailable, lock, lock_backends
from django_redislock.backends.base import Extension
from django_redislock.backends.redis.scripts import EXTEND
from django_redislock.local.renewal import renewal
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency import jobs
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.settled import settle
from tests.support.threads import our_threads

# Long enough for a machine that is suspended for a second when a third of it is over.
LEASE = 2.0


@pytest.mark.parametrize("using", ["default", "memory"])
def test_long_work_outlives_its_lease(using: str) -> None:
    with lock("a", using=using, lease=LEASE) as held:
        assert not held.lost.wait(LEASE * 1.6)  # longer than the lease without renewal
        held.check()
        assert held.owned()
        assert not lock("a", using=using).acquire(wait=0)


@pytest.mark.parametrize("using", ["default", "memory"])
def test_renewal_stops_at_max_hold(using: str) -> None:
    began = time.monotonic()
    with pytest.raises(LockLost):
        with lock("a", using=using, lease=LEASE, max_hold=0.6) as held:
            assert held.lost.wait(30)
            assert time.monotonic() - began >= 0.6
            with lock("a", using=using, wait=30):
                pass


@pytest.mark.parametrize("using", ["default", "memory"])
def test_the_loss_of_an_extended_hold_is_noticed_as_soon_as_without_the_extension(
    using: str,
) -> None:
    with pytest.raises(LockLost), lock("a", using=using, lease=LEASE) as held:
        held.extend(600)
        assert held.backend.release("a", held.token)  # the server loses it
        assert held.lost.wait(30)


def test_a_released_hold_is_never_renewed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = lock_backends["default"]
    renewed: list[str] = []
    extend_all = backend.extend_all

    def noting(extensions: list[Extension]) -> Any:
        renewed.extend(one.token for one in extensions)
        return extend_all(extensions)

    monkeypatch.setattr(backend, "extend_all", noting)
    with lock("other", lease=LEASE) as other:
        with lock("a", lease=LEASE) as held:
            wait_until(lambda: held.token in renewed)
        renewed.clear()
        wait_until(lambda: renewed.count(other.token) > 3)
        assert held.token not in renewed


def test_a_release_during_a_renewal_is_not_reported_as_a_loss(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = lock_backends["default"]
    reported: list[str] = []
    held = lock("a", lease=4, on_lost=lambda held: reported.append(held.name))
    extending, released = threading.Event(), threading.Event()
    extend_all = backend.extend_all

    def slow(extensions: Any) -> Any:
        extending.set()
        released.wait(20)
        return extend_all(extensions)

    monkeypatch.setattr(backend, "extend_all", slow)
    held.acquire()
    assert extending.wait(20)
    held.release()
    released.set()
    settle()
    assert reported == []
    assert not held.lost


def test_a_renewal_under_way_does_not_undo_a_shorter_lease(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply to the renewal comes after that to `extend()`, but is older."""
    backend = lock_backends["default"]
    extend_all = backend.extend_all
    sent, shortened = threading.Event(), threading.Event()

    def slow_renewal(extensions: Any) -> Any:
        if sent.is_set():
            raise LockUnavailable("only one renewal is looked at here")
        results = extend_all(extensions)
        sent.set()
        shortened.wait(20)
        return results

    monkeypatch.setattr(backend, "extend_all", slow_renewal)
    held = lock("a", lease=4)
    held.acquire()
    assert sent.wait(20)
    held.extend(0.5)
    server_ends = time.monotonic() + 0.5
    shortened.set()
    settle()
    is_right = time.monotonic() + held.remaining() <= server_ends or held.remaining() == 0
    with suppress(LockLost):
        held.release()
    assert is_right, "the handle believes it holds for longer than the server"


def acquire_all(handles: Any) -> None:
    for handle in handles:
        handle.acquire(wait=0)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("many", [2_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_many_holds_are_renewed_by_one_thread_in_few_round_trips(
    own_server: EmbeddedServer, use: UsePlace, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    use(own_server.url)
    backend = lock_backends["default"]
    exchange = backend.node.exchange
    trips: list[int] = []

    def counting(commands: Any, within: float | None = None, **options: Any) -> Any:
        if EXTEND.sha in commands[0]:
            trips.append(len(commands))
        return exchange(commands, within, **options)

    monkeypatch.setattr(backend.node, "exchange", counting)
    before = our_threads()
    handles = [lock(str(number), lease=18) for number in range(many)]
    began = time.monotonic()
    try:
        for start in range(0, many, 100):
            # Each in its own thread, since no real thread holds this many.
            thread = threading.Thread(target=acquire_all, args=(handles[start : start + 100],))
            thread.start()
            thread.join()
        wait_until(lambda: sum(trips) >= many, within=90)
        renewed, took = sum(trips), time.monotonic() - began
        ours = [name for name in our_threads() if name not in before or before.remove(name)]
        lost = [handle.name for handle in handles if not handle.held]
    finally:
        for handle in handles:
            with suppress(LockError):
                handle.release()
    assert lost == []
    assert len([name for name in ours if "wakeups" not in name]) <= 2
    assert max(trips) <= 500, "a server is not kept from others for long"
    assert len(trips) < renewed / 5
    assert renewed <= many * (took / 6 + 1), "no more often than each third of a lease"
    assert backend.list().total == 0


def test_a_loss_by_a_restart_of_the_server_is_reported(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    use(own_server.url)
    reported: list[str] = []
    with pytest.raises(LockLost):
        with lock("a", lease=1, on_lost=lambda held: reported.append(held.name)) as held:
            own_server.restart()
            assert held.lost.wait(30)
    wait_until(lambda: reported == ["a"])


def test_a_loss_is_reported_in_time_while_the_server_hangs(proxy: Proxy, use: UsePlace) -> None:
    use(proxy.url, cache={"OPTIONS": {"SOCKET_TIMEOUT": 25}})
    held = lock("a", lease=2)
    held.acquire()
    proxy.black_hole()
    ends = time.monotonic() + held.remaining()
    assert held.lost.wait(20)
    assert time.monotonic() < ends + 10, "long before the socket's timeout"
    proxy.pass_through()


def test_the_hanging_server_of_one_alias_does_not_delay_another_alias(
    proxy: Proxy, redis_url: str, settings: Any
) -> None:
    dead = Place(proxy.url, cache={"OPTIONS": {"SOCKET_TIMEOUT": 5}}).settings()
    alive = Place(redis_url).settings()
    settings.CACHES = {"default": dead["CACHES"]["default"], "alive": alive["CACHES"]["default"]}
    settings.LOCKS = {
        "default": dead["LOCKS"]["default"],
        "alive": alive["LOCKS"]["default"] | {"CACHE": "alive"},
    }
    starved, fed = lock("a", lease=2), lock("b", using="alive", lease=2)
    with fed:
        starved.acquire()
        proxy.black_hole()
        assert starved.lost.wait(30)
        assert not fed.lost.wait(2)
        proxy.pass_through()


def test_a_hold_without_renewal_has_its_whole_lease_after_a_hand_over(place: Place) -> None:
    """The grant lease is confirmed even if nothing is renewed afterwards."""
    held, waiter = lock("a"), lock("a", lease=3, wait=30, renew=False)
    held.acquire()
    thread = threading.Thread(target=waiter.acquire)
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 1)
    handed_over = time.monotonic()
    held.release()
    thread.join()
    assert waiter.lost.wait(20)
    assert time.monotonic() - handed_over > 2.8


def test_an_on_lost_that_ends_its_thread_does_not_end_renewal(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with lock("b", lease=3) as other:
        doomed = lock("a", lease=1.2, renew=False, on_lost=lambda held: sys.exit(1))
        doomed.acquire()
        assert doomed.lost.wait(20)
        assert not other.lost.wait(4)
    assert "on_lost of the lock 'a' failed" in caplog.text


def test_a_slow_on_lost_does_not_delay_renewals(place: Place) -> None:
    go_on = threading.Event()
    with lock("b", lease=3) as other:
        doomed = lock("a", lease=1.2, renew=False, on_lost=lambda held: go_on.wait(20))
        doomed.acquire()
        assert doomed.lost.wait(20)
        assert not other.lost.wait(4)
        go_on.set()


def test_one_pass_over_the_holds_serves_many_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    has_begun, may_go_on, passes = threading.Event(), threading.Event(), []
    look_at_holds = renewal._look_at_holds

    def look(now: float) -> float:
        passes.append(now)
        has_begun.set()
        assert may_go_on.wait(10)
        return look_at_holds(now)

    with lock("a"):
        monkeypatch.setattr(renewal, "_look_at_holds", look)
        renewal.wake()
        assert has_begun.wait(10)
        for _ in range(1000):
            renewal.wake()
        may_go_on.set()
        wait_until(renewal._thread._wakes.empty)
        assert len(passes) < 100
