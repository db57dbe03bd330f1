"""Lines that a ``LockMisuse`` names: those of the project that take the lock."""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils.decorators import method_decorator
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from django_redislock import lock, locked, locked_view
from django_redislock.exceptions import LockMisuse
from django_redislock.local.misuse import PACKAGE


@pytest.fixture(autouse=True)
def _debug(settings: Any) -> None:
    settings.DEBUG = True


@locked(lambda: "here:%s", using="memory")
def under_lock() -> None: ...


@locked(lambda: "here:%s", using="memory")
async def awaited_under_lock() -> None: ...


def through_locked() -> int:
    under_lock()
    return _line() - 1


def through_partial() -> int:
    partial(under_lock)()
    return _line() - 1


def through_a_stack() -> int:
    with ExitStack() as stack:
        stack.enter_context(lock("here:%s", using="memory"))
        return _line() - 1


def through_a_coroutine() -> int:
    async def work() -> int:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(lock("here:%s", using="memory"))
            return _line() - 1

    return asyncio.run(work())


def through_a_locked_coroutine() -> int:
    async def work() -> int:
        await awaited_under_lock()
        return _line() - 1

    return asyncio.run(work())


def through_asgiref() -> int:
    def called() -> int:
        under_lock()
        return _line() - 1

    return async_to_sync(sync_to_async(called))()


def _line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


@pytest.mark.parametrize(
    "take",
    [
        through_locked,
        through_partial,
        through_a_stack,
        through_a_coroutine,
        through_a_locked_coroutine,
        through_asgiref,
    ],
)
def test_a_warning_names_the_line_of_the_caller(take: Any) -> None:
    with pytest.warns(LockMisuse, match="used literally") as caught:
        line = take()
    (warning,) = caught
    assert (warning.filename, warning.lineno) == (__file__, line)


@locked_view(lambda request: "feed:%s", using="memory")
def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class Sale(APIView):
    @method_decorator(locked_view(lambda request: "sale:%s", using="memory"))
    def get(self, request: Request) -> Response:
        return Response()


urlpatterns = [path("", view), path("sale/", Sale.as_view())]


def run(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


@pytest.mark.urls(__name__)
def test_a_warning_without_a_calling_line_names_the_function() -> None:
    # As in a server, where Django calls the view in a thread.
    server = threading.Thread(target=partial(Client().get, "/"))
    with pytest.warns(LockMisuse, match=rf"used literally.*\({__name__}\.view\)") as caught:
        run(server)
    (warning,) = caught
    assert not warning.filename.startswith(PACKAGE)


@pytest.mark.urls(__name__)
def test_a_warning_at_a_line_of_an_installed_library_names_the_function() -> None:
    server = threading.Thread(target=partial(Client().get, "/sale/"))
    with pytest.warns(LockMisuse, match=rf"used literally.*\({__name__}\.Sale\)"):
        run(server)
