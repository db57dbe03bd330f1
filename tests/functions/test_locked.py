"""Functions under a lock."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import pytest

from django_redislock import LockLost, LockNotAcquired, lock, lock_backends
from django_redislock.functions.decorator import locked


def holds(name: str, alias: str) -> int:
    return len(lock_backends[alias].inspect(name)[0])


def test_a_function_runs_under_the_lock_of_its_arguments(alias: str) -> None:
    @locked("feed:{feed_id}", using=alias)
    def import_feed(feed_id: int, factor: int = 2) -> tuple[int, int, int]:
        return feed_id * factor, holds(f"feed:{feed_id}", alias), holds("feed:8", alias)

    assert import_feed(7, factor=3) == (21, 1, 0)
    assert holds("feed:7", alias) == 0


async def test_a_coroutine_function_runs_under_the_lock_to_its_end(alias: str) -> None:
    @locked("feed:{feed_id}", using=alias)
    async def import_feed(feed_id: int) -> int:
        await asyncio.sleep(0)
        return holds(f"feed:{feed_id}", alias)

    assert inspect.iscoroutinefunction(import_feed)
    call = import_feed(7)
    assert holds("feed:7", alias) == 0
    assert await call == 1
    assert holds("feed:7", alias) == 0


def test_threads_call_the_function_one_at_a_time(alias: str) -> None:
    inside = most = 0

    @locked("sum", using=alias)
    def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.002)
        inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


async def test_tasks_call_the_function_one_at_a_time(alias: str) -> None:
    inside = most = 0

    @locked("sum", using=alias)
    async def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.002)
        inside -= 1

    await asyncio.gather(*(work() for _ in range(8)))
    assert most == 1


def test_several_names_are_held_together(alias: str) -> None:
    @locked(["account:{source}", "account:{target}"], using=alias, wait=0)
    def transfer(source: int, target: int) -> list[int]:
        return [holds(f"account:{number}", alias) for number in (source, target)]

    assert transfer(2, 1) == [1, 1]
    assert transfer(1, 1) == [1, 1]
    with lock("account:1", using=alias), pytest.raises(LockNotAcquired) as caught:
        transfer(2, 1)
    assert caught.value.name == "account:1"
    assert holds("account:2", alias) == 0


class Feed:
    def __init__(self, pk: int) -> None:
        self.pk = pk

    @locked("feed:{self.pk}", using="memory")
    def load(self) -> int:
        return holds(f"feed:{self.pk}", "memory")

    @classmethod
    @locked("feeds:{cls.__name__}:{kind}", using="memory")
    def load_all(cls, kind: str) -> int:
        return holds(f"feeds:{cls.__name__}:{kind}", "memory")

    @locked("feeds:{cls.__name__}", using="memory")
    @classmethod
    def count(cls) -> int:
        return holds(f"feeds:{cls.__name__}", "memory")

    @staticmethod
    @locked("static:{x}", using="memory")
    def below(x: int) -> int:
        return holds(f"static:{x}", "memory")

    @locked("static:{x}", using="memory")
    @staticmethod
    def above(x: int) -> int:
        return holds(f"static:{x}", "memory")


def test_methods_of_all_kinds_can_be_locked() -> None:
    assert Feed(7).load() == 1
    assert Feed.load_all("new") == Feed(7).load_all(kind="new") == 1
    assert Feed.count() == Feed(7).count() == 1
    assert Feed.below(1) == Feed(7).below(1) == Feed.above(1) == Feed(7).above(1) == 1


class Importer:
    """Its objects are called."""

    async def __call__(self, feed_id: int) -> int:
        await asyncio.sleep(0)
        return holds(f"feed:{feed_id}", "memory")


class Lines:
    def __call__(self, feed_id: int) -> Iterator[int]:
        yield holds(f"feed:{feed_id}", "memory")


class Pages:
    async def __call__(self, feed_id: int) -> AsyncIterator[int]:
        yield holds(f"feed:{feed_id}", "memory")


async def test_the_calls_of_objects_are_of_any_kind() -> None:
    decorate = locked("feed:{feed_id}", using="memory")
    assert await decorate(Importer())(7) == 1
    assert list(decorate(Lines())(7)) == [1]
    assert [page async for page in decorate(Pages())(7)] == [1]


def test_wrapped_and_partial_functions_keep_the_names_of_their_arguments() -> None:
    def import_feed(feed_id: int, source: str) -> int:
        return holds(f"{source}:{feed_id}", "memory")

    @wraps(import_feed)
    def traced(*args: Any, **kwargs: Any) -> int:
        return import_feed(*args, **kwargs)

    assert locked("{source}:{feed_id}", using="memory")(traced)(7, "web") == 1
    assert locked("{source}:7", using="memory")(partial(import_feed, 7))(source="web") == 1


def test_the_function_keeps_its_name_its_signature_and_its_attributes() -> None:
    def import_feed(feed_id: int, *, again: bool = False) -> str:
        """Import it."""
        return ""

    import_feed.queue = "slow"
    decorated = locked("feed:{feed_id}")(import_feed)
    assert decorated.__name__ == "import_feed"
    assert decorated.__doc__ == "Import it."
    assert inspect.signature(decorated) == inspect.signature(import_feed)
    assert decorated.queue == "slow"


def test_the_holder_is_the_function_and_its_label() -> None:
    def import_feed(feed_id: int) -> Any:
        return lock_backends["memory"].inspect(f"feed:{feed_id}")[0][0].holder

    name = f"{__name__}.{import_feed.__qualname__}"
    options: Any = {"using": "memory", "label": lambda *args: f"feed {args}"}
    holder = locked("feed:{feed_id}", **options)(import_feed)(7)
    assert (holder.what, holder.label) == (name, "feed (7,)")
    holder = locked("feed:7", **options)(partial(import_feed, 7))()
    assert (holder.what, holder.label) == (name, "feed ()")


def test_options_reach_the_lock() -> None:
    @locked("api", using="memory", limit=2, lease=33, label="nightly", renew=False, max_hold=44)
    def call() -> Any:
        return lock_backends["memory"].inspect("api")[0][0]

    hold = call()
    assert (hold.limit, hold.lease, hold.holder.label) == (2, 33, "nightly")
    assert locked("api", using="memory", shared=True)(call.__wrapped__)().shared


def test_the_functions_own_error_is_raised_and_the_lock_released(alias: str) -> None:
    @locked("feed", using=alias)
    def import_feed() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        import_feed()
    assert holds("feed", alias) == 0


def test_a_lock_that_was_lost_is_reported_when_the_function_is_done() -> None:
    backend = lock_backends["memory"]

    @locked("feed", using="memory")
    def import_feed() -> None:
        (hold,), _ = backend.inspect("feed")
        assert backend.force_release("feed", hold.token)

    with pytest.raises(LockLost):
        import_feed()


async def test_a_cancelled_coroutine_releases_the_lock(alias: str) -> None:
    begun = asyncio.Event()

    @locked("feed", using=alias)
    async def import_feed() -> None:
        begun.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(import_feed())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert holds("feed", alias) == 0


async def test_the_name_of_a_coroutine_function_may_be_a_coroutine_function() -> None:
    async def name(feed_id: int) -> str:
        await asyncio.sleep(0)
        return f"feed:{feed_id}"

    @locked(name, using="memory")
    async def import_feed(feed_id: int) -> int:
        return holds(f"feed:{feed_id}", "memory")

    assert await import_feed(7) == 1


def test_a_context_manager_is_locked_below_contextmanager() -> None:
    @contextmanager
    @locked("feed", using="memory")
    def importing() -> Any:
        yield holds("feed", "memory")

    with importing() as held:
        assert held == holds("feed", "memory") == 1
    assert holds("feed", "memory") == 0
