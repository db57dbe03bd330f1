"""Coroutines in the transaction of a thread that waits for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, transaction
from django.test import TestCase

from django_redislock import LockNotAcquired, lock
from django_redislock.handles import attempts
from tests.rows.databases import ON_EACH
from tests.support.another_thread import is_free
from tests.support.settled import settle


async def write(database: str, **options: Any) -> None:
    """Write a row as the ORM does for a coroutine, with ``sync_to_async``."""
    async with lock("row", **options):
        assert await sync_to_async(lambda: connections[database].in_atomic_block)()


@ON_EACH
def test_the_lock_of_a_coroutine_is_released_after_the_commit(database: str) -> None:
    with transaction.atomic(database):
        async_to_sync(write)(database)
        assert not is_free("row")
    assert is_free("row")


@ON_EACH
def test_the_lock_of_a_coroutine_under_a_threaded_view_is_released_after_the_commit(
    database: str,
) -> None:
    """As in a synchronous view under ASGI."""

    def view() -> None:
        try:
            test_the_lock_of_a_coroutine_is_released_after_the_commit(database)
        finally:
            connections[database].close()

    asyncio.run(sync_to_async(view)())


@ON_EACH
def test_the_lock_of_a_coroutine_is_released_when_its_savepoint_is_rolled_back(
    database: str,
) -> None:
    with transaction.atomic(database):
        with transaction.atomic(database):
            async_to_sync(write)(database)
            transaction.set_rollback(True, database)
        assert is_free("row")


@ON_EACH
def test_another_acquire_in_the_transaction_shares_the_hold(database: str) -> None:
    async def twice() -> None:
        await write(database, wait=0)
        await asyncio.create_task(write(database, wait=0))

    with transaction.atomic(database):
        async_to_sync(twice)()
        async_to_sync(twice)()
        with lock("row", wait=0):
            pass
        assert not is_free("row")
    assert is_free("row")


@pytest.mark.django_db(transaction=True)
def test_another_acquire_does_not_share_a_hold_that_another_task_has() -> None:
    async def both() -> None:
        async with lock("row"):
            with pytest.raises(LockNotAcquired):
                await asyncio.create_task(write("default", wait=0, reentrant=True))

    with transaction.atomic():
        async_to_sync(both)()
    assert is_free("row")


@pytest.mark.django_db(transaction=True)
def test_an_earlier_hold_released_by_a_coroutine_lasts_until_the_commit() -> None:
    held = lock("row")
    held.acquire()
    with transaction.atomic():
        async_to_sync(held.arelease)()
        assert not is_free("row")
    assert is_free("row")


@pytest.mark.django_db(transaction=True)
def test_a_cancellation_while_the_hold_is_tied_leaves_nothing_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def cancelled(*args: Any, **kwargs: Any) -> None:
        raise asyncio.CancelledError

    held = lock("row")
    with transaction.atomic():
        monkeypatch.setattr(attempts, "tie_in_caller", cancelled)
        with pytest.raises(asyncio.CancelledError):
            async_to_sync(held.aacquire)()
        settle()
        assert is_free("row")
    held.acquire()
    with transaction.atomic():
        with pytest.raises(asyncio.CancelledError):
            async_to_sync(held.arelease)()
        settle()
        assert not held.held
        assert is_free("row")


@pytest.mark.django_db(transaction=True)
def test_a_task_that_outlives_its_thread_is_not_in_a_transaction() -> None:
    async def main() -> None:
        async def begin() -> None:
            tasks.append(asyncio.create_task(late()))

        async def late() -> None:
            await ended.wait()
            async with lock("row"):
                pass

        tasks: list[asyncio.Task[None]] = []
        ended = asyncio.Event()
        await sync_to_async(async_to_sync(begin))()
        ended.set()
        await tasks[0]

    asyncio.run(main())
    assert is_free("row")


class Coroutines(TestCase):
    """A ``TestCase`` runs coroutines with ``async_to_sync``, in its own transaction."""

    async def test_coroutines_are_not_in_the_transaction_around_a_test(self) -> None:
        async with lock("row"):
            pass
        assert is_free("row")
