"""Tokens, by which a hold passes from one handle to another."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from django_redislock import LockError, LockLost, LockUnavailable
from django_redislock.backends.waiters import ThreadWaiter
from django_redislock.local.background import background
from django_redislock.local.registry import registry
from tests.support.interruptions import ctrl_c_in
from tests.support.processes import wait_until
from tests.support.settled import settle


def test_another_handle_releases_by_token(make: Any) -> None:
    held = make()
    held.acquire()
    token = held.detach()
    assert not held.held
    other = make(token=token)
    assert other.owned()
    other.release()
    assert not other.owned()
    with pytest.raises(LockLost, match="not held with this token"):
        make(token=token).release()


def test_a_second_release_by_token_does_not_lose_the_hold_that_the_first_has_ended(
    make: Any,
) -> None:
    called: list[Any] = []
    held = make(token=make().token, on_lost=called.append)
    held.acquire()
    held.release()
    with pytest.raises(LockLost, match="not held with this token"):
        held.release()
    settle()
    assert not held.lost
    assert called == []


async def test_another_handle_extends_and_releases_by_token_in_a_coroutine(make: Any) -> None:
    held = make()
    await held.aacquire()
    token = await held.adetach(60)
    await make(token=token).aextend(90)
    assert held.backend.inspect("a")[0][0].remaining > 75
    await make(token=token).arelease()
    assert held.backend.inspect("a")[0] == []


def test_a_detached_hold_is_not_renewed_and_not_reported_as_lost(make: Any) -> None:
    held = make(lease=1.5)
    held.acquire()
    token = held.detach()
    wait_until(lambda: not make(token=token).owned(), what="its lease ends it")
    assert not held.lost


def test_detach_may_change_the_lease(make: Any) -> None:
    held = make(lease=10)
    held.acquire()
    token = held.detach(60)
    (hold,), _ = held.backend.inspect("a")
    assert hold.remaining > 45
    make(token=token).release()


def test_acquiring_by_token_takes_the_hold_over_and_renews_it(make: Any) -> None:
    held = make(lease=2)
    held.acquire()
    fence = held.fence
    with make(token=held.detach(), lease=2) as heir:
        assert heir.fence == fence
        assert not heir.lost.wait(3), "longer than the lease"
        heir.check()
    assert not heir.owned()


def test_a_detached_handle_acquires_with_a_new_token(make: Any) -> None:
    handle = make()
    handle.acquire()
    token = handle.detach()
    assert not handle.acquire(wait=0)
    make(token=token).release()
    with handle:
        assert handle.token != token


def test_an_extension_by_token_does_not_end_the_renewal_of_the_hold(make: Any) -> None:
    """Both handles are in one process, as when Celery runs its tasks eagerly."""
    with make(lease=0.3) as held:
        make(token=held.token, lease=60).extend(60)
        assert not held.lost.wait(1), held.lost.reason
        held.check()


def test_a_handle_that_took_a_hold_over_is_notified_that_it_was_released(make: Any) -> None:
    held = make(lease=60)
    held.acquire()
    heir = make(token=held.token, lease=1)
    heir.acquire()
    held.release()
    assert heir.lost.wait(10)
    assert "another handle that had its token" in heir.lost.reason


def test_extending_an_ended_hold_by_token_raises(make: Any) -> None:
    with pytest.raises(LockLost, match="not held with this token"):
        make(token="nobody").extend(5)


def test_holds_of_two_names_with_one_token_are_renewed_separately(make: Any) -> None:
    """The id of a task, for example, may be the token of several names."""
    first, second = make("a", token="task", lease=2), make("b", token="task", lease=2)
    with first, second:
        assert not first.lost.wait(3), first.lost.reason
        first.check()
        second.check()


def test_releasing_one_of_two_names_with_one_token_keeps_the_other(make: Any) -> None:
    first, second = make("a", token="task", lease=2), make("b", token="task", lease=2)
    with first:
        with second:
            pass
        assert not first.lost.wait(3), "the release of the other ended its renewal"
        first.check()


def test_a_hold_that_reentrant_handles_share_cannot_be_detached(make: Any) -> None:
    with make(reentrant=True) as outer, make(reentrant=True):
        with pytest.raises(LockError, match="other handles here"):
            outer.detach()


def test_an_interrupted_acquire_by_token_does_not_end_the_hold(make: Any) -> None:
    held = make()
    held.acquire()
    token = held.detach()
    other = make(token=token)
    with ctrl_c_in((other.backend, "acquire")):
        other.acquire()
    settle()
    assert other.owned()
    other.release()


def test_an_interrupted_wait_by_token_leaves_the_queue(make: Any) -> None:
    with make() as held:
        with ctrl_c_in((ThreadWaiter, "wait_for_turn")):
            make(token="ab" * 16).acquire(wait=30)
        settle()
        assert held.backend.inspect("a")[1] == []


def test_an_interrupted_wait_by_token_does_not_disturb_the_next(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clean-up of the first comes while the second waits."""
    sweep, mine = registry.sweep, make(token="cd" * 16)
    with make(lease=60) as held:
        with monkeypatch.context() as patch:
            patch.setattr(registry, "sweep", lambda: None)
            with ctrl_c_in((ThreadWaiter, "wait_for_turn")):
                mine.acquire(wait=60)
            waiting = threading.Thread(target=mine.acquire, kwargs={"wait": 60})
            waiting.start()
            wait_until(lambda: mine.backend.waiters)
        sweep()
        assert background.flush(30)
        wait_until(lambda: held.backend.inspect("a")[1])
    waiting.join(30)
    assert mine.held
    mine.release()


def test_a_release_by_force_is_reported_to_a_handle_that_acquired_by_token(make: Any) -> None:
    held = make(lease=3)
    held.acquire()
    heir = make(token=held.detach(), lease=3)
    with pytest.raises(LockLost), heir:
        assert heir.backend.force_release("a", heir.token)
        wait_until(lambda: heir.lost, within=20)


def test_the_attempt_after_an_expired_wait_with_the_same_token_is_not_cancelled(make: Any) -> None:
    token = "cd" * 16
    for _ in range(20):
        with make():
            mine = make(token=token)
            assert not mine.acquire(wait=0.003)
        assert mine.acquire(wait=0)
        settle()
        assert mine.owned()
        mine.release()


def test_a_repeated_request_does_not_block_the_next_attempt_with_the_same_token(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make(token="ef" * 16)
    acquire = mine.backend.acquire

    def twice(claim: Any, *args: Any) -> Any:
        claim.unanswered = True
        return acquire(claim, *args)

    monkeypatch.setattr(mine.backend, "acquire", twice)
    mine.acquire()
    monkeypatch.undo()
    mine.release()
    settle()
    assert mine.acquire(wait=0)
    mine.release()


def test_the_error_of_a_failed_extension_by_token_is_raised(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = make(token="ab" * 16)
    with ctrl_c_in((stranger.backend, "extend")):
        stranger.extend(50)
    away = LockUnavailable.of("a", "is away")

    def refuse(*args: Any) -> None:
        raise away

    monkeypatch.setattr(stranger.backend, "extend", refuse)
    for asked in (True, False):
        away.asked = asked
        with pytest.raises(LockUnavailable):
            stranger.extend(50)


def test_an_earlier_extension_by_token_does_not_affect_a_later_hold(make: Any) -> None:
    first = make(lease=60)
    first.acquire()
    other = make(token=first.detach(), lease=60)
    other.extend(0.2)
    wait_until(lambda: not first.backend.inspect("a")[0])
    assert other.acquire(wait=0)
    assert other.held
    assert 50 < other.remaining() <= 60
    other.release()
