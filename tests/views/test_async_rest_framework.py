"""Async views of REST framework, as the package adrf has them, under a lock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.test import AsyncClient
from django.urls import path
from django.utils.decorators import method_decorator
from rest_framework import permissions
from rest_framework.response import Response
from rest_framework.views import APIView

from django_redislock import LockedViewMixin, LockUnavailable, lock, lock_backends, locked_view

from .requests import holds
from .rest import Header

NAME = "basket:{request.user.pk}:{pk}"


class AsyncAPIView(APIView):
    """A view with the ``dispatch`` of adrf: an ordinary function that returns a coroutine."""

    authentication_classes = [Header]
    permission_classes = [permissions.IsAuthenticated]

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self.async_dispatch(request, *args, **kwargs)

    async def async_dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        request = self.initialize_request(request, *args, **kwargs)
        self.request, self.args, self.kwargs = request, args, kwargs
        self.headers = self.default_response_headers
        try:
            await sync_to_async(self.initial)(request, *args, **kwargs)
            handler = getattr(self, request.method.lower(), self.http_method_not_allowed)
            response = await handler(request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - as the framework does
            response = self.handle_exception(error)
        return self.finalize_response(request, response, *args, **kwargs)

    async def post(self, request: Any, pk: int) -> Response:
        await asyncio.sleep(0)
        return Response({"name": request.lock.name, "held": holds(request.lock.name, "memory")})


@method_decorator(locked_view(NAME, using="memory"), name="dispatch")
class Decorated(AsyncAPIView): ...


class MixedIn(LockedViewMixin, AsyncAPIView):
    lock_name = NAME
    lock_options = {"using": "memory"}


VIEWS = {"Decorated": Decorated, "MixedIn": MixedIn}
not_atomic: Any = transaction.non_atomic_requests

urlpatterns = [path(f"{name}/<int:pk>/", view.as_view()) for name, view in VIEWS.items()]
urlpatterns += [
    path(f"{name}NotAtomic/<int:pk>/", not_atomic(view.as_view())) for name, view in VIEWS.items()
]
every_view = pytest.mark.parametrize("name", VIEWS)
pytestmark = pytest.mark.urls(__name__)


async def post(name: str, user: int | None = 7) -> Any:
    return await AsyncClient().post(f"/{name}/4/", headers={"x-user": str(user)} if user else {})


@every_view
async def test_an_async_view_runs_under_the_lock_of_the_frameworks_user(name: str) -> None:
    assert (await post(name)).json() == {"name": "basket:7:4", "held": 1}
    assert holds("basket:7:4", "memory") == 0


@every_view
async def test_a_busy_async_view_answers_by_an_exception_of_the_framework(name: str) -> None:
    async with lock("basket:7:4", using="memory", lease=600):
        response = await post(name)
        assert (await post(name, user=None)).status_code == 401
    assert (response.status_code, list(response.json())) == (423, ["detail"])
    assert 60 <= int(response["Retry-After"]) <= 72


@every_view
async def test_without_redis_an_async_view_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def aacquire(*args: Any) -> Any:
        raise LockUnavailable("no answer")

    monkeypatch.setattr(lock_backends["memory"], "aacquire", aacquire)
    assert (await post(name)).status_code == 503


@every_view
@pytest.mark.django_db(transaction=True)
async def test_an_async_view_is_refused_a_transaction_with_what_to_write(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = await sync_to_async(lambda: connections["default"].settings_dict)()
    monkeypatch.setitem(settings, "ATOMIC_REQUESTS", True)
    with pytest.raises(RuntimeError, match=r"async views.*non_atomic_requests\(view\)"):
        await post(name)
    assert (await post(f"{name}NotAtomic")).status_code == 200
