"""Public types, which mypy checks. This file is never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.http import HttpRequest, HttpResponse
from typing_extensions import assert_type

from django_redislock import (
    FenceField,
    Lock,
    LockableManager,
    LockableMixin,
    LockableQuerySet,
    LockedViewMixin,
    LockError,
    LockLost,
    LockNotAcquired,
    LockUnavailable,
    MultiLock,
    busy_response,
    lock,
    lock_backends,
    locked,
    locked_method,
    locked_view,
)
from django_redislock.backends.base import BaseLockBackend, Hold, Holder, Page


def handles() -> None:
    assert_type(lock("x"), Lock)
    assert_type(lock(["a", "b"], using="default", lease=timedelta(seconds=5), wait=0), MultiLock)
    lock("x", renew=False, max_hold=60, limit=3, token="t", label="l", what="w")
    lock("x", shared=True, reentrant=True, on_lost=print)

    several = lock(["a", "b"])
    assert_type(several.holder, Holder | None)
    assert_type(several.position, int | None)
    assert_type(several.estimated_wait, float | None)

    handle = lock("x")
    assert_type(handle.name, str)
    assert_type(handle.token, str)
    assert_type(handle.fence, int)
    assert_type(handle.holder, Holder | None)
    assert_type(handle.position, int | None)
    assert_type(handle.estimated_wait, float | None)
    assert_type(handle.held, bool)
    assert_type(handle.acquire(), bool)
    assert_type(handle.acquire(wait=0.25), bool)
    assert_type(handle.remaining(), float)
    assert_type(handle.owned(), bool)
    with lock("x") as held:
        assert_type(held, Lock)


async def asynchronous_handles() -> None:
    handle = lock("x")
    assert_type(await handle.aacquire(wait=1), bool)
    assert_type(await handle.aowned(), bool)
    async with handle as held:
        assert_type(held, Lock)


def errors(error: LockNotAcquired, lost: LockLost, unavailable: LockUnavailable) -> None:
    assert_type(error.holder, Holder | None)
    assert_type(error.retry_after, float)
    assert_type(error.position, int | None)
    assert_type(error.estimated_wait, float | None)
    assert_type(error.name, str)
    base: list[LockError] = [error, lost, unavailable]
    assert_type(base, list[LockError])


def backends() -> None:
    backend = lock_backends["default"]
    assert_type(backend, BaseLockBackend)
    assert_type(backend.list(start=0, stop=10), Page)
    assert_type(backend.list().holds, list[Hold])
    assert_type(backend.force_release("x", "token"), bool)


@locked("feed:{feed_id}")
def import_feed(feed_id: int, *, again: bool = False) -> str:
    return f"{feed_id} {again}"


@locked("feed:{feed_id}", wait=0)
async def import_feed_async(feed_id: int) -> str:
    return str(feed_id)


@locked("feed:{feed_id}", wait=0, on_busy="skip")
def import_feed_or_skip(feed_id: int) -> str:
    return str(feed_id)


@locked("feed:{feed_id}", wait=0, on_busy="skip", default=0)
async def import_feed_async_or_zero(feed_id: int) -> str:
    return str(feed_id)


@locked("feed:{feed_id}", wait=0, on_busy="skip", default=["none"])
def entries(feed_id: int) -> Iterator[str]:
    yield str(feed_id)


@locked("feed:{feed_id}", wait=0, on_busy=lambda error, feed_id: [])
async def entries_async(feed_id: int) -> AsyncIterator[str]:
    yield str(feed_id)


def pay(request: HttpRequest) -> HttpResponse:
    try:
        with lock("order:7"):
            return HttpResponse()
    except LockNotAcquired as error:
        assert_type(busy_response(request, error), HttpResponse)
        return busy_response(request, error, status=409)


@locked_view("checkout:{request.user.pk}", status=409, methods=["POST"])
def checkout(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse(str(pk))


async def decorated_functions_keep_their_types(request: HttpRequest) -> None:
    assert_type(import_feed(7, again=True), str)
    assert_type(await import_feed_async(7), str)
    assert_type(import_feed_or_skip(7), str | None)
    assert_type(await import_feed_async_or_zero(7), str | int)
    assert_type(entries(7), Iterator[str])
    assert_type(entries_async(7), AsyncIterator[str])
    assert_type(checkout(request, 1), HttpResponse)
    import_feed("seven")  # type: ignore[arg-type]


def a_token_belongs_to_one_hold(account: Account) -> None:
    locked("feed:{feed_id}", token="t")  # type: ignore[call-overload]
    locked_view("checkout", token="t")  # type: ignore[call-arg]
    locked_method("own:{self.pk}", token="t")  # type: ignore[call-overload]
    account.locked(token="t")  # type: ignore[call-arg]
    Account.objects.locked([account], token="t")  # type: ignore[call-arg]
    locked_method(wait=2, label=lambda self: str(self.pk))


class Checkout(LockedViewMixin):
    lock_name = "checkout:{request.user.pk}"


class Account(LockableMixin, models.Model):  # noqa: DJ008 - never shown
    balance = models.IntegerField(default=0)
    fence = FenceField()

    objects: ClassVar[LockableManager[Account]] = LockableManager()

    class Meta:
        app_label = "typing"


class Accounts(LockableQuerySet[Account]):
    def poor(self) -> Accounts:
        return self.filter(balance=0)


class MyManager(LockableManager[Account]):
    def poor(self) -> LockableQuerySet[Account]:
        return self.filter(balance=0)


def rows(account: Account) -> None:
    with account.locked(wait=2) as held:
        assert_type(held, Lock)


def several_rows(account: Account) -> None:
    with Account.objects.locked([account, 7]) as (_, other):
        assert_type(other, Account)
    assert_type(Account.objects.get(pk=1), Account)
    with Account.objects.filter(balance=1).order_by("pk").locked(wait=2) as rows:
        assert_type(rows, list[Account])
    with lock("interest") as held:
        Account.objects.filter(pk=1).exclude(balance=0).fenced(held).update(balance=2)
        Account.objects.fenced(held).delete()
    with LockableQuerySet(Account).locked([7]) as mine:
        assert_type(mine, list[Account])
    with MyManager().poor().locked() as poor:
        assert_type(poor, list[Account])
    with Accounts.as_manager().locked([account]) as more, Accounts().poor().locked() as others:
        assert_type(more, list[Account])
        assert_type(others, list[Account])
