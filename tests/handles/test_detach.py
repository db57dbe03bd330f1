"""Detached holds, which go on without their handles."""

from __future__ import annotations

import math
from typing import Any

import pytest
from django.db import transaction

from django_redislock import LockError, LockLost, LockUnavailable, lock, lock_backends
from django_redislock.clock import monotonic
from django_redislock.local.background import background
from django_redislock.local.renewal import SOON, renewal
from tests.support.interruptions import PACKAGE, interrupt, pause, places_in, steps_of
from tests.support.processes import wait_until


@pytest.fixture(params=["default", "memory"])
def alias(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def tokens(name: str, alias: str) -> list[str]:
    return [hold.token for hold in lock_backends[alias].inspect(name)[0]]


def remaining(name: str, alias: str) -> float:
    (hold,), _ = lock_backends[alias].inspect(name)
    return hold.remaining


def test_a_detached_hold_is_released_by_its_token(alias: str) -> None:
    with lock("feed", using=alias) as held:
        token = held.detach()
        assert not held.held
    assert tokens("feed", alias) == [token]
    lock("feed", using=alias, token=token).release()
    assert tokens("feed", alias) == []


def test_a_hold_that_another_handle_here_has_by_its_token_is_not_detached(alias: str) -> None:
    held = lock("feed", using=alias)
    held.acquire()
    other = lock("feed", using=alias, token=held.token)
    other.acquire()
    for one in (held, other):
        with pytest.raises(LockError, match="other handles here"):
            one.detach()
    other.release()


def test_a_lost_hold_of_another_handle_does_not_keep_a_hold_from_being_detached(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The renewal thread has not dropped the lost hold yet."""
    monkeypatch.setattr(renewal, "_look_at_holds", lambda now: now + SOON)
    held = make()
    held.acquire()
    heir = make(token=held.token)
    heir.acquire()
    heir.release()
    assert held.lost
    heir.acquire()
    assert heir.detach(60) == held.token


async def test_a_coroutine_can_detach_a_hold(alias: str) -> None:
    async with lock("feed", using=alias) as held:
        token = await held.adetach(30)
    assert tokens("feed", alias) == [token]
    assert 20 < remaining("feed", alias) <= 30


def test_a_detached_hold_is_not_renewed(alias: str) -> None:
    held = lock("feed", using=alias, lease=1.5)
    assert held.acquire()
    held.detach()
    wait_until(lambda: tokens("feed", alias) == [], what="its lease ends it")


def test_a_look_for_due_renewals_at_any_moment_of_a_detach_does_not_prolong_its_lease(
    alias: str,
) -> None:
    def look_in_half_a_second() -> None:
        renewal._look_at_holds(monotonic() + 0.5)
        background.flush(30)

    prolonged = []
    warm = lock("warm", using=alias)
    warm.acquire()
    for place in range(0, steps_of(lambda: warm.detach(1)), 3):
        held = lock(f"{place}", using=alias)
        held.acquire()
        pause(lambda held=held: held.detach(1), look_in_half_a_second, at=place)
        if remaining(held.name, alias) > 1:
            prolonged.append(place)
    assert prolonged == []


def test_a_hold_that_could_not_be_detached_is_still_renewed(
    alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unanswered(extension: Any) -> float:
        raise LockUnavailable("no answer")

    with lock("feed", using=alias) as held:
        monkeypatch.setattr(lock_backends[alias], "extend", unanswered)
        with pytest.raises(LockUnavailable):
            held.detach(30)
        assert held.held
        assert held._hold.due < held._hold.ends


# Some places are in the __del__() of what others have left, whose exceptions Python only reports.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_hold_whose_detach_was_interrupted_before_it_began_is_still_renewed(alias: str) -> None:
    forgotten = []
    warm = lock("warm", using=alias)
    warm.acquire()
    for place in range(places_in(lambda: warm.detach(30), inside=PACKAGE)):
        held = lock(f"{place}", using=alias)
        held.acquire()
        interrupt(lambda held=held: held.detach(30), at=place, inside=PACKAGE)
        is_detached = any(one.detached for one in lock_backends[alias].inspect(held.name)[0])
        if held.held and not is_detached and held._hold.due == math.inf:
            forgotten.append(place)
        if held.held:
            held.release()
    assert forgotten == []


def test_a_handle_that_acquires_a_detached_hold_renews_it(alias: str) -> None:
    with lock("feed", using=alias, lease=2) as first:
        token, fence = first.detach(), first.fence
    with lock("feed", using=alias, lease=2, token=token) as second:
        assert not second.lost.wait(3)
        second.check()
        assert tokens("feed", alias) == [token]
        assert second.fence == fence


def test_detach_may_set_another_lease(alias: str) -> None:
    held = lock("feed", using=alias)
    assert held.acquire()
    held.detach(30)
    assert 20 < remaining("feed", alias) <= 30


def test_the_handle_may_acquire_again(alias: str) -> None:
    held = lock("feed", using=alias)
    assert held.acquire()
    token = held.detach(0.05)
    with held:
        assert held.token != token


def test_only_a_held_handle_can_be_detached(alias: str) -> None:
    held = lock("feed", using=alias)
    with pytest.raises(LockError, match="is not held by this handle"):
        held.detach()
    assert held.acquire()
    assert lock_backends[alias].force_release("feed", held.token)
    with pytest.raises(LockLost):
        held.detach(30)


def test_a_hold_shared_with_other_handles_cannot_be_detached() -> None:
    with lock("feed", using="memory") as outer:
        inner = lock("feed", using="memory", reentrant=True)
        assert inner.acquire()
        with pytest.raises(LockError, match="held by other handles here too, which still need it"):
            inner.detach()
        inner.release()
        assert outer.held


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_transaction_does_not_end_a_detached_hold(alias: str) -> None:
    with transaction.atomic(), lock("feed", using=alias) as held:
        token = held.detach()
    assert tokens("feed", alias) == [token]
