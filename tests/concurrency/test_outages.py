"""Outages while threads and tasks wait: restarts, cut connections, a server that is down."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from django_redislock import LockLost, LockUnavailable, lock, lock_backends
from django_redislock.local.background import RETRY_EVERY
from django_redislock.local.registry import registry
from django_redislock.local.renewal import renewal
from django_redislock.local.shutdown import release_all
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency.crowd import Crowd
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.threads import end_our_threads, no_thread_can_start

# How long (seconds) waiters wait for an unreachable server.
PATIENCE = 25.0


def test_all_waiters_are_served_after_a_restart(own_server: EmbeddedServer, use: UsePlace) -> None:
    use(own_server.url, entry={"PATIENCE": PATIENCE})
    held = lock("a", lease=40)
    held.acquire()
    crowd = Crowd("a", 6, 6)
    own_server.restart()
    crowd.assert_served()
    assert min(crowd.fences) > held.fence
    with pytest.raises(LockLost):
        held.release()


def test_all_waiters_are_served_after_their_connections_were_cut(
    proxy: Proxy, use: UsePlace
) -> None:
    use(proxy.url)
    with lock("a", lease=40) as held:
        crowd = Crowd("a", 6, 6)
        assert proxy.cut() >= 2
        held.check()
    crowd.assert_served()


def test_all_waiters_are_served_after_the_wake_up_connection_was_cut(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    place = use(own_server.url)
    with place.client() as client:
        with lock("a", lease=40):
            crowd = Crowd("a", 6, 6)
            assert client.client_kill_filter(_type="pubsub") == 1
        crowd.assert_served()


def test_waiters_are_served_after_a_script_flush(own_server: EmbeddedServer, use: UsePlace) -> None:
    place = use(own_server.url)
    with lock("a", lease=40):
        crowd = Crowd("a", 3, 3)
        with place.client() as client:
            client.script_flush()
    crowd.assert_served()


def test_a_short_outage_is_not_reported_to_waiters(proxy: Proxy, use: UsePlace) -> None:
    use(proxy.url, entry={"PATIENCE": PATIENCE})
    held = lock("a", lease=30)
    held.acquire()
    crowd = Crowd("a", 3, 3)
    proxy.refuse()
    proxy.cut()
    threading.Event().wait(0.6)  # long enough for a few failed attempts
    assert crowd.errors == []
    proxy.accept()
    held.release()
    crowd.assert_served()


def test_a_long_outage_is_reported_to_waiters(own_server: EmbeddedServer, use: UsePlace) -> None:
    use(own_server.url)
    held = lock("a", lease=30)
    held.acquire()
    crowd = Crowd("a", 3, 3)
    own_server.stop()
    began = time.monotonic()
    crowd.join()
    assert time.monotonic() - began < 30, "long before their waits are over"
    assert len(crowd.errors) == crowd.size
    assert {error.name for error in crowd.errors} == {"a"}
    assert all(error.__cause__ for error in crowd.errors)
    with pytest.raises(LockUnavailable):
        held.release()


def test_waiters_that_give_up_on_their_server_leave_its_queue(proxy: Proxy, use: UsePlace) -> None:
    """Their last request was not sent, but an earlier one has queued."""
    use(proxy.url, entry={"PATIENCE": 0.2})
    held = lock("a", lease=60)
    held.acquire()
    crowd = Crowd("a", 2, 2)
    proxy.refuse()
    proxy.cut()
    crowd.join()
    assert len(crowd.errors) == crowd.size
    proxy.accept()
    wait_until(lambda: lock_backends["default"].inspect("a")[1] == [], within=20)
    held.release()


def test_a_wait_shorter_than_the_patience_ends_in_time(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    use(own_server.url, entry={"PATIENCE": PATIENCE})
    held = lock("a", lease=30)
    held.acquire()
    crowd = Crowd("a", 2, 2, wait=5)
    own_server.stop()
    began = time.monotonic()
    crowd.join()
    assert time.monotonic() - began < PATIENCE - 5
    assert len(crowd.errors) == crowd.size
    with pytest.raises(LockUnavailable):
        held.release()


def test_a_server_that_is_down_from_the_start_is_not_waited_for(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    use(own_server.url, entry={"PATIENCE": PATIENCE})
    own_server.stop()
    began = time.monotonic()
    with pytest.raises(LockUnavailable):
        lock("a").acquire(wait=30)
    assert time.monotonic() - began < PATIENCE - 5


def test_a_new_attempt_does_not_wait_for_a_server_that_refuses(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    """Nor if the process already listens in the bucket, so that its first request would queue."""
    place = use(own_server.url, entry={"PATIENCE": PATIENCE})
    with lock("a", lease=60):
        crowd = Crowd("a", 1, 1)
        with place.client() as client:
            client.config_set("maxmemory", 1)
            began = time.monotonic()
            for attempt in (lock("a").acquire, lambda wait: asyncio.run(lock("a").aacquire(wait))):
                with pytest.raises(LockUnavailable, match="used memory"):
                    attempt(wait=30)
            assert time.monotonic() - began < PATIENCE - 5
            client.config_set("maxmemory", 0)
    crowd.assert_served()


def test_failed_releases_are_done_when_the_server_is_back(
    proxy: Proxy, place: Place, use: UsePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the lease would keep each name for minutes."""
    use(proxy.url, prefix=place.prefix)
    backend = lock_backends["default"]
    tried: list[float] = []
    release = backend.release

    def trying(name: str, token: str, within: float | None = None) -> bool:
        tried.append(time.monotonic())
        return release(name, token, within)

    monkeypatch.setattr(backend, "release", trying)
    handles = [lock(name, lease=600) for name in "ab"]
    for handle in handles:
        handle.acquire()
    proxy.refuse()
    proxy.cut()
    for handle in handles:
        with pytest.raises(LockUnavailable):
            handle.release()
    wait_until(lambda: len(tried) > 10)
    assert tried[10] - tried[4] > 4 * RETRY_EVERY, "one release is retried on behalf of all"
    proxy.accept()
    with place.client() as client:
        wait_until(lambda: not client.keys(f"{place.prefix}:*:hold:*"))


def test_without_a_thread_that_can_start_a_release_is_done_later(
    proxy: Proxy, place: Place, use: UsePlace
) -> None:
    use(proxy.url, prefix=place.prefix)
    one, other = lock("a", lease=600), lock("b", lease=600)
    one.acquire()
    other.acquire()
    proxy.refuse()
    proxy.cut()

    with no_thread_can_start():
        with pytest.raises(LockUnavailable):
            one.release()
    with pytest.raises(LockUnavailable):
        other.release()
    proxy.accept()
    for name in ("a", "b"):
        with lock(name, wait=30):
            pass


def test_without_a_thread_that_can_start_a_failed_attempt_is_finished_once(
    proxy: Proxy, place: Place, use: UsePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an ending process from Python 3.12 on, where it once was retried again and again."""
    use(proxy.url, prefix=place.prefix)
    with lock("warm"):
        proxy.refuse()
    end_our_threads(monkeypatch)
    proxy.drop_next_request(b"unsure")  # and no other connection can be opened
    with monkeypatch.context() as patch:
        # As if the process ended before its threads could finish the attempt.
        patch.setattr(renewal, "finish", lambda attempt: setattr(attempt, "call", None))
        patch.setattr(renewal, "_mend", lambda now: None)
        with pytest.raises(LockUnavailable):
            lock("unsure").acquire(wait=0)
        assert registry.interrupted
        with no_thread_can_start():
            registry.sweep()
        assert not registry.interrupted


def test_an_ending_process_asks_an_unreachable_server_only_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would wait for one time-out per hold."""
    asked: list[str] = []

    def away(name: str, token: str) -> bool:
        asked.append(name)
        raise LockUnavailable("no answer in time")

    handles = [lock(name) for name in "abc"]
    for handle in handles:
        handle.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(lock_backends["default"], "release", away)
        release_all()
    assert len(asked) == 1
    for handle in handles:
        lock(handle.name, token=handle.token).release()


def test_a_terminated_process_ends_when_no_thread_can_start() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TERMINATED], capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == -signal.SIGTERM, ended.stderr


TERMINATED = """
import os, signal
from django_redislock.local import shutdown
from tests.support.threads import end_our_threads, no_thread_can_start

shutdown.release_at_end()
try:
    with no_thread_can_start():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
except RuntimeError:
    pass
"""


@pytest.mark.parametrize("patience", [0, 0.5])
def test_patience_is_a_setting(own_server: EmbeddedServer, use: UsePlace, patience: Any) -> None:
    use(own_server.url, entry={"PATIENCE": patience})
    held = lock("a", lease=60, renew=False)
    held.acquire()
    crowd = Crowd("a", 1, 1)
    own_server.stop()
    began = time.monotonic()
    crowd.join()
    assert time.monotonic() - began < 4, "less than the default"
    assert len(crowd.errors) == crowd.size
    with pytest.raises(LockUnavailable):
        held.release()
