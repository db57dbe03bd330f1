"""A hold may change hands by its token."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import LockError, LockLost, LockUnavailable
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


async def test_and_a_coroutine_likewise(make: Any) -> None:
    held = make()
    await held.aacquire()
    token = await held.adetach(60)
    await make(token=token).aextend(90)
    assert held.backend.inspect("a")[0][0].remaining > 75
    await make(token=token).arelease()
    assert held.backend.inspect("a")[0] == []


def test_what_is_detached_is_not_renewed_and_not_reported_lost(make: Any) -> None:
    held = make(lease=1.5)
    held.acquire()
    token = held.detach()
    wait_until(lambda: not make(token=token).owned(), what="its lease ends it")
    assert not held.lost


def test_detach_may_give_it_another_lease(make: Any) -> None:
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
        assert not heir.lost.wait(3), "one renewal does not last so long"
        heir.check()
    assert not heir.owned()


def test_a_detached_handle_begins_anew(make: Any) -> None:
    handle = make()
    handle.acquire()
    token = handle.detach()
    assert not handle.acquire(wait=0)
    make(token=token).release()
    with handle:
        assert handle.token != token


def test_an_extension_by_token_does_not_end_the_renewal_of_the_hold(make: Any) -> None:
    """Both in one process, as where Celery runs its tasks eagerly."""
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


def test_extend_by_token_of_what_is_over(make: Any) -> None:
    with pytest.raises(LockLost, match="not held with this token"):
        make(token="nobody").extend(5)


def test_one_token_for_holds_of_two_names(make: Any) -> None:
    """A task's id, say: each hold is looked after by itself."""
    first, second = make("a", token="task", lease=2), make("b", token="task", lease=2)
    with first, second:
        assert not first.lost.wait(3), first.lost.reason
        first.check()
        second.check()


def test_one_token_and_the_release_of_one_of_its_names(make: Any) -> None:
    first, second = make("a", token="task", lease=2), make("b", token="task", lease=2)
    with first:
        with second:
            pass
        assert not first.lost.wait(3), "the release of the other ended its renewal"
        first.check()


def test_a_shared_hold_is_not_detached_under_the_others(make: Any) -> None:
    with make(reentrant=True) as outer, make(reentrant=True):
        with pytest.raises(LockError, match="other handles here"):
            outer.detach()


def test_a_failed_attempt_by_token_does_not_end_what_may_be_anothers(make: Any) -> None:
    held = make()
    held.acquire()
    token = held.detach()
    other = make(token=token)
    with ctrl_c_in((other.backend, "acquire")):
        other.acquire()
    settle()
    assert other.owned()
    other.release()


def test_lost_by_force_is_reported_to_a_handle_that_acquired_by_token(make: Any) -> None:
    held = make(lease=3)
    held.acquire()
    heir = make(token=held.detach(), lease=3)
    with pytest.raises(LockLost), heir:
        assert heir.backend.force_release("a", heir.token)
        wait_until(lambda: heir.lost, within=20)


def test_after_a_wait_in_vain_the_next_attempt_with_the_same_token_is_not_taken_back(
    make: Any,
) -> None:
    token = "cd" * 16
    for _ in range(20):
        with make():
            mine = make(token=token)
            assert not mine.acquire(wait=0.003)
        assert mine.acquire(wait=0)
        settle()
        assert mine.owned()
        mine.release()


def test_a_repeated_request_does_not_bar_the_next_attempt_with_the_same_token(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make(token="ef" * 16)
    acquire = mine.backend.acquire

    def twice(*args: Any) -> Any:
        return acquire(*args)._replace(asked_again=True)

    monkeypatch.setattr(mine.backend, "acquire", twice)
    mine.acquire()
    monkeypatch.undo()
    mine.release()
    settle()
    assert mine.acquire(wait=0)
    mine.release()


def test_an_extension_by_token_that_fails_is_reported_as_it_is(
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


def test_what_was_extended_by_token_before_does_not_count_for_the_own_hold(make: Any) -> None:
    first = make(lease=60)
    first.acquire()
    other = make(token=first.detach(), lease=60)
    other.extend(0.2)
    wait_until(lambda: not first.backend.inspect("a")[0])
    assert other.acquire(wait=0)
    assert other.held
    assert 50 < other.remaining() <= 60
    other.release()
