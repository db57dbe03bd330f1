"""What handles do is counted, told in the background, and never in anybody's way."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from django_redislock import LockUnavailable, counting, lock, lock_backends, locked
from django_redislock.exceptions import InvalidLockBackend
from django_redislock.figures.tallies import Tally
from django_redislock.local.background import background
from django_redislock.local.renewal import renewal
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency.forking import failures, in_child
from tests.management.holds import hold
from tests.support.fixtures import UsePlace
from tests.support.places import MEMORY, Place
from tests.support.processes import Workers, wait_until
from tests.support.threads import end_our_threads, no_thread_can_start, our_threads


def figures(using: str = "default") -> dict[str, Tally]:
    """What all have told, by family."""
    whole: dict[str, Tally] = {}
    for slot in lock_backends[using].tallies():
        for family, tally in slot.tallies.items():
            whole.setdefault(family, Tally()).add(tally)
    return whole


def told(using: str = "default") -> dict[str, Tally]:
    """The same when this process, too, has told all."""
    background.end(30)
    return figures(using)


def test_acquisitions_busy_answers_and_times_are_counted(using: str) -> None:
    for number in range(3):
        with lock(f"order:{number}", using=using):
            assert not lock(f"order:{number}", using=using).acquire(wait=0)
    found = told(using)["order:*"]
    assert (found.acquired, found.busy, found.lost) == (3, 3, 0)
    assert sum(found.waits) == sum(found.holds) == 3
    assert found.longest_wait > 0
    assert found.longest_hold > 0


def test_coroutines_are_counted_too(using: str) -> None:
    async def hold() -> None:
        async with lock("a", using=using):
            assert not await lock("a", using=using).aacquire(wait=0)

    asyncio.run(hold())
    assert (told(using)["a"].acquired, told(using)["a"].busy) == (1, 1)


def test_wait_and_hold_are_what_they_were(using: str) -> None:
    def wait() -> None:
        with lock("a", using=using, wait=20):
            pass

    with lock("a", using=using):
        waiting = threading.Thread(target=wait)
        waiting.start()
        wait_until(lambda: lock_backends[using].inspect("a")[1], what="it waits")
        time.sleep(0.3)  # time is the subject
    waiting.join()
    found = told(using)["a"]
    assert 0.2 < found.longest_wait < 20
    assert 0.3 <= found.longest_hold < 20


def test_what_was_lost_is_counted_once(using: str) -> None:
    held = lock("a", using=using, renew=False)
    held.acquire()
    held.extend(0.1)
    assert held.lost.wait(30)
    wait_until(lambda: told(using)["a"].lost == 1)
    assert sum(told(using)["a"].holds) == 0


def test_a_decorated_function_is_counted_under_its_template(using: str) -> None:
    @locked("feed:{slug}", using=using)
    def work(slug: Any) -> None:
        pass

    for slug in ("a", "b"):
        work(slug)
    assert told(using)["feed:{slug}"].acquired == 2


def test_a_hold_that_another_handle_releases_has_no_known_length(place: Place) -> None:
    held = lock("a")
    held.acquire()
    token = held.detach()
    lock("a", token=token).release()
    assert (told()["a"].acquired, sum(told()["a"].holds)) == (1, 0)


def test_it_is_reported_in_the_background_while_something_is_held(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SEND_EVERY", 0.1)
    with lock("a", lease=600):
        wait_until(lambda: "a" in figures())


def test_it_is_reported_when_nothing_is_held_any_more_and_then_nothing_runs(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_our_threads(monkeypatch)
    with lock("a"):
        pass
    wait_until(lambda: "a" in figures())
    assert figures()["a"].acquired == 1
    wait_until(lambda: our_threads() == [])


def test_a_process_that_only_finds_it_busy_reports_that_too(
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


def test_processes_add_up_and_report_when_they_end(place: Place, workers: Workers) -> None:
    for index in range(2):
        workers.start_afresh(count, index, place, 7)
    workers.results()
    assert figures()["order:*"].acquired == 14


def fork_and_count(place: Place) -> list[str]:
    place.use()
    counting.SEND_EVERY = 600.0
    with lock("parent's"):
        pass

    def child() -> list[str]:
        with lock("child's"):
            pass
        return []

    with lock("kept", lease=600):  # or else it would be told soon that nothing is held
        wrong = in_child(child)
        found = figures()
    return wrong + failures(
        child_told_its_own=found.get("child's") is not None,
        child_left_the_rest_to_its_parent="parent's" not in found,
        parent_tells_its_own=told()["parent's"].acquired == 1,
    )


def test_a_forked_child_counts_from_zero(place: Place, workers: Workers) -> None:
    assert workers.start(fork_and_count, place).result() == []


# Off.


def test_off_there_is_no_figure_and_no_key(use: UsePlace, redis_url: str) -> None:
    place = use(redis_url, entry={"OPTIONS": {"metrics": False}})
    with lock("a"):
        assert not lock("a").acquire(wait=0)
    assert told() == {}
    with place.client() as client:
        assert list(client.scan_iter(f"{place.prefix}:*metrics*")) == []


@pytest.mark.parametrize("value", [None, 1, "off"])
@pytest.mark.parametrize("backend", ["memory.MemoryLockBackend", "redis.RedisLockBackend"])
def test_off_is_spelled_false(settings: Any, backend: Any, value: Any) -> None:
    path = f"django_redislock.backends.{backend}"
    settings.LOCKS = {"default": {"BACKEND": path, "OPTIONS": {"metrics": value}}}
    with pytest.raises(InvalidLockBackend, match=r"\['metrics'\] must be True or False, not"):
        lock_backends["default"]


# When the server fails.


@pytest.fixture
def refusing(place: Place, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The backend refuses to be told, as often as this list is long."""
    backend = lock_backends["default"]
    refusals: list[str] = []
    add = backend.add_tallies

    def add_tallies(batch: Any) -> None:
        if refusals:
            raise LockUnavailable(refusals.pop())
        add(batch)

    monkeypatch.setattr(backend, "add_tallies", add_tallies)
    monkeypatch.setattr(counting, "SEND_EVERY", 0.05)
    return refusals


def test_what_could_not_be_reported_is_reported_again(refusing: Any) -> None:
    refusing += ["down"]
    with lock("a", lease=600):
        wait_until(lambda: "a" in figures())
    assert refusing == []
    assert told()["a"].acquired == 1


def test_what_could_not_be_reported_twice_is_dropped(refusing: Any) -> None:
    refusing += ["down", "down"]
    with lock("a", lease=600):
        wait_until(lambda: refusing == [])
        with lock("b"):
            pass
        wait_until(lambda: "b" in figures())
        assert "a" not in figures()


def test_a_process_that_ends_tries_once(refusing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "SEND_EVERY", 600.0)
    refusing += ["down", "down"]
    with lock("a"):
        pass
    background.end(30)
    background.end(30)
    assert refusing == ["down"]


def test_a_server_that_is_gone_harms_nobody(
    own_server: EmbeddedServer,
    use: UsePlace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(counting, "SEND_EVERY", 0.05)
    place = use(own_server.url)
    held = lock("a", lease=60)
    held.acquire()
    with place.client() as client:
        client.script_flush()
    own_server.stop()
    counting.count(held.backend, Tally.was_acquired, held.name, 0.1)
    wait_until(lambda: background.flush(0.1))
    assert [one for one in caplog.records if one.levelname not in ("DEBUG", "WARNING")] == []
    with pytest.raises(LockUnavailable):
        held.release()


def test_a_server_that_is_slow_to_be_told_delays_no_acquire(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_at_last = threading.Event()
    being_told = threading.Event()

    def add_tallies(batch: Any) -> None:
        being_told.set()
        assert told_at_last.wait(30)

    monkeypatch.setattr(lock_backends["default"], "add_tallies", add_tallies)
    monkeypatch.setattr(counting, "SEND_EVERY", 0.01)
    with lock("a", lease=600):
        assert being_told.wait(30)
        with lock("b"):
            pass
        assert not told_at_last.is_set()
        told_at_last.set()


def test_where_no_thread_can_be_started_it_is_reported_when_one_can(
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
