"""Names, labels and busy answers of coroutines may query the database.

Django refuses such a query in a coroutine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.http import HttpResponse

from django_redislock import Lock, LockNotAcquired, lock, locked, locked_method, locked_view
from django_redislock.testing import held_elsewhere

from ..rows.bank.models import Account, Branch
from ..views.requests import content, request

pytestmark = pytest.mark.django_db(transaction=True)


def branches(error: LockNotAcquired, *args: Any) -> list[str]:
    return list(Branch.objects.values_list("name", flat=True))


class Desk(Account):
    class Meta:
        proxy = True
        app_label = "bank"

    @locked_method("branch:{self.branch.name}", label=lambda self: self.branch.name)
    async def held_as(self) -> tuple[str, str]:
        assert self.lock_held is not None
        return shown(self.lock_held)

    @locked_method(wait=0, on_busy=branches)
    async def close(self) -> list[str]:
        return ["free"]


def shown(held: Lock) -> tuple[str, str]:
    assert held.holder is not None
    return held.name, held.holder.label


async def unloaded() -> Desk:
    branch = await Branch.objects.acreate(name="west")
    desk = await Desk.objects.acreate(branch=branch)
    return await Desk.objects.aget(pk=desk.pk)


async def test_of_a_function() -> None:
    @locked("branch:{desk.branch.name}", wait=0)
    async def is_free(desk: Desk) -> bool:
        return await lock("branch:west").aacquire(wait=0)

    assert not await is_free(await unloaded())


async def test_of_a_generator() -> None:
    @locked(lambda desk: f"branch:{desk.branch.name}", wait=0)
    async def is_free(desk: Desk) -> AsyncIterator[bool]:
        yield await lock("branch:west").aacquire(wait=0)

    desk = await unloaded()
    assert [free async for free in is_free(desk)] == [False]


async def test_of_a_method() -> None:
    assert await (await unloaded()).held_as() == ("branch:west", "west")


async def test_of_a_view() -> None:
    @locked_view("branch:{request.desk.branch.name}")
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(request.lock.name)

    asked: Any = request()
    asked.desk = await unloaded()
    assert content(await view(asked)) == "branch:west"


async def test_of_a_busy_function() -> None:
    @locked("desk", wait=0, on_busy=branches)
    async def function() -> list[str]:
        return ["free"]

    await unloaded()
    async with lock("desk"):
        assert await function() == ["west"]


async def test_of_a_busy_generator() -> None:
    @locked("desk", wait=0, on_busy=branches)
    async def generator() -> AsyncIterator[str]:
        yield "free"

    await unloaded()
    async with lock("desk"):
        assert [name async for name in generator()] == ["west"]


async def test_of_a_busy_method() -> None:
    desk = await unloaded()
    with held_elsewhere(desk.get_lock_name()):
        assert await desk.close() == ["west"]
