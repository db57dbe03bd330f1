"""Reentrant locks: one hold on the server, shared by the handles of a thread or task."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.db import transaction

from django_redislock import LockLost, LockNotAcquired, lock
from django_redislock.local.hold import LocalHold, Need
from tests.support.processes import wait_until


def test_the_same_thread_acquires_it_again_with_the_same_hold() -> None:
    with lock("again", reentrant=True) as outer, lock("again", reentrant=True) as inner:
        assert (inner.fence, inner.token) == (outer.fence, outer.token)
        (hold,) = outer.backend.inspect("again")[0]
        assert hold.token == outer.token
    assert outer.backend.inspect("again") == ([], [])


def test_the_inner_block_does_not_release_the_hold() -> None:
    with lock("again", reentrant=True) as outer:
        with lock("again", reentrant=True):
            pass
        outer.check()
        assert outer.owned()


def test_a_plain_lock_may_be_joined() -> None:
    with lock("again") as outer, lock("again", reentrant=True) as inner:
        assert inner.token == outer.token


@pytest.mark.parametrize("looser", [{"limit": 3}, {"shared": True}], ids=["limit", "shared"])
def test_a_stricter_handle_does_not_join(looser: Any) -> None:
    with lock("again", **looser):
        assert not lock("again", reentrant=True).acquire(wait=0)
    with lock("again"), lock("again", reentrant=True, **looser) as inner:
        assert inner.backend.inspect("again")[0][0].limit == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("reentrant", [True, False])
def test_a_handle_with_a_token_does_not_join_a_hold_beside_that_of_its_token(
    reentrant: bool,
) -> None:
    given = lock("again", limit=2)
    given.acquire()
    token = given.detach()
    with transaction.atomic():
        own = lock("again", limit=2)
        own.acquire()
        if not reentrant:  # the transaction keeps the hold, and its code may share it
            own.release()
        with lock("again", limit=2, token=token, reentrant=reentrant) as heir:
            assert (heir.token, heir.fence) == (token, given.fence)
    if reentrant:
        own.release()
    assert heir.backend.inspect("again") == ([], [])


def test_a_shared_hold_ends_with_the_last_handle_in_any_order() -> None:
    first, second = lock("again", reentrant=True), lock("again", reentrant=True)
    first.acquire()
    second.acquire()
    first.release()
    assert not first.held
    second.check()
    assert second.owned()
    second.release()
    assert not second.owned()


def test_another_thread_is_another_context() -> None:
    with lock("again", reentrant=True):
        refused: list[bool] = []
        thread = threading.Thread(
            target=lambda: refused.append(not lock("again", reentrant=True).acquire(wait=0))
        )
        thread.start()
        thread.join()
    assert refused == [True]


async def test_another_task_is_another_context() -> None:
    async def beside() -> bool:
        return await lock("again", reentrant=True).aacquire(wait=0)

    async with lock("again", reentrant=True) as outer, lock("again", reentrant=True) as inner:
        assert inner.token == outer.token
        assert await asyncio.create_task(beside()) is False


def test_without_reentrant_the_second_handle_waits_for_the_first() -> None:
    with lock("again"), pytest.raises(LockNotAcquired), lock("again", wait=0.01):
        pass


def test_a_loss_is_reported_to_all_handles_that_share_the_hold() -> None:
    reported: list[str] = []
    outer = lock("again", reentrant=True, on_lost=lambda held: reported.append("outer"))
    inner = lock("again", reentrant=True, on_lost=lambda held: reported.append("inner"))
    with pytest.raises(LockLost), outer:
        with pytest.raises(LockLost), inner:
            assert outer.backend.force_release("again", outer.token)
            with pytest.raises(LockLost):
                outer.extend()
            assert outer.lost
            assert inner.lost
    wait_until(lambda: sorted(reported) == ["inner", "outer"])


@pytest.mark.parametrize("reentrant", [True, False])
def test_the_hold_of_an_interrupted_release_is_not_joined(
    monkeypatch: pytest.MonkeyPatch, reentrant: bool
) -> None:
    leave, interrupted = LocalHold.leave, []

    def leave_or_not(hold: LocalHold, need: object) -> bool:
        if interrupted:
            return leave(hold, need)
        interrupted.append(hold)
        raise KeyboardInterrupt

    held = lock("a")
    held.acquire()
    monkeypatch.setattr(LocalHold, "leave", leave_or_not)
    with pytest.raises(KeyboardInterrupt):
        held.release()
    again = lock("a", reentrant=reentrant)
    if again.acquire(wait=0):
        assert again.fence > held.fence
        again.release()


def test_a_handle_that_joined_may_acquire_by_itself_afterwards() -> None:
    with lock("again", reentrant=True), (inner := lock("again", reentrant=True)):
        pass
    with inner:
        inner.check()
        assert inner.owned()


@pytest.mark.django_db(transaction=True)
def test_a_handle_that_joined_a_transactions_hold_may_acquire_afterwards() -> None:
    handle = lock("again")
    with transaction.atomic():
        with lock("again"):
            pass
        with handle:
            pass
    with handle:
        assert handle.owned()


def test_a_hold_that_is_lost_while_it_is_joined_is_not_the_loss_of_the_acquire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other handle leaves, and the lock is released by force, before the join can look."""
    outer, inner = lock("again", lease=60), lock("again", reentrant=True)
    outer.acquire()

    def join(hold: LocalHold, need: Need) -> bool:
        hold.needs[need] = None
        outer.release()
        outer.backend.force_release("again", outer.token)
        hold.lose("it was released by force")
        return not hold.is_over

    monkeypatch.setattr(LocalHold, "join", join)
    assert inner.acquire(wait=0)
    assert inner.owned()
    inner.release()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lengths", [(60, 1), (1, 60)])
def test_the_longest_min_hold_within_a_transaction_counts(lengths: tuple[float, float]) -> None:
    with transaction.atomic():
        for min_hold in lengths:
            with lock("again", min_hold=min_hold) as held:
                pass
    (hold,), _ = held.backend.inspect("again")
    assert hold.remaining > 30
