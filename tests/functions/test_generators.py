"""Generators under a lock, which hold it from the first item to the last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest

from django_redislock import LockNotAcquired, lock, lock_backends
from django_redislock.functions.decorator import locked


def holds(name: str, alias: str) -> int:
    return len(lock_backends[alias].inspect(name)[0])


def counting(alias: str, **options: Any) -> Any:
    @locked("rows:{table}", using=alias, wait=0, **options)
    def rows(table: str) -> Generator[int, str | None, str]:
        got: list[str | None] = []
        try:
            for number in range(3):
                answer = yield number
                got.append(answer)
        except KeyError as error:
            got.append(f"thrown {error.args[0]}")
            yield -1
        return " ".join(map(str, got))

    return rows


def acounting(alias: str, **options: Any) -> Any:
    @locked("rows:{table}", using=alias, wait=0, **options)
    async def rows(table: str) -> AsyncIterator[Any]:
        got: list[Any] = []
        try:
            for number in range(3):
                answer = yield number
                got.append(answer)
        except KeyError as error:
            got.append(f"thrown {error.args[0]}")
            yield got
        finally:
            ended.append((got, holds(f"rows:{table}", alias)))

    ended: list[Any] = []
    rows.ended = ended
    return rows


def test_a_generator_holds_the_lock_until_its_end(alias: str) -> None:
    generator = counting(alias)("a")
    assert holds("rows:a", alias) == 0
    for number in generator:
        assert holds("rows:a", alias) == 1, number
    assert holds("rows:a", alias) == 0


def test_a_generator_that_is_closed_early_releases_the_lock(alias: str) -> None:
    generator = counting(alias)("a")
    next(generator)
    assert holds("rows:a", alias) == 1
    generator.close()
    assert holds("rows:a", alias) == 0


def test_sent_thrown_and_returned_values_pass_through() -> None:
    def whole() -> Iterator[Any]:
        result = yield from counting("memory")("a")
        yield result

    generator: Any = whole()
    assert next(generator) == 0
    assert generator.send("one") == 1
    assert generator.throw(KeyError("two")) == -1
    assert next(generator) == "one thrown two"


def test_a_busy_generator_raises_at_its_first_item(alias: str) -> None:
    with lock("rows:a", using=alias):
        generator = counting(alias)("a")
        with pytest.raises(LockNotAcquired):
            next(generator)


def test_a_skipped_generator_is_empty_or_has_the_items_of_the_default(alias: str) -> None:
    with lock("rows:a", using=alias):
        assert list(counting(alias, on_busy="skip")("a")) == []
        assert list(counting(alias, on_busy="skip", default=[7, 8])("a")) == [7, 8]
        assert list(counting(alias, on_busy=lambda error, table: [table])("a")) == ["a"]


async def test_an_async_generator_holds_the_lock_until_its_end(alias: str) -> None:
    generator = acounting(alias)("a")
    assert holds("rows:a", alias) == 0
    async for number in generator:
        assert holds("rows:a", alias) == 1, number
    assert holds("rows:a", alias) == 0


async def test_an_async_generator_that_is_closed_early_ends_before_the_lock_does(
    alias: str,
) -> None:
    rows = acounting(alias)
    generator = rows("a")
    await anext(generator)
    assert holds("rows:a", alias) == 1
    await generator.aclose()
    assert rows.ended == [([], 1)]
    assert holds("rows:a", alias) == 0


async def test_values_sent_to_and_thrown_into_an_async_generator_pass_through() -> None:
    generator = acounting("memory")("a")
    assert await anext(generator) == 0
    assert await generator.asend("one") == 1
    assert await generator.athrow(KeyError("two")) == ["one", "thrown two"]
    with pytest.raises(StopAsyncIteration):
        await anext(generator)
    assert holds("rows:a", "memory") == 0


async def items(generator: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in generator]


class Rows:
    """An async iterable that is no generator."""

    async def __aiter__(self) -> AsyncIterator[int]:
        for number in (7, 8):
            yield number


async def test_a_busy_async_generator_raises_or_is_skipped_or_replaced(alias: str) -> None:
    async def instead(error: LockNotAcquired, table: str) -> AsyncIterator[str]:
        yield error.name

    async with lock("rows:a", using=alias):
        with pytest.raises(LockNotAcquired):
            await items(acounting(alias)("a"))
        assert await items(acounting(alias, on_busy="skip")("a")) == []
        assert await items(acounting(alias, on_busy=instead)("a")) == ["rows:a"]


@pytest.mark.parametrize("default", [[7, 8], (7, 8), {7: 1, 8: 2}, Rows()], ids=type)
async def test_a_skipped_async_generator_has_the_items_of_any_default(default: Any) -> None:
    rows = acounting("memory", on_busy="skip", default=default)
    async with lock("rows:a", using="memory"):
        assert await items(rows("a")) == [7, 8]
        assert await items(rows("a")) == [7, 8]
        generator = rows("a")
        assert await anext(generator) == 7
        assert await generator.asend("nobody hears") == 8
        await generator.aclose()


async def test_a_busy_async_generator_may_be_replaced_by_any_iterable() -> None:
    async def fetched(error: LockNotAcquired, table: str) -> list[str]:
        return [table]

    async def nothing(error: LockNotAcquired, table: str) -> None: ...

    async with lock("rows:a", using="memory"):
        for on_busy, expected in (
            (lambda error, table: [table], ["a"]),
            (lambda error, table: Rows(), [7, 8]),
            (lambda error, table: None, []),
            (fetched, ["a"]),
            (nothing, []),
        ):
            assert await items(acounting("memory", on_busy=on_busy)("a")) == expected


@pytest.mark.parametrize("default", [7, object(), iter([7]), Rows()], ids=type)
def test_a_default_of_a_generator_must_be_iterable_again_and_again(default: Any) -> None:
    with pytest.raises(TypeError, match=r"counting.*rows is a generator.*default.* a list, not"):
        counting("memory", on_busy="skip", default=default)


@pytest.mark.parametrize("default", [7, object(), iter([7]), aiter(Rows())], ids=type)
def test_a_default_of_an_async_generator_must_be_iterable_again_and_again(default: Any) -> None:
    with pytest.raises(TypeError, match=r"counting.*rows is an async generator.* a list, not"):
        acounting("memory", on_busy="skip", default=default)


def test_only_an_async_function_is_replaced_by_an_async_generator() -> None:
    async def instead(error: LockNotAcquired, table: str) -> AsyncIterator[str]:
        yield table

    with pytest.raises(TypeError, match="rows is not a coroutine function"):
        counting("memory", on_busy=instead)
