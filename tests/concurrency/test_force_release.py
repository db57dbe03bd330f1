"""Releases by force, and how soon they are reported to the holder."""

from __future__ import annotations

import threading

from django_redislock import lock, lock_backends
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency import jobs
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import Workers, context, wait_until


def test_a_release_by_force_is_reported_to_the_holder(place: Place, workers: Workers) -> None:
    held_as = context.Queue()
    holder = workers.start(jobs.hold_until_lost, place, "a", held_as, {"lease": 4})
    token, _ = held_as.get()
    assert lock_backends["default"].force_release("a", token)
    reported, reason, _ = holder.result()
    assert reported
    assert "released by force" in reason


def test_a_listening_process_is_notified_of_a_release_by_force_at_once(place: Place) -> None:
    """Its lease is so long that a renewal would find out much later."""
    held, waiter = lock("a", lease=600, wait=30), lock("a", wait=30)
    first = lock("a")
    first.acquire()
    for handle in (held, waiter):
        before = jobs.queue_length("a")
        threading.Thread(target=handle.acquire).start()
        wait_until(lambda: jobs.queue_length("a") == before + 1)  # noqa: B023 - called at once
    first.release()
    wait_until(lambda: held.held)
    assert held.backend.force_release("a", held.token)
    assert held.lost.wait(8)
    assert "by force" in held.lost.reason
    wait_until(lambda: waiter.held)
    waiter.release()


def test_a_process_that_began_to_listen_during_the_hold_is_notified_at_once(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    """Before its first wait, a process does not know which kind of channels its server has."""
    use(own_server.url)
    held, waiter = lock("a", lease=600), lock("a", wait=30)
    held.acquire()
    thread = threading.Thread(target=waiter.acquire)
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 1)
    assert held.backend.force_release("a", held.token)
    assert held.lost.wait(8), "its next renewal is due in ten seconds"
    assert "by force" in held.lost.reason
    thread.join()
    waiter.release()
