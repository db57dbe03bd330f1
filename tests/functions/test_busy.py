"""Calls that find the lock busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from django_redislock import LockNotAcquired, lock
from django_redislock.functions.decorator import locked


def test_a_busy_call_raises_after_its_wait(alias: str) -> None:
    @locked("feed", using=alias, wait=0)
    def import_feed() -> None:
        raise AssertionError("it ran")

    with lock("feed", using=alias), pytest.raises(LockNotAcquired):
        import_feed()


async def test_a_busy_coroutine_raises_after_its_wait(alias: str) -> None:
    @locked("feed", using=alias, wait=0)
    async def import_feed() -> None:
        raise AssertionError("it ran")

    async with lock("feed", using=alias):
        with pytest.raises(LockNotAcquired):
            await import_feed()


def test_by_default_a_call_waits_as_configured_for_the_alias(settings: Any) -> None:
    settings.LOCKS = {"default": settings.LOCKS["memory"] | {"WAIT": 0.05}}

    @locked("feed")
    def import_feed() -> None: ...

    with lock("feed"), pytest.raises(LockNotAcquired, match=r"after a wait of 0\.05 s"):
        import_feed()


def test_a_busy_call_is_skipped_and_returns_the_default(alias: str) -> None:
    def import_feed() -> str:
        return "imported"

    skipping = locked("feed", using=alias, wait=0, on_busy="skip")(import_feed)
    saying = locked("feed", using=alias, wait=0, on_busy="skip", default="skipped")(import_feed)
    with lock("feed", using=alias):
        assert skipping() is None
        assert saying() == "skipped"
    assert skipping() == saying() == "imported"


async def test_a_busy_coroutine_is_skipped_and_returns_the_default(alias: str) -> None:
    @locked("feed", using=alias, wait=0, on_busy="skip", default="skipped")
    async def import_feed() -> str:
        return "imported"

    async with lock("feed", using=alias):
        assert await import_feed() == "skipped"
    assert await import_feed() == "imported"


def test_a_busy_call_asks_the_callable() -> None:
    def later(error: LockNotAcquired, feed_id: int, again: bool) -> tuple[str, int, bool]:
        return error.name, feed_id, again

    @locked("feed:{feed_id}", using="memory", wait=0, on_busy=later)
    def import_feed(feed_id: int, again: bool) -> str:
        return "imported"

    with lock("feed:7", using="memory"):
        assert import_feed(7, again=True) == ("feed:7", 7, True)
    assert import_feed(7, again=True) == "imported"


async def test_a_busy_coroutine_asks_a_function_or_coroutine_function() -> None:
    async def later(error: LockNotAcquired, feed_id: int) -> str:
        await asyncio.sleep(0)
        return f"{error.name} later"

    async def import_feed(feed_id: int) -> str:
        return "imported"

    options: dict[str, Any] = {"using": "memory", "wait": 0}
    async with lock("feed:7", using="memory"):
        assert await locked("feed:{feed_id}", on_busy=later, **options)(import_feed)(7) == (
            "feed:7 later"
        )
        sync = locked("feed:{feed_id}", on_busy=lambda error, feed_id: feed_id, **options)
        assert await sync(import_feed)(7) == 7


def call() -> None:
    with lock("inner", using="memory", wait=0):
        raise AssertionError("it ran")


async def acall() -> None:
    call()


def generate() -> Iterator[int]:
    call()
    yield 1


async def agenerate() -> AsyncIterator[int]:
    call()
    yield 1


@pytest.mark.parametrize(
    ("function", "run"),
    [
        (call, lambda work: work()),
        (acall, lambda work: asyncio.run(work())),
        (generate, lambda work: next(work())),
        (agenerate, lambda work: asyncio.run(anext(work()))),
    ],
)
def test_a_busy_lock_inside_the_function_raises_as_usual(function: Any, run: Any) -> None:
    work = locked("outer", using="memory", on_busy="skip")(function)
    with lock("inner", using="memory"), pytest.raises(LockNotAcquired) as caught:
        run(work)
    assert caught.value.name == "inner"
