"""Positions in the queue, as shown by handles and errors of one name and of several."""

from __future__ import annotations

import threading

import pytest

from django_redislock import LockNotAcquired, lock, lock_backends
from tests.management.holds import hold, queue
from tests.support.processes import wait_until


def test_a_held_handle_has_no_position_in_the_queue(using: str) -> None:
    handle = lock("a", using=using)
    assert (handle.position, handle.estimated_wait) == (None, None)
    with lock("a", using=using):
        assert not handle.acquire(wait=0)
        assert handle.position == 1
    with handle:
        assert (handle.position, handle.estimated_wait) == (None, None)
    assert handle.position is None


def test_a_handle_knows_its_position_while_it_waits(using: str) -> None:
    hold("a", using)
    queue("a", using)
    handle = lock("a", using=using, wait=1.5)
    waiting = threading.Thread(target=handle.acquire)
    waiting.start()
    wait_until(lambda: len(lock_backends[using].inspect("a")[1]) == 2)
    wait_until(lambda: handle.position == 2)
    waiting.join()
    assert handle.position == 2


def test_a_handle_has_no_position_after_a_grant_and_its_release(using: str) -> None:
    handle, first = lock("a", using=using, wait=30), lock("a", using=using)
    first.acquire()
    waiting = threading.Thread(target=handle.acquire)
    waiting.start()
    wait_until(lambda: handle.position == 1)
    first.release()
    waiting.join()
    handle.release()
    assert (handle.position, handle.estimated_wait) == (None, None)
    with lock("a", using=using):
        assert not handle.acquire(wait=0)
        assert handle.position == 1, "another attempt"


def test_the_error_after_a_wait_has_the_position_of_the_waiter(using: str) -> None:
    hold("a", using)
    queue("a", using)
    with pytest.raises(LockNotAcquired) as caught, lock("a", using=using, wait=0.2):
        pass
    assert caught.value.position == 2


def test_a_lock_on_several_names_has_the_position_for_the_busy_name(using: str) -> None:
    hold("b", using)
    queue("b", using)
    handle = lock(["a", "b", "c"], using=using, wait=0)
    assert (handle.position, handle.estimated_wait, handle.holder) == (None, None, None)
    assert not handle.acquire()
    assert handle.position == 2
    assert handle.holder == lock_backends[using].inspect("b")[0][0].holder


def test_a_waiting_lock_on_several_names_knows_the_holder_of_the_busy_name(using: str) -> None:
    first, second = lock("a", using=using, label="first"), lock("b", using=using, label="second")
    handle = lock(["a", "b"], using=using, wait=30)
    first.acquire()
    second.acquire()
    waiting = threading.Thread(target=handle.acquire)
    waiting.start()
    for label, held in {"first": first, "second": second}.items():
        wait_until(lambda label=label: handle.holder and handle.holder.label == label)
        assert handle.position == 1
        held.release()
    waiting.join()
    assert handle.held
    assert handle.position is None
    handle.release()


def test_a_held_lock_on_several_names_has_no_position(using: str) -> None:
    handle = lock(["a", "b"], using=using, wait=0)
    with lock("b", using=using):
        assert not handle.acquire()
    with handle:
        assert (handle.position, handle.estimated_wait) == (None, None)
        assert handle.holder is not None
    assert (handle.position, handle.holder) == (None, None)


def test_the_error_of_a_lock_on_several_names_is_about_the_busy_name(using: str) -> None:
    hold("b", using)
    queue("b", using)
    with pytest.raises(LockNotAcquired) as caught, lock(["a", "b"], using=using, wait=0):
        pass
    assert (caught.value.name, caught.value.position) == ("b", 2)
