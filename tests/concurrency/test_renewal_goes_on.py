"""What keeps one renewal from being done does not end renewal."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from django_redislock import LockUnavailable, lock, lock_backends
from tests.concurrency.test_renewal import LEASE, our_threads
from tests.support.processes import wait_until


def test_a_thread_that_could_not_be_started_is_started_for_the_next_hold(place, monkeypatch):
    monkeypatch.setattr("django_redislock.local.renewal.LINGER", 0.2)
    wait_until(lambda: our_threads() == [])

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as now:
        now.setattr(threading.Thread, "start", refuse)
        with suppress(RuntimeError):
            lock("a").acquire()
    with lock("b", lease=LEASE) as held:
        assert not held.lost.wait(LEASE * 1.5)


def test_while_no_thread_can_be_started_losses_are_told_and_renewals_tried_again(
    place, monkeypatch
):
    """The limit of a container's processes is reached, say, for a while."""
    refused: list[str] = []
    start = threading.Thread.start

    def refuse(thread):
        if not thread.name.startswith("django_redislock"):
            return start(thread)
        refused.append(thread.name)
        raise RuntimeError("can't start new thread")

    with lock("b", lease=2) as held:
        doomed = lock("a", lease=0.3, renew=False)
        doomed.acquire()
        with monkeypatch.context() as now:
            now.setattr(threading.Thread, "start", refuse)
            assert doomed.lost.wait(10)
            wait_until(lambda: refused.count("django_redislock-default") > 1)
        assert not held.lost.wait(4)


def test_what_was_to_be_done_later_is_done_when_a_thread_can_be_started_again(place, monkeypatch):
    done = threading.Event()
    send, refused = renewer._couriers.send, threading.Event()

    def refuse(*args, **kwargs):
        if refused.is_set():
            return send(*args, **kwargs)
        refused.set()
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(renewer._couriers, "send", refuse)
    renewer.run_later(lock_backends["default"], done.set, 0.01)
    assert refused.wait(10)
    assert done.wait(10)


def test_an_extension_that_fails_during_a_renewal_does_not_end_it(place, monkeypatch):
    """The renewal's own reply is not believed then, but the next one is."""
    backend = lock_backends["default"]
    extend = backend.extend
    renewing, failed = threading.Event(), threading.Event()

    def failing(extensions):
        if not extensions[0].at_least:
            raise LockUnavailable("no answer")
        if not failed.is_set():
            renewing.set()
            failed.wait(20)
        return extend(extensions)

    monkeypatch.setattr(backend, "extend", failing)
    with lock("a", lease=2) as held:
        assert renewing.wait(20)
        with pytest.raises(LockUnavailable):
            held.extend(2)
        failed.set()
        assert not held.lost.wait(4), held.lost.reason


def test_a_renewal_that_fails_in_an_unforeseen_way_is_tried_again(place, monkeypatch):
    backend = lock_backends["default"]
    extend = backend.extend
    failed: list[ValueError] = []

    def failing(extensions):
        if not failed:
            failed.append(ValueError("I/O operation on closed file."))
            raise failed[0]
        return extend(extensions)

    monkeypatch.setattr(backend, "extend", failing)
    with lock("a", lease=2) as held:
        assert not held.lost.wait(4), held.lost.reason
    assert failed
