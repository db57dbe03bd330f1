"""Several handles of one process that hold by the same token."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import LockError, LockLost
from django_redislock.local.renewal import Renewal
from tests.support.interruptions import ctrl_c_in
from tests.support.settled import settle


def test_a_release_ends_the_holds_of_other_handles_with_its_token(make: Any) -> None:
    first = make()
    first.acquire()
    second = make(token=first.token)
    second.acquire()
    first.release()
    assert not second.held
    with make(wait=0), pytest.raises(LockLost, match="another handle that had its token"):
        second.check()


async def test_a_release_by_the_later_handle_ends_the_hold_of_the_earlier_one(make: Any) -> None:
    first = make()
    await first.aacquire()
    second = make(token=first.token)
    await second.aacquire()
    await second.arelease()
    assert not first.held
    assert first.lost


def test_the_order_of_the_acquires_does_not_matter(make: Any) -> None:
    first = make()
    second = make(token=first.token)
    second.acquire()
    first.acquire()
    first.release()
    assert not second.held


def test_a_release_with_min_hold_ends_the_holds_of_the_other_handles_too(make: Any) -> None:
    first = make(min_hold=60)
    first.acquire()
    second = make(token=first.token)
    second.acquire()
    first.release()
    assert not second.held


@pytest.mark.parametrize("by", ["its handle", "a handle that has only its token"])
def test_acquiring_while_the_other_releases_is_reported(
    make: Any, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    first = make()
    first.acquire()
    second, release = make(token=first.token), first.backend.release
    releasing = first if by == "its handle" else make(token=first.token)

    def acquire_before(*args: Any) -> bool:
        assert second.acquire()
        return bool(release(*args))

    monkeypatch.setattr(first.backend, "release", acquire_before)
    releasing.release()
    assert not second.held


def test_a_release_ends_also_a_later_hold_of_its_token(make: Any) -> None:
    first = make()
    first.acquire()
    first.backend.release(first.name, first.token)  # as a server that loses its data does
    second = make(token=first.token)
    second.acquire()
    assert second.fence > first.fence
    first.release()
    with make(wait=0):
        assert not second.held


def test_a_hold_that_begins_after_the_release_of_its_token_is_not_lost(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make()
    first.acquire()
    second, third, release = make(token=first.token), make(token=first.token), first.backend.release
    second.acquire()

    def release_and_acquire(name: str, token: str, within: float | None = None) -> Any:
        monkeypatch.undo()
        released = release(name, token, within)
        third.acquire()
        return released

    monkeypatch.setattr(first.backend, "release", release_and_acquire)
    first.release()
    assert not second.held
    assert third.held
    third.release()


def test_a_shorter_lease_is_shorter_for_all_handles(make: Any) -> None:
    first = make(lease=60)
    first.acquire()
    second = make(token=first.token, lease=60)
    second.acquire()
    second.extend(5)
    assert first.remaining() <= 5
    make(token=first.token).extend(2)
    assert max(first.remaining(), second.remaining()) <= 2
    make(token=first.token).extend(60)
    assert min(first.remaining(), second.remaining()) > 5
    first.release()


def test_a_renewal_makes_the_lease_longer_again(make: Any) -> None:
    first = make(lease=1.5)
    first.acquire()
    make(token=first.token).extend(1)
    assert not first.lost.wait(3)
    first.release()


def test_a_hold_that_other_handles_share_by_token_cannot_be_detached(make: Any) -> None:
    first = make()
    first.acquire()
    second = make(token=first.token)
    second.acquire()
    with pytest.raises(LockError, match="other handles here"):
        first.detach(0.1)
    second.check()
    second.release()


def test_an_interrupted_join_does_not_end_the_hold(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(reentrant=True)
    first.acquire()
    second = make(token=first.token, reentrant=True)
    join = first._hold.__class__.join

    def interrupted(*args: Any) -> bool:
        join(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(first._hold.__class__, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        second.acquire()
    settle()
    assert first.owned()
    first.release()


def test_an_interrupted_release_by_token_is_completed(make: Any) -> None:
    first = make()
    first.acquire()
    other = make(token=first.token)
    with ctrl_c_in((Renewal, "mark_lost")):
        other.release()
    settle()
    assert not first.held
    assert not other.owned()
