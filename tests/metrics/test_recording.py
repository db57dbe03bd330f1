"""Recording of figures, which are reported in the background."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from django_redislock import LockUnavailable, events, lock, lock_backends, locked
from django_redislock.exceptions import InvalidLockBackend
from django_redislock.figures.tallies import Tally
from django_redislock.local.background import background
from django_redislock.local.renewal import renewal
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency.forking import failures
from tests.management.holds import hold
from tests.support.fixtures import UsePlace
from tests.support.forks import in_child
from tests.support.places import MEMORY, Place
from tests.support.processes import Workers, wait_until
from tests.support.threads import end_our_threads, no_thread_can_start, our_threads


def figures(using: str = "default") -> dict[str, Tally]:
    """The figures reported by all processes, by family."""
    whole: dict[str, Tally] = {}
    for slot in lock_backends[using].tallies():
        for family, tally in slot.tallies.items():
            whole.setdefault(family, Tally()).add(tally)
    return whole


def all_reported(using: str = "default") -> dict[str, Tally]:
    """The same after this process has reported everything."""
    background.end(30)
    return figures(using)


def test_acquisitions_busy_answers_and_times_are_counted(using: str) -> None:
    for number in range(3):
        with lock(f"order:{number}", using=using):
            assert not lock(f"order:{number}", using=using).acquire(wait=0)
    found = all_reported(using)["order:*"]
    assert (found.acquired, found.busy, found.lost) == (3, 3, 0)
    assert sum(found.waits) == sum(found.holds) == 3
    assert found.longest_wait > 0
    assert found.longest_hold > 0


def test_coroutines_are_counted_too(using: str) -> None:
    async def hold() -> None:
        async with lock("a", using=using):
            assert not await lock("a", using=using).aacquire(wait=0)

    asyncio.run(hold())
    assert (all_reported(using)["a"].acquired, all_reported(using)["a"].busy) == (1, 1)


def test_waits_and_holds_are_measured(using: str) -> None:
    def wait() -> None:
        with lock("a", using=using, wait=20):
            pass

    with lock("a", using=using):
        waiting = threading.Thread(target=wait)
        waiting.start()
        wait_until(lambda: lock_backends[using].inspect("a")[1], what="it waits")
        time.sleep(0.3)  # time is the subject
    waiting.join()
    found = all_reported(using)["a"]
    assert 0.2 < found.longest_wait < 20
    assert 0.3 <= found.longest_hold < 20


def test_a_loss_is_counted_once(using: str) -> None:
    held = lock("a", using=using, renew=False)
    held.acquire()
    held.extend(0.1)
    assert held.lost.wait(30)
    wait_until(lambda: all_reported(using)["a"].lost == 1)
    assert sum(all_reported(using)["a"].holds) == 0


def test_a_decorated_function_is_counted_under_its_template(using: str) -> None:
    @locked("feed:{slug}", using=using)
    def work(slug: Any) -> None:
        pass

    for slug in ("a", "b"):
        work(slug)
    assert all_reported(using)["feed:{slug}"].acquired == 2


def test_a_hold_that_another_handle_releases_has_no_known_length(place: Place) -> None:
    held = lock("a")
    held.acquire()
    token = held.detach()
    lock("a", token=token).release()
    assert (all_reported()["a"].acquired, sum(all_reported()["a"].holds)) == (1, 0)


def test_counts_are_reported_in_the_background_during_a_hold(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SEND_EVERY", 0.1)
    with lock("a", lease=600):
        wait_until(lambda: "a" in figures())


def test_counts_are_reported_after_the_last_hold_and_then_all_threads_end(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_our_threads(monkeypatch)
    with lock("a"):
        pass
    wait_until(lambda: "a" in figures())
    assert figures()["a"].acquired == 1
    wait_until(lambda: our_threads() == [])


def test_a_process_with_only_busy_answers_reports_them(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_our_threads(monkeypatch)
    hold("a", "default")
    assert not lock("a").acquire(wait=0)
    wait_until(lambda: "a" in figures())
    assert figures()["a"].busy == 1


def count(index: int, place: Place, times: int) -> None:
    place.use()
    for number in range(times):
        with lock(f"order:{index}{number}"):
            pass


def test_counts_of_processes_add_up_and_are_reported_at_their_end(
    place: Place, workers: Workers
) -> None:
    for index in range(2):
        workers.start_afresh(count, index, place, 7)
    workers.results()
    assert figures()["order:*"].acquired == 14


def fork_and_count(place: Place) -> list[str]:
    place.use()
    events.SEND_EVERY = 600.0
    with lock("parent's"):
        pass

    def child() -> list[str]:
        with lock("child's"):
            pass
        return []

    with lock("kept", lease=600):  # otherwise it would soon be reported, as nothing is held
        wrong = in_child(child)
        found = figures()
    return wrong + failures(
        child_told_its_own=found.get("child's") is not None,
        child_left_the_rest_to_its_parent="parent's" not in found,
        parent_tells_its_own=all_reported()["parent's"].acquired == 1,
    )


def test_a_forked_child_counts_from_zero(place: Place, workers: Workers) -> None:
    assert workers.start(fork_and_count, place).result() == []


# Off.


def test_without_metrics_there_are_no_figures_and_no_keys(use: UsePlace, redis_url: str) -> None:
    place = use(redis_url, entry={"OPTIONS": {"metrics": False}})
    with lock("a"):
        assert not lock("a").acquire(wait=0)
    assert all_reported() == {}
    with place.client() as client:
        assert list(client.scan_iter(f"{place.prefix}:*metrics*")) == []


@pytest.mark.parametrize("value", [None, 1, "off"])
@pytest.mark.parametrize("backend", ["memory.MemoryLockBackend", "redis.RedisLockBackend"])
def test_metrics_must_be_true_or_false(settings: Any, backend: Any, value: Any) -> None:
    path = f"django_redislock.backends.{backend}"
    settings.LOCKS = {"default": {"BACKEND": path, "OPTIONS": {"metrics": value}}}
    with pytest.raises(InvalidLockBackend, match=r"\['metrics'\] must be True or False, not"):
        lock_backends["default"]


# A server that fails.


@pytest.fixture
def refusing(place: Place, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A list; the backend refuses as many reports as it has items."""
    backend, refusals = lock_backends["default"], list[str]()
    add = backend.add_tallies

    def add_tallies(batch: Any) -> None:
        if refusals:
            raise LockUnavailable(refusals.pop())
        add(batch)

    monkeypatch.setattr(backend, "add_tallies", add_tallies)
    monkeypatch.setattr(events, "SEND_EVERY", 0.05)
    return refusals


def test_counts_that_could_not_be_reported_are_reported_again(refusing: Any) -> None:
    refusing += ["down"]
    with lock("a", lease=600):
        wait_until(lambda: "a" in figures())
    assert refusing == []
    assert all_reported()["a"].acquired == 1


def test_counts_that_could_not_be_reported_in_time_are_dropped(
    refusing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SEND_WITHIN", 1.0)
    refusing += ["down"] * 1000
    with lock("a", lease=600):
        wait_until(lambda: len(refusing) < 1000)
        wait_until(lambda: not any(one.has_jobs() for one in [*background._workers.values()]))
        monkeypatch.setattr(events, "SEND_WITHIN", 600.0)
        refusing.clear()
        with lock("b"):
            wait_until(lambda: "b" in figures())
        assert "a" not in figures()


def test_an_ending_process_tries_to_report_once(
    refusing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SEND_EVERY", 600.0)
    refusing += ["down", "down"]
    with lock("a"):
        pass
    background.end(30)
    background.end(30)
    assert refusing == ["down"]


def test_a_server_that_is_down_causes_no_errors(
    own_server: EmbeddedServer,
    use: UsePlace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(events, "SEND_EVERY", 0.05)
    place, held = use(own_server.url), lock("a", lease=60)
    held.acquire()
    with place.client() as client:
        client.script_flush()
    own_server.stop()
    events.count(held, Tally.was_acquired, 0.1)
    wait_until(lambda: background.flush(0.1))
    assert [one for one in caplog.records if one.levelname not in ("DEBUG", "WARNING")] == []
    with pytest.raises(LockUnavailable):
        held.release()


def test_a_slow_report_delays_no_acquire(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    may_be_sent, being_sent = threading.Event(), threading.Event()

    def add_tallies(batch: Any) -> None:
        being_sent.set()
        assert may_be_sent.wait(30)

    monkeypatch.setattr(lock_backends["default"], "add_tallies", add_tallies)
    monkeypatch.setattr(events, "SEND_EVERY", 0.01)
    with lock("a", lease=600):
        assert being_sent.wait(30)
        with lock("b"):
            pass
        assert not may_be_sent.is_set()
        may_be_sent.set()


def test_counts_are_reported_as_soon_as_a_thread_can_start_again(
    place: Place, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOCKS = {**settings.LOCKS, "memory": {"BACKEND": MEMORY}}
    end_our_threads(monkeypatch)
    hold("a", "default")
    with lock("kept", using="memory"):  # so that renewal runs
        wait_until(renewal.is_running)
        with no_thread_can_start() as refused:
            assert not lock("a").acquire(wait=0)
    assert refused
    assert not lock("a").acquire(wait=0)
    with lock("b"):
        pass
    wait_until(lambda: figures().get("a", Tally()).busy == 2, within=5)
