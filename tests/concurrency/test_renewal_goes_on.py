"""Failed renewals, after which renewal goes on."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from django_redislock import LockError, LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.keys import bucket_keys, bucket_of
from django_redislock.clock import monotonic
from django_redislock.local import renewal as renewal_module
from django_redislock.local.renewal import renewal
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency.test_renewal import LEASE
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.threads import end_our_threads, no_thread_can_start, our_threads


def test_a_renewal_thread_that_failed_to_start_is_started_for_the_next_hold(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_our_threads(monkeypatch)
    with no_thread_can_start():
        with pytest.raises(LockError, match="cannot start"):
            lock("a").acquire()
    with lock("b", lease=LEASE) as held:
        assert not held.lost.wait(LEASE * 1.5)


def test_without_a_thread_that_can_start_losses_are_reported_and_renewals_retried(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_our_threads(monkeypatch, linger=0.05)
    with lock("b", lease=2) as held:
        wait_until(lambda: not any("-default" in name for name in our_threads()))
        doomed = lock("a", lease=0.3, renew=False)
        doomed.acquire()
        with no_thread_can_start() as refused:
            assert doomed.lost.wait(10)
            wait_until(lambda: len(refused) > 2)
        assert not held.lost.wait(4)


def test_a_short_lease_is_renewed_before_its_end(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that renews sleeps for longer than that."""
    end_our_threads(monkeypatch)
    with monkeypatch.context() as sleepy, lock("a", lease=60) as held:
        sleepy.setattr(renewal_module, "SOON", 30)
        renewal.wake()
        wait_until(lambda: renewal.wake_at > monotonic() + 2 * LEASE)
        held.extend(LEASE)
        wait_until(lambda: held.lost or held.remaining() > LEASE)
        assert not held.lost
        wait_until(lambda: renewal.wake_at > monotonic() + 2 * LEASE)
        with lock("b", lease=LEASE) as short:
            ends = short._hold.ends
            wait_until(lambda: short._hold.ends > ends or not short.held)
            assert short.held
    renewal.wake()


def test_a_hold_that_begins_during_a_look_is_renewed_before_its_end(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look does not see it any more, and the thread then sleeps for longer than its lease."""
    looked, acquired, look_at_holds = threading.Event(), threading.Event(), renewal._look_at_holds

    def look(now: float) -> float:
        wake_at = look_at_holds(now)
        looked.set()
        assert acquired.wait(20)
        return wake_at

    end_our_threads(monkeypatch)
    with monkeypatch.context() as sleepy:
        sleepy.setattr(renewal_module, "SOON", 30)
        sleepy.setattr(renewal, "_look_at_holds", look)
        renewal.ensure()
        assert looked.wait(20)
        with lock("a", lease=LEASE) as held:
            ends = held._hold.ends
            acquired.set()
            wait_until(lambda: held._hold.ends > ends or not held.held)
            assert held.held
    renewal.wake()


def test_a_failed_extension_during_a_renewal_does_not_end_renewal(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply to that renewal is ignored, and the next one counts."""
    backend = lock_backends["default"]
    extend_all = backend.extend_all
    renewing, failed = threading.Event(), threading.Event()

    def failing(extension: Any) -> Any:
        raise LockUnavailable("no answer")

    def late(extensions: Any) -> Any:
        if not failed.is_set():
            renewing.set()
            failed.wait(20)
        return extend_all(extensions)

    monkeypatch.setattr(backend, "extend", failing)
    monkeypatch.setattr(backend, "extend_all", late)
    with lock("a", lease=2) as held:
        assert renewing.wait(20)
        with pytest.raises(LockUnavailable):
            held.extend(2)
        failed.set()
        assert not held.lost.wait(4), held.lost.reason


def test_a_renewal_with_an_unexpected_error_is_retried(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = lock_backends["default"]
    extend_all = backend.extend_all
    failed: list[ValueError] = []

    def failing(extensions: Any) -> Any:
        if not failed:
            failed.append(ValueError("I/O operation on closed file."))
            raise failed[0]
        return extend_all(extensions)

    monkeypatch.setattr(backend, "extend_all", failing)
    with lock("a", lease=2) as held:
        assert not held.lost.wait(4), held.lost.reason
    assert failed


def test_a_refused_renewal_does_not_affect_those_sent_with_it(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    """Renewals are sent together, but each has an answer of its own."""
    place = use(own_server.url)
    with lock("a", lease=2) as held, place.client() as client:
        other = lock("b", lease=2)
        other.acquire()
        bucket = bucket_keys(lock_backends["default"].config.key_prefix, bucket_of("a")).tag
        client.acl_setuser("default", enabled=True, reset_keys=True, keys=[f"{bucket}*"])
        assert other.lost.wait(20)
        assert not held.lost.wait(3)
