"""Estimates of how long a refused attempt would have to wait."""

from __future__ import annotations

import secrets
import threading
from typing import Any

import pytest

from django_redislock import LockNotAcquired, LockUnavailable, lock, lock_backends
from django_redislock.backends.base import BaseLockBackend, Busy
from django_redislock.backends.redis import records
from django_redislock.backends.redis.records import split_hold
from django_redislock.clock import monotonic
from django_redislock.estimates import estimated_wait, retry_after, retry_in
from django_redislock.figures import medians
from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import MOST_FAMILIES, Tally
from django_redislock.local.background import background
from tests.management.holds import hold, queue
from tests.support.threads import end_our_threads, no_thread_can_start

TWENTY_MINUTES = 1200.0


def were_held(seconds: float, family: str, using: str, *, times: int = 5) -> None:
    """Record holds of this family in the last hour, each of this length."""
    tally = Tally()
    for _ in range(times):
        tally.was_released(seconds)
    lock_backends[using].add_tallies(Batch(secrets.token_hex(8), {family: tally}))


def refused(name: str, using: str, **options: Any) -> LockNotAcquired:
    with pytest.raises(LockNotAcquired) as caught, lock(name, using=using, wait=0, **options):
        pass
    return caught.value


def learn(name: str, using: str) -> None:
    """Read the figures in the background, as the first refusal in a process does."""
    refused(name, using)  # without an estimate, unless the background was quicker
    assert background.flush(30)


@pytest.fixture
def busy_order(using: str) -> str:
    """A lock that another process holds, with two waiters. Such locks are held for 20 minutes."""
    were_held(TWENTY_MINUTES, "order:*", using)
    hold("order:1", using)
    queue("order:1", using)
    queue("order:1", using)
    return "order:1"


def test_the_estimate_for_long_jobs_is_long(using: str, busy_order: str) -> None:
    learn(busy_order, using)
    error = refused(busy_order, using)
    assert error.position == 3
    # A percentile is at most the longest hold, and is in the same bucket.
    assert error.estimated_wait == pytest.approx(3 * TWENTY_MINUTES, rel=0.3)
    assert error.estimated_wait <= error.retry_after <= 1.2 * error.estimated_wait


async def test_a_coroutine_gets_the_same_estimate(using: str, busy_order: str) -> None:
    learn(busy_order, using)
    handle = lock(busy_order, using=using)
    assert not await handle.aacquire(wait=0)
    assert handle.position == 3
    assert handle.estimated_wait == pytest.approx(3 * TWENTY_MINUTES, rel=0.3)


def test_a_refused_attempt_never_reads_the_figures_itself(
    using: str, busy_order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on, readers = threading.Event(), threading.Event(), []
    read = lock_backends[using].tallies

    def tallies(families: Any) -> Any:
        readers.append(threading.current_thread())
        reading.set()
        assert go_on.wait(30)
        return read(families)

    monkeypatch.setattr(lock_backends[using], "tallies", tallies)
    assert refused(busy_order, using).estimated_wait is None
    assert reading.wait(30)
    assert refused(busy_order, using).estimated_wait is None
    go_on.set()
    assert background.flush(30)
    assert refused(busy_order, using).estimated_wait is not None
    assert len(readers) == 1
    assert threading.current_thread() not in readers


def test_an_old_copy_of_the_figures_is_replaced(
    using: str, busy_order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(medians, "REFRESH_EVERY", 0.0)
    learn(busy_order, using)
    were_held(0.01, "order:*", using, times=50)
    before = refused(busy_order, using).estimated_wait
    assert background.flush(30)
    assert refused(busy_order, using).estimated_wait < 1 < before


def test_figures_older_than_five_minutes_are_not_used(
    using: str, busy_order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(busy_order, using)
    monkeypatch.setattr(medians, "monotonic", lambda: monotonic() + 299)
    assert refused(busy_order, using).estimated_wait is not None
    assert background.flush(30)
    monkeypatch.setattr(medians, "monotonic", lambda: monotonic() + 299 + 7200)
    assert refused(busy_order, using).estimated_wait is None
    assert background.flush(30)
    assert refused(busy_order, using).estimated_wait is not None


def test_estimates_take_the_limit_and_shared_locks_into_account(using: str) -> None:
    backend = lock_backends[using]
    were_held(60.0, "api", using)
    estimated_wait(backend, "api", 1, 1)  # None, unless the background was quicker
    assert background.flush(30)
    one = estimated_wait(backend, "api", 1, 1)
    assert estimated_wait(backend, "api", 6, 3) == pytest.approx(2 * one)
    hold("api", using)
    assert refused("api", using, shared=True).estimated_wait == pytest.approx(one)


def test_without_figures_retry_after_is_the_remaining_lease(using: str) -> None:
    hold("a", using, lease=30)
    learn("a", using)
    error = refused("a", using)
    assert (error.position, error.estimated_wait) == (1, None)
    assert 25 < error.retry_after <= 36


def busy_for(seconds: float, *, held_for: float = 0.0) -> Busy:
    return Busy(seconds, seconds, 0.0, 1, lambda: (None, held_for))


@pytest.mark.parametrize(
    ("held_for", "estimate", "again_in"),
    [(40, None, 40), (40, 0.03, 40), (40, 20.0, 40), (40, 50.0, 50), (7200, 20.0, 60)],
)
def test_a_hold_that_has_outlasted_the_guess_is_given_as_long_again(
    held_for: float, estimate: float | None, again_in: float
) -> None:
    """Among short holds, one long one would use up the retries of a task within seconds."""
    seconds = retry_in(busy_for(8.0, held_for=held_for), estimate)
    assert again_in <= seconds <= again_in * 1.2


@pytest.mark.parametrize(
    ("estimate", "longest"), [(None, 60), (0.5, 0.5), (1200.0, 1200), (7000.0, 3600)]
)
def test_long_retry_times_are_bounded_and_spread(estimate: Any, longest: Any) -> None:
    """The bound is lower for a guess from the lease than for an estimate."""
    returns = {retry_in(busy_for(7200.0), estimate) for _ in range(50)}
    assert len(returns) > 1
    assert longest <= min(returns) <= max(returns) <= longest * 1.2


def test_retry_after_of_a_long_lease_is_bounded(using: str) -> None:
    hold("a", using, lease=600)
    assert 60 <= refused("a", using).retry_after <= 72


def test_retry_times_of_refused_attempts_are_spread() -> None:
    returns = [retry_in(busy_for(1.0), 10.0) for _ in range(200)]
    assert 10 <= min(returns) < 10.5
    assert 11.5 < max(returns) <= 12


@pytest.mark.parametrize(
    ("seconds", "whole"), [(0.0, 1), (0.01, 1), (1.0, 1), (1.01, 2), (59.5, 60)]
)
def test_retry_after_in_whole_seconds_is_rounded_up(seconds: float, whole: int) -> None:
    assert retry_after(LockNotAcquired("It is busy.", retry_after=seconds)) == whole


def test_the_record_of_the_hold_in_the_way_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hold("a", "default")
    read = []
    monkeypatch.setattr(
        records, "split_hold", lambda *record: read.append(record) or split_hold(*record)
    )
    error = refused("a", "default")
    assert error.holder
    assert error.retry_after
    assert len(read) == 1


def test_without_an_answer_retry_after_is_a_second() -> None:
    """The last of several names may be asked for just before the wait is over."""
    unanswered = lock("a", using="memory")._busy_error(2.0)
    assert (unanswered.holder, unanswered.position, unanswered.estimated_wait) == (None, None, None)
    assert unanswered.retry_after == 1.0
    assert retry_after(unanswered) == 1


def test_without_metrics_no_figures_are_requested(settings: Any, using: str) -> None:
    options = {alias: {**entry, "OPTIONS": {"metrics": False}} for alias, entry in
               settings.LOCKS.items()}  # fmt: skip
    settings.LOCKS = options
    backend = lock_backends[using]
    assert estimated_wait(backend, "a", 1, 1) is None
    assert not backend.medians.families


def test_without_a_thread_that_can_start_there_is_no_estimate(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_our_threads(monkeypatch)
    with no_thread_can_start() as attempts:
        assert estimated_wait(lock_backends[using], "a", 1, 1) is None
    assert attempts
    background.end(30)  # no other test may run the job that is left


def test_without_a_thread_that_can_start_earlier_figures_are_used(
    using: str, busy_order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(busy_order, using)
    backend = lock_backends[using]
    monkeypatch.setattr(medians, "REFRESH_EVERY", 0.0)
    end_our_threads(monkeypatch)
    with no_thread_can_start() as attempts:
        assert estimated_wait(backend, "order:*", 1, 1) is not None
    assert attempts
    background.end(30)


def test_a_process_asks_for_a_limited_number_of_families(using: str) -> None:
    copy = medians.Medians()
    assert all(copy.claim_refresh(f"family {number}") for number in range(MOST_FAMILIES))
    assert not copy.claim_refresh("one more")
    assert len(copy.families) == MOST_FAMILIES


def test_families_that_are_not_requested_any_more_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = medians.Medians()
    assert all(copy.claim_refresh(f"family {number}") for number in range(MOST_FAMILIES))
    later = monotonic() + medians.OLDEST / 2
    monkeypatch.setattr(medians, "monotonic", lambda: later)
    copy.claim_refresh("family 7")
    latest = later + medians.OLDEST * 0.75
    monkeypatch.setattr(medians, "monotonic", lambda: latest)
    assert copy.claim_refresh("one more")
    assert set(copy.families) == {"family 7", "one more"}


def test_a_lock_on_several_names_estimates_by_the_one_in_its_way(
    using: str, busy_order: str
) -> None:
    learn(busy_order, using)
    handle = lock(["order:0", busy_order], using=using, wait=0)
    assert not handle.acquire()
    assert handle.estimated_wait == pytest.approx(3 * TWENTY_MINUTES, rel=0.3)


def test_an_outage_while_the_figures_are_read_raises_nothing(
    using: str, busy_order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tallies(families: Any) -> None:
        raise LockUnavailable("down")

    monkeypatch.setattr(lock_backends[using], "tallies", tallies)
    learn(busy_order, using)
    assert refused(busy_order, using).estimated_wait is None


def test_only_requested_families_are_read(using: str) -> None:
    backend: BaseLockBackend = lock_backends[using]
    families = ["größe", 'a"b', ":", "slot"]
    tallies = {family: Tally(acquired=1) for family in families}
    backend.add_tallies(Batch("1", tallies))
    for wanted in ([], ["slot"], families, ["nobody's", ":"]):
        found = {family for slot in backend.tallies(wanted) for family in slot.tallies}
        assert found == set(wanted) & set(families)
